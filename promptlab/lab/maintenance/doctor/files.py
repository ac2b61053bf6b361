"""Checks image files against their rows; finds files of no row and files left half written.

A file is read once, however many images link to it. Reading and hashing release the GIL, so several files are read at
a time.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, NotFound
from promptlab.lab.maintenance.doctor.findings import Finding, FindingKind, image_refs
from promptlab.records import ImageRecord, RunRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.images.metadata import ImageMetadata
    from promptlab.store.notebook import Notebook

__all__ = ["ImageFile", "check_images", "find_leftovers", "find_orphans", "read_images", "set_aside_command"]

_LEFTOVER_AGE: Final = 600.0
"""Seconds after which a file that is half written counts as a leftover: the longest write takes a few."""

_REDUNDANT: Final = ("damaged", "a second copy")
"""Beginnings of problems of orphans that can be deleted: nothing is lost with them."""

_DERIVED: Final = re.compile(r"grid(-\d+)?\.png|effect\.png|diff-.*\.png")
"""Names of images that are drawn from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """Describes a file that images point at, and its content.

    Args:
        path: relative to the workspace.
        images: those that it shows, the one that it was made for first.
        exists: whether there is such a file.
        damage: why it could not be read whole.
        size: width and height, pixels.
        pixel_sha256: of its pixels.
        metadata: what it says about itself; ``None`` when it says nothing.
        metadata_problem: why its metadata could not be read.
    """

    path: str
    images: tuple[ImageRecord, ...]
    exists: bool = True
    damage: str | None = None
    size: tuple[int, int] | None = None
    pixel_sha256: str | None = None
    metadata: ImageMetadata | None = None
    metadata_problem: str | None = None

    @property
    def whole(self) -> bool:
        """Return whether it could be read to its last pixel."""
        return self.exists and self.damage is None


def read_images(
    runs: Iterable[RunRecord], workspace: Workspace, progress: Callable[[int, int], None]
) -> tuple[ImageFile, ...]:
    """Read every file that a made image of ``runs`` points at.

    Args:
        progress: called after each file with how many have been read, of how many.
    """
    by_path: dict[str, list[ImageRecord]] = {}
    for run in runs:
        for image in run.made:
            by_path.setdefault(image.path or "", []).append(image)
    for images in by_path.values():
        images.sort(key=lambda image: image.linked is not None)
    found = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="doctor") as readers:
        reading = readers.map(lambda path: _read_image(path, tuple(by_path[path]), workspace), by_path)
        for count, file in enumerate(reading, 1):
            found.append(file)
            progress(count, len(by_path))
    return tuple(found)


def _read_image(path: str, images: tuple[ImageRecord, ...], workspace: Workspace) -> ImageFile:
    from promptlab.images.metadata import self_description
    from promptlab.images.png import pixel_sha256, read_pixels

    file = workspace.root / path
    try:
        pixels = read_pixels(file)
    except NotFound:
        return ImageFile(path=path, images=images, exists=False)
    except InputError as error:
        return ImageFile(path=path, images=images, damage=error.problem)
    metadata, problem = None, None
    try:
        metadata = self_description(file)
    except InputError as error:
        problem = error.problem
    height, width, _ = pixels.shape
    return ImageFile(
        path=path,
        images=images,
        size=(width, height),
        pixel_sha256=pixel_sha256(pixels),
        metadata=metadata,
        metadata_problem=problem,
    )


def check_images(files: Sequence[ImageFile]) -> Iterator[Finding]:
    """Yield the files that are gone or cut short, and those with other pixels than were recorded."""
    for file in files:
        if not file.exists:
            yield _lost(file, FindingKind.MISSING, "the file is gone")
        elif file.damage is not None:
            yield _lost(file, FindingKind.DAMAGED, file.damage)
        else:
            yield from _check_pixels(file)


def _lost(file: ImageFile, kind: FindingKind, problem: str) -> Finding:
    """Return the finding for an image to be made again; one whose file is cut short is owed first."""
    first = file.images[0]
    again = f"promptlab resume {first.run_id}"
    return Finding(
        kind=kind, subject=image_refs(file.images), problem=f"{problem} ({file.path})", fixable=True,
        remedy=again if kind is FindingKind.MISSING else f"promptlab doctor --fix; {again}",
        run_id=first.run_id, positions=(first.position,), path=file.path,
    )  # fmt: skip


