"""The files that MLflow shows beside a run: hard links to the pictures' home, under the names MLflow looks for.

::

    grid.png                     the whole run's grid
    thumb.png                    the same, narrow enough for the description, which scales nothing
    effect.png                   what the wordings do, where that was measured
    report.html                  the whole run's report, which knows where MLflow shows its pictures
    prompt.txt                   the words in full
    pictures/seed-07.png         the variant's pictures under names people can read
    images/seed~7+step+0+…       the same under the names of MLflow's ``log_image``: what its image charts find

A link costs no space and keeps the PNG with its text chunks to the byte. ``log_image`` itself would decode and encode
every picture twice, drop the chunks, and refuses this artifact location. Names are made of what never changes (run and
place), so that laying the files out again replaces them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from promptlab.records import ImageRecord, RunRecord
from promptlab.tracking.sweep_run import SweepParentRun
from promptlab.tracking.variant_run import VariantRun
from promptlab.workspace import Workspace

__all__ = [
    "REPORT",
    "PlacedImage",
    "image_key",
    "lay_out",
    "lay_out_sweep",
    "placed",
    "placed_of_sweep",
]

REPORT = "report.html"

SMALL_ENOUGH = 700_000
"""Bytes up to which the picture itself serves as its own preview: sixty-four of them load at once from this machine."""

PREVIEW_SIDE = 512
"""Pixels of the longer side of the preview that a larger picture gets."""


def image_key(seed: int) -> str:
    """The name under which MLflow's image charts line up pictures of one seed."""
    return f"seed/{seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedImage:
    """``source``, a file or what makes its bytes, to be at ``name`` in the folder."""

    name: str
    source: Path | Callable[[], bytes]


def lay_out(folder: Path, page: VariantRun, *, workspace: Workspace, thumbnail: bytes) -> None:
    """Make ``folder`` hold what MLflow shows of ``page``'s variant; what is there already is kept or replaced.

    Raises:
        OSError: when a file cannot be read or written.
    """
    _put(folder, placed(page, workspace=workspace, thumbnail=thumbnail))


def _put(folder: Path, files: Iterable[PlacedImage]) -> None:
    for one in files:
        target = folder / one.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(one.source, Path):
            _link(one.source, target)
        else:
            _write(target, one.source())


def placed(page: VariantRun, *, workspace: Workspace, thumbnail: bytes) -> Iterator[PlacedImage]:
    """What belongs into the folder of ``page``'s variant. Raises OSError where a picture is not there."""
    run = page.run
    grid = workspace.grid(run.id)
    if grid.is_file():
        yield PlacedImage(name="grid.png", source=grid)
    effect = workspace.effect(run.id)
    if page.measured and effect.is_file():
        yield PlacedImage(name=effect.name, source=effect)
    report = workspace.report(run.id)
    if report.is_file():
        yield PlacedImage(name=REPORT, source=report)
    if thumbnail:
        yield PlacedImage(name="thumb.png", source=lambda: thumbnail)
    yield PlacedImage(name="prompt.txt", source=lambda: page.prompt_file().encode())
    greatest = max(run.spec.seeds)
    for image in page.made:
        if image.path is None:
            continue
        picture = workspace.root / image.path
        stem = f"images/{image_key(image.seed).replace('/', '~')}+step+0+timestamp+{_stamp(run)}+{_uid(run, image)}"
        yield PlacedImage(name=workspace.artifact_name(image.seed, greatest), source=picture)
        yield PlacedImage(name=f"{stem}.png", source=picture)
        if picture.stat().st_size <= SMALL_ENOUGH:
            yield PlacedImage(name=f"{stem}+compressed.png", source=picture)
        else:
            yield PlacedImage(name=f"{stem}+compressed.webp", source=partial(_preview, picture))


def lay_out_sweep(
    folder: Path, page: SweepParentRun, *, thumbnail: bytes, overviews: Sequence[Path], report: Path | None = None
) -> None:
    """Put a sweep's files into ``folder``: report and overview, hard-linked, a thumbnail, and the table of runs."""
    _put(folder, placed_of_sweep(page, thumbnail=thumbnail, overviews=overviews, report=report))


def placed_of_sweep(
    page: SweepParentRun, *, thumbnail: bytes, overviews: Sequence[Path], report: Path | None = None
) -> Iterator[PlacedImage]:
    """What belongs into the folder of a sweep."""
    if report is not None and report.is_file():
        yield PlacedImage(name=REPORT, source=report)
    for path in overviews:
        yield PlacedImage(name=path.name, source=path)
    if thumbnail:
        yield PlacedImage(name="thumb.png", source=lambda: thumbnail)
    yield PlacedImage(name="runs.csv", source=lambda: page.runs_file().encode())


def _stamp(run: RunRecord) -> int:
    return int(run.created_at.timestamp() * 1000)


def _uid(run: RunRecord, image: ImageRecord) -> str:
    return str(uuid5(NAMESPACE_OID, f"{run.uid}/{image.position}"))


def _preview(picture: Path) -> bytes:
    from io import BytesIO

    from PIL import Image

    encoded = BytesIO()
    with Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), reducing_gap=2.0)
        small.save(encoded, "WEBP", quality=85, method=0)
    return encoded.getvalue()


def _link(source: Path, target: Path) -> None:
    """Make ``target`` a hard link to ``source``, or a copy where the file system knows no links."""
    if target.exists() and target.samefile(source):
        return
    waiting = _waiting(target)
    try:
        os.link(source, waiting)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, waiting)
    waiting.replace(target)


def _write(target: Path, content: bytes) -> None:
    waiting = _waiting(target)
    waiting.write_bytes(content)
    waiting.replace(target)


def _waiting(target: Path) -> Path:
    """A name beside ``target`` for a file that is not whole yet; whatever an earlier process left there is removed."""
    waiting = target.with_name(f".{target.name[-60:]}.{os.getpid()}.part")
    waiting.unlink(missing_ok=True)
    return waiting
