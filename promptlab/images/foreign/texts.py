"""Finds an image's texts, by keyword in a PNG, in EXIF in a JPEG or WebP, under one set of names.

Names are those of PNG chunks. A UserComment is ``parameters``, as AUTOMATIC1111 and Fooocus write it, unless it is
dgenerate's; what ComfyUI writes into Make and Model begins with the name that it means, ``prompt:{…}``.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from promptlab.errors import InputError, NotFound
from promptlab.images.exif import MAKER_NOTE, USER_COMMENT, comment_text, fields_of, maker_text
from promptlab.images.png import read_text

__all__ = ["texts_of"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"

_CAMERA: Final = range(0x010A, 0x0111)
"""``comfy_extras/nodes_images.py`` counts down from Model (0x0110): the prompt, the workflow, what extensions add."""

_SCHEMES: Final = ("fooocus", "a1111")


def texts_of(path: Path) -> dict[str, str]:
    """Read the texts of a PNG, JPEG or WebP by keyword. What is no text in a file is left out.

    Raises:
        NotFound: when there is no such file.
        InputError: when it is none of the three, or a damaged one.
    """
    kind = _kind(path)
    if kind is None:
        raise InputError("picture", str(path), problem="is not a PNG, JPEG or WebP")
    return read_text(path) if kind == "PNG" else dict(_named(fields_of(_exif_of(path, kind))))


def _kind(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError as error:
        raise NotFound("picture", str(path)) from error
    except OSError as error:
        raise InputError("picture", str(path), problem=f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise NotFound("picture", str(path)) from error
    if head.startswith(_PNG):
        return "PNG"
    if head.startswith(_JPEG):
        return "JPEG"
    return "WEBP" if head[:4] == b"RIFF" and head[8:] == b"WEBP" else None


def _exif_of(path: Path, kind: str) -> bytes:
    """Return the EXIF block as it is; Pillow finds it, and is not asked what is in it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged MPO, of very many pixels: none of them is decoded
            with Image.open(path, formats=[kind]) as image:
                exif = image.info.get("exif", b"")
    except UnidentifiedImageError as error:
        raise InputError("picture", str(path), problem="is not a PNG, JPEG or WebP") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise InputError("picture", str(path), problem=f"is damaged: {error}") from error
    return exif if isinstance(exif, bytes) else b""


def _named(fields: dict[int, bytes]) -> Iterator[tuple[str, str]]:
    for tag in _CAMERA:
        name, colon, text = fields.get(tag, b"").decode("utf-8", "replace").rstrip("\0").partition(":")
        if colon and name in ("prompt", "workflow"):
            yield name, text
    note = fields.get(MAKER_NOTE, b"")
    own = maker_text(note)
    if own is not None:
        yield "promptlab", own
    scheme = note.rstrip(b"\0").decode("latin-1")
    if scheme in _SCHEMES:  # `get_exif` in Fooocus' modules/meta_parser.py
        yield "fooocus_scheme", scheme
    if USER_COMMENT in fields:
        comment = comment_text(fields[USER_COMMENT])
        yield ("DgenerateConfig" if _of_dgenerate(comment) else "parameters"), comment


def _of_dgenerate(comment: str) -> bool:
    """Return whether a UserComment is a config of dgenerate, which begins as a script does.

    See ``renderloop.py``.
    """
    first = comment.partition("\n")[0]
    return first.startswith("#!") and "dgenerate" in first
