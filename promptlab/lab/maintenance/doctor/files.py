"""The pictures' files: there, whole, with the recorded pixels, and saying of themselves what their rows say.

A file is read once, however many images are links to it. Reading and hashing let go of the interpreter, so several
files are read at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptlab.errors import InputError, NotFound
from promptlab.lab.maintenance.doctor.findings import Finding, Kind, named
from promptlab.records import ImageRecord, RunRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.images.metadata import ImageMetadata

__all__ = ["ImageFile", "look", "missing_or_wrong", "pictures_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A file that images point at, and what is in it.

    Args:
        path: relative to the workspace.
        images: those whose picture it is, the one that made it first.
        there: whether there is such a file.
        damage: why it could not be read whole.
        size: width and height, pixels.
        pixel_sha256: of its pixels.
        told: what it says about itself; ``None`` when it says nothing.
        untold: why what it says could not be read.
    """

    path: str
    images: tuple[ImageRecord, ...]
    there: bool = True
    damage: str | None = None
    size: tuple[int, int] | None = None
    pixel_sha256: str | None = None
    told: ImageMetadata | None = None
    untold: str | None = None

    @property
    def whole(self) -> bool:
        """Whether it could be read to its last pixel."""
        return self.there and self.damage is None


def pictures_of(
    runs: Iterable[RunRecord], workspace: Workspace, seen: Callable[[int, int], None]
) -> tuple[ImageFile, ...]:
    """Every file that a made image of ``runs`` points at, read.

    Args:
        seen: told after each how many have been read, of how many.
    """
    by_path: dict[str, list[ImageRecord]] = {}
    for run in runs:
        for image in run.made:
            by_path.setdefault(image.path or "", []).append(image)
    for images in by_path.values():
        images.sort(key=lambda image: image.linked is not None)
    found = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="look") as readers:
        reading = readers.map(lambda path: look(path, tuple(by_path[path]), workspace), by_path)
        for count, picture in enumerate(reading, 1):
            found.append(picture)
            seen(count, len(by_path))
    return tuple(found)


def look(path: str, images: tuple[ImageRecord, ...], workspace: Workspace) -> ImageFile:
    """The file at ``path``, read."""
    from promptlab.images.metadata import self_description
    from promptlab.images.png import pixel_sha256, read_pixels

    file = workspace.root / path
    try:
        pixels = read_pixels(file)
    except NotFound:
        return ImageFile(path=path, images=images, there=False)
    except InputError as error:
        return ImageFile(path=path, images=images, damage=error.problem)
    told, untold = None, None
    try:
        told = self_description(file)
    except InputError as error:
        untold = error.problem
    height, width, _ = pixels.shape
    return ImageFile(
        path=path, images=images, size=(width, height), pixel_sha256=pixel_sha256(pixels), told=told, untold=untold
    )


def missing_or_wrong(pictures: Sequence[ImageFile]) -> Iterator[Finding]:
    """Files that are gone or cut short, and those with other pixels than were recorded."""
    for picture in pictures:
        if not picture.there:
            yield _lost(picture, Kind.MISSING, "the file is gone")
        elif picture.damage is not None:
            yield _lost(picture, Kind.DAMAGED, picture.damage)
        else:
            yield from _other_pixels(picture)


def _lost(picture: ImageFile, kind: Kind, problem: str) -> Finding:
    """A picture that has to be made again. A file that lies there cut short has to be owed first."""
    first = picture.images[0]
    again = f"promptlab resume {first.run_id}"
    return Finding(
        kind=kind, subject=named(picture.images), problem=f"{problem} ({picture.path})", fixable=True,
        remedy=again if kind is Kind.MISSING else f"promptlab doctor --fix; {again}",
        run_id=first.run_id, positions=(first.position,), path=picture.path,
    )  # fmt: skip


def _other_pixels(picture: ImageFile) -> Iterator[Finding]:
    wrong = [
        image
        for image in picture.images
        if image.pixel_sha256 != picture.pixel_sha256 or (image.width, image.height) != picture.size
    ]
    if wrong:
        first = wrong[0]
        size = f"{first.width}x{first.height}"
        there = "{}x{}".format(*(picture.size or (0, 0)))
        how = (
            f"the file is {there}, and {size} was made" if there != size else "the file has other pixels than were made"
        )
        yield Finding(
            kind=Kind.PIXELS, subject=named(wrong), problem=f"{how} ({picture.path})",
            remedy=set_aside(picture.path, first.run_id),
            run_id=first.run_id, positions=(first.position,), path=picture.path,
        )  # fmt: skip


def set_aside(path: str, run_id: int) -> str:
    """The remedy for a file that somebody may have changed on purpose: it is kept under another name."""
    return f"mv {path} {path}.changed; promptlab resume {run_id}"
