"""Checks image files against their rows; finds files of no row and files left half written.

A file is read once, however many images link to it. Reading and hashing release the GIL, so several files are read at
a time.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, NotFound
from promptlab.lab.maintenance.doctor.findings import Finding, FindingKind, image_refs
from promptlab.records import ImageRecord, RunRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.images.metadata import ImageMetadata
    from promptlab.lab.maintenance.doctor.checked_files import CheckedFiles, Stamp
    from promptlab.store.notebook import Notebook

__all__ = [
    "ImageFile",
    "check_images",
    "find_leftovers",
    "find_orphans",
    "read_images",
    "remember_agreeing",
    "set_aside_command",
]

_LEFTOVER_AGE: Final = 600.0
"""Seconds after which a file that is half written counts as a leftover: the longest write takes a few."""

_REDUNDANT: Final = ("damaged", "a second copy")
"""Beginnings of problems of orphans that can be deleted: nothing is lost with them."""

_DERIVED: Final = re.compile(r"grid(-\d+)?\.png|effect(-\w[\w-]*)?\.png|diff-.*\.png")
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
        stamp: of :meth:`CheckedFiles.stamp`, from before it was read.
    """

    path: str
    images: tuple[ImageRecord, ...]
    exists: bool = True
    damage: str | None = None
    size: tuple[int, int] | None = None
    pixel_sha256: str | None = None
    metadata: ImageMetadata | None = None
    metadata_problem: str | None = None
    stamp: Stamp | None = None

    @property
    def whole(self) -> bool:
        """Return whether it could be read to its last pixel."""
        return self.exists and self.damage is None


def read_images(
    runs: Mapping[int, RunRecord],
    workspace: Workspace,
    checked: CheckedFiles,
    progress: Callable[[int, int], None],
) -> tuple[ImageFile, ...]:
    """Read the files that made images point at, but for those that agreed and have not changed since.

    Args:
        progress: called after each file with how many have been read, of how many.
    """
    by_path: dict[str, list[ImageRecord]] = {}
    for run in runs.values():
        for image in run.made:
            by_path.setdefault(image.path or "", []).append(image)
    settings: dict[int, str] = {}
    to_read: dict[str, Stamp | None] = {}
    for path, images in by_path.items():
        images.sort(key=lambda image: image.linked is not None)
        said = _said(images, runs, settings)
        if not checked.agrees(path, said):
            to_read[path] = checked.stamp(path, said)
    found = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="doctor") as readers:
        reading = readers.map(lambda path: _read_image(path, tuple(by_path[path]), to_read[path], workspace), to_read)
        for count, file in enumerate(reading, 1):
            found.append(file)
            progress(count, len(to_read))
    return tuple(found)


def _said(images: Sequence[ImageRecord], runs: Mapping[int, RunRecord], settings: dict[int, str]) -> str:
    """Return the hash of all that rows say of a file and that is compared with it."""
    owner = images[0].run_id
    if owner not in settings:
        run = runs[owner]
        facts = (run.uid, run.spec, run.model_identity, run.vae_identity, run.environment.hash, run.origin is None)
        settings[owner] = sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()
    parts = [
        (
            one.run_id, one.position, one.variant, one.seed, one.recipe_key, one.batch_size, one.environment,
            one.linked, one.pixel_sha256, one.width, one.height,
        )
        for one in images
    ]  # fmt: skip
    return sha256(f"{settings[owner]}{parts!r}".encode()).hexdigest()[:32]


def remember_agreeing(files: Sequence[ImageFile], found: Iterable[Finding], checked: CheckedFiles) -> None:
    """Remember the files of which nothing was found."""
    wrong = {(finding.run_id, position) for finding in found for position in finding.positions}
    for file in files:
        if file.whole and wrong.isdisjoint((image.run_id, image.position) for image in file.images):
            checked.remember(file.path, file.stamp)


def _read_image(path: str, images: tuple[ImageRecord, ...], stamp: Stamp | None, workspace: Workspace) -> ImageFile:
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
        stamp=stamp,
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
    for where in sorted(_files_below(workspace.root, "images")):
        folder, _, name = where.rpartition("/")
        if not name.endswith(".png") or where in known or name.startswith(".") or _DERIVED.fullmatch(name):
            continue
        if folder.rpartition("/")[2] in busy:
            continue
        path = workspace.root / where
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
    found = [*root.glob(f"{workspace.database.name}.*.part*")]  # and what SQLite keeps beside one
    found += [
        root / where
        for where in (*_files_below(root, "images"), *_files_below(root, "mlartifacts"))
        if where.endswith((".tmp", ".part")) and (where.rpartition("/")[2].startswith(".") or where.startswith("i"))
    ]
    for path in sorted({*found, *root.glob(".upload-*")}):
        in_run = re.fullmatch(r"\d{5,}", path.parent.name) and path.parent.parent.name == "images"
        if busy(int(path.parent.name)) if in_run else _young(path):
            continue
        where = workspace.relative(path)
        yield Finding(
            kind=FindingKind.LEFTOVER, subject=where, problem="left half written by a process that was stopped",
            remedy="promptlab doctor --fix", fixable=True, path=where,
        )  # fmt: skip


def _files_below(root: Path, folder: str) -> Iterator[str]:
    """Yield the files in ``root/folder`` and below it, relative to ``root``, quickly."""
    try:
        entries = list(os.scandir(root / folder))
    except OSError:
        return
    for entry in entries:
        where = f"{folder}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(root, where)
        else:
            yield where


def _young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _LEFTOVER_AGE
    except FileNotFoundError:
        return True
