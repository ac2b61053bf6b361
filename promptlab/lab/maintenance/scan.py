"""Reads the metadata of image files before an import: the run of each, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from promptlab.errors import InputError, NotFound
from promptlab.images.foreign import ForeignMetadata, read_foreign, why_unread
from promptlab.images.grid_metadata import GridMetadata, read_grid_metadata
from promptlab.images.metadata import ImageMetadata, self_description
from promptlab.records import RunRecord

__all__ = ["ImportResult", "ScannedFiles", "image_files", "scan_files"]

_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")
_PREVIEWS: Final = ("thumb.png",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """Describes the outcome of importing a run, or a file.

    Args:
        run: as it is now; ``None`` where a file has none.
        new: whether the run was not here before.
        files: how many images were imported, or restored.
        known: how many were here already.
        problem: why a file could not be imported.
        file: that file, or the one of another program's image.
    """

    run: RunRecord | None = None
    new: bool = False
    files: int = 0
    known: int = 0
    problem: str | None = None
    file: str | None = None


def image_files(paths: Iterable[str]) -> Iterator[Path]:
    """Yield the image files that ``paths`` name; of folders in order, without hidden and preview files.

    Raises:
        NotFound: for a path that is not there.
    """
    for text in paths:
        path = Path(text)
        if path.is_dir():
            for found in sorted(path.rglob("*")):
                name = found.name
                hidden = name.startswith(".") or name in _PREVIEWS or "+compressed." in name
                if found.suffix.lower() in _SUFFIXES and found.is_file() and not hidden:
                    yield found
        elif path.is_file():
            yield path
        else:
            raise NotFound("picture", text, hint="promptlab import FILE or FOLDER")


@dataclass(slots=True)
class ScannedFiles:
    """Holds the metadata of all files, by run."""

    pictures: dict[str, list[tuple[ImageMetadata, Path]]] = field(default_factory=dict)
    runs: dict[str, GridMetadata] = field(default_factory=dict)
    sweeps: dict[str, GridMetadata] = field(default_factory=dict)
    foreign: list[tuple[ForeignMetadata, Path]] = field(default_factory=list)
    silent: list[ImportResult] = field(default_factory=list)

    def number(self, uid: str) -> int:
        """Return the number that the run ``uid`` had where it was made."""
        if uid in self.runs:
            return self.runs[uid].record.id
        return self.pictures[uid][0][0].run_id


def scan_files(files: Iterable[Path]) -> ScannedFiles:
    """Read the metadata of all ``files``; those that have none, or cannot be read, are in ``silent``."""
    found = ScannedFiles()
    for path in files:
        try:
            _sort(path, found)
        except InputError as error:
            found.silent.append(ImportResult(problem=error.problem, file=str(path)))
    return found


def _sort(path: Path, found: ScannedFiles) -> None:
    metadata = self_description(path)
    if metadata is not None:
        found.pictures.setdefault(metadata.run_uid, []).append((metadata, path))
        return
    whole = read_grid_metadata(path)
    if whole is not None:
        (found.runs if isinstance(whole.record, RunRecord) else found.sweeps)[whole.record.uid] = whole
        return
    picture = read_foreign(path)
    if picture is None:
        found.silent.append(ImportResult(problem=why_unread(path), file=str(path)))
    else:
        found.foreign.append((picture, path))
