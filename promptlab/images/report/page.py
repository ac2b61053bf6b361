"""Renders the HTML file: a template, the contents as JSON, and a page that is packed.

The page itself (a style, elements, a script) is the same in every report and has nothing of a user's in it. It is
packed, so that a small report is mostly its pictures, and a few lines of script take it out in the browser.

The data stand in ``<script type="application/json">``. A script element ends at ``</script`` whatever stands in it, so
``<``, ``>`` and ``&`` are written as JSON's own escapes; with ASCII output that goes for U+2028 too. The script makes
elements of them by ``textContent`` alone. A policy in the head lets nothing run but the two scripts that are named by
their hashes, and nothing be fetched but images.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab import __version__
from promptlab.errors import StoreError, one_line
from promptlab.images import viewer
from promptlab.images.png import write_atomically
from promptlab.images.report.contents import Contents
from promptlab.images.report.thumbnails import Thumbnail

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["LIMIT", "address_report", "rendered", "room", "safe_json"]

LIMIT: Final = 14_900_000
"""Bytes of a whole report, as far as that is thumbnails: what a browser opens at once, from a server too."""

_SCRIPTS: Final = (
    "data.js",
    "arrange.js",
    "grid.js",
    "table.js",
    "facts.js",
    "apart.js",
    "vote_line.js",
    "report.js",
)
"""In the order in which they come to be one, behind the modules of the viewer."""

_ROOM: Final = 96
_ROOM_EACH: Final = 48
"""Characters that are kept free for MLflow's addresses, which are known when the report is there: in all, and for each
run that shows images. The file is not written a second time for them."""

_ADDRESSES: Final = re.compile(rb'(<script type="application/json" id="addresses">)[^<]*(</script>)')
"""Found before any other script; no text of a user's can hold a ``<``."""


def room(contents: Contents) -> int:
    """Return the bytes that thumbnails may take so that the whole stays under :data:`LIMIT`.

    In base64, three become four.
    """
    rest = len(safe_json(contents.data)) + len(_packed()) + 20 * len(contents.files)
    return max(0, LIMIT - rest - 60_000) * 3 // 4


def rendered(contents: Contents, thumbnails: Sequence[Thumbnail | None]) -> Iterator[bytes]:
    """Yield the report as a file's bytes, in parts, with no address of MLflow's in it."""
    here = uuid.uuid4().hex  # stands in no text of a user's
    page = _template().render(
        title=contents.title,
        facts=contents.facts,
        grid=contents.grid,
        version=__version__,
        hashes=[_hash(_unpack()), _hash(_script())],
        packed=_packed(),
        unpack=_unpack(),
        addresses=safe_json({}).ljust(_ROOM + _ROOM_EACH * contents.addressed),
        data=safe_json(contents.data | {"standing": [one.standing if one else None for one in thumbnails]}),
        thumbnails=here,
    )
    # Half a surrogate pair, which a command line can hold, is no text.
    before, after = (part.encode("utf-8", "replace") for part in page.split(here))
    yield before
    for place, thumbnail in enumerate(thumbnails):
        yield b"," if place else b"["
        yield b"null" if thumbnail is None or thumbnail.webp is None else b'"%s"' % base64.b64encode(thumbnail.webp)
    yield (b"]" if thumbnails else b"[]") + after


def address_report(path: Path, experiment_id: str, runs: Mapping[tuple[int, int], str]) -> None:
    """Write into the report at ``path``, if there is one, where MLflow shows its images.

    What it held before is replaced: in its place, in one piece, where there is room for it.

    Args:
        path: of a report of ours.
        experiment_id: MLflow's.
        runs: by run and variant, the id of the MLflow run that shows them.

    Raises:
        StoreError: when it cannot be written.
    """
    try:
        old = path.read_bytes()
    except OSError:
        return
    addresses = safe_json(
        {"experiment": experiment_id, "runs": {f"{run}/{variant}": one for (run, variant), one in runs.items()}}
    ).encode()
    found = _ADDRESSES.search(old)
    if found is None:
        return
    start, room = found.end(1), found.start(2) - found.end(1)
    if len(addresses) > room:
        write_atomically(path, old[:start] + addresses + old[start + room :])
    elif old[start : start + room] != (new := addresses.ljust(room)):
        _put(path, new, start)


def _put(path: Path, new: bytes, start: int) -> None:
    """Write over a part of a file, by one call: whoever is killed has written all of it or nothing.

    Raises:
        StoreError: when it cannot be written.
    """
    try:
        with path.open("r+b", buffering=0) as file:
            file.seek(start)
            file.write(new)
    except OSError as error:
        raise StoreError(f"{path} could not be written: {one_line(error)}") from error


def safe_json(value: Any) -> str:
    """Return ``value`` as JSON that can stand in an HTML script element.

    ``JSON.parse`` gives it back equal.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_text("report.html.jinja"))


@lru_cache(maxsize=1)
def _packed() -> str:
    """Return what every page has, as ``unpack.js`` reads it: raw deflate in base64."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = (_style(), _text("inside.html"), _text("keys.html"), _script())
    return base64.b64encode(packer.compress("\0".join(parts).encode()) + packer.flush()).decode()


@lru_cache(maxsize=1)
def _unpack() -> str:
    return _slim(_text("unpack.js"))


@lru_cache(maxsize=1)
def _script() -> str:
    parts = _slim("\n".join((viewer.inlined(), *(_text(name) for name in _SCRIPTS))))
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@lru_cache(maxsize=1)
def _style() -> str:
    return _slim(viewer.style() + _text("report.css"))


def _slim(text: str) -> str:
    """Return a script or a style without indentation, and without lines that are comments or empty.

    No text of ours goes over several lines, so that a line's beginning is never a part of one.
    """
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@lru_cache(maxsize=16)
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