def _check_pixels(file: ImageFile) -> Iterator[Finding]:
    wrong = [
        image
        for image in file.images
        if image.pixel_sha256 != file.pixel_sha256 or (image.width, image.height) != file.size
    ]
    if wrong:
        first = wrong[0]
        size = f"{first.width}x{first.height}"
        there = "{}x{}".format(*(file.size or (0, 0)))
        how = (
            f"the file is {there}, and {size} was made" if there != size else "the file has other pixels than were made"
        )
        yield Finding(
            kind=FindingKind.PIXELS, subject=image_refs(wrong), problem=f"{how} ({file.path})",
            remedy=set_aside_command(file.path, first.run_id),
            run_id=first.run_id, positions=(first.position,), path=file.path,
        )  # fmt: skip


def set_aside_command(path: str, run_id: int) -> str:
    """Return the command that renames a file, which may have been changed on purpose."""
    return f"mv {path} {path}.changed; promptlab resume {run_id}"


def find_orphans(workspace: Workspace, notebook: Notebook, known: Set[str], busy: Set[str]) -> Iterator[Finding]:
    """Yield the image files below ``images/`` that no row points at.

    Args:
        known: the paths that rows point at, or will when they are made.
        busy: folders of runs that are being made at this moment, by their names.
    """
    home = workspace.root / "images"
    for path in sorted(home.rglob("*.png")) if home.is_dir() else ():
        where = workspace.relative(path)
        if where in known or path.name.startswith(".") or path.parent.name in busy or _DERIVED.fullmatch(path.name):
            continue
        problem = _why_orphaned(path, notebook)
        command = "rm" if problem.startswith(_REDUNDANT) else "promptlab import"
        yield Finding(kind=FindingKind.ORPHAN, subject=where, problem=problem, remedy=f"{command} {where}", path=where)


def _why_orphaned(path: Path, notebook: Notebook) -> str:
    """Return why no row points at the image file."""
    from promptlab.images.metadata import self_description

    try:
        metadata = self_description(path)
    except InputError as error:
        return f"damaged, and of no row: it {error.problem}"
    if metadata is None:
        return "of no row, and it does not say where it comes from"
    run = notebook.run_by_uid(metadata.run_uid)
    if run is None:
        return f"of no row: its run {metadata.run_uid[:8]}… is not in the notebook"
    return _misplaced(run, metadata.position, path)


def _misplaced(run: RunRecord, position: int, path: Path) -> str:
    from promptlab.images.png import pixel_sha256, read_pixels

    if position >= len(run.images):
        return f"of no row: run {run.id} has {len(run.images)} pictures"
    image = run.images[position]
    same = image.pixel_sha256 == pixel_sha256(read_pixels(path))
    copy = "a second copy of" if same else "of no row: it says that it is"
    return f"{copy} image {image.ref}" + (f", which is {image.path}" if image.path else "")


def find_leftovers(workspace: Workspace, busy: Callable[[int], bool]) -> Iterator[Finding]:
    """Yield the files that a process began to write and never finished.

    Args:
        busy: returns whether a process is making a run at this moment; its files are left alone.
    """
    root = workspace.root
    if not root.is_dir():
        return
    found = [*root.glob("images/*/.*.tmp"), *root.glob("images/*/*.part")]
    found += [*root.glob("mlartifacts/**/.*.part"), *root.glob(f"{workspace.database.name}.*.part")]
    for path in sorted({*found, *root.glob(".upload-*")}):
        in_run = re.fullmatch(r"\d{5,}", path.parent.name) and path.parent.parent.name == "images"
        if busy(int(path.parent.name)) if in_run else _young(path):
            continue
        where = workspace.relative(path)
        yield Finding(
            kind=FindingKind.LEFTOVER, subject=where, problem="left half written by a process that was stopped",
            remedy="promptlab doctor --fix", fixable=True, path=where,
        )  # fmt: skip


def _young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _LEFTOVER_AGE
    except FileNotFoundError:
        return True
