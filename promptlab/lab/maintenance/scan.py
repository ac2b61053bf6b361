"""What a heap of files says, before anything is written: whose picture each is, and which say nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from promptlab.errors import InputError, NotFound
from promptlab.images.foreign import ForeignMetadata, read_foreign
from promptlab.images.grid_metadata import GridMetadata, read_grid_metadata
from promptlab.images.metadata import ImageMetadata, self_description
from promptlab.records import RunRecord

__all__ = ["ImportedFile", "ScannedFile", "pictures_in", "read_files"]

_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".webp")
_NOT_PICTURES: Final = ("thumb.png",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """What came of taking in a run, or a file.

    Args:
        run: as it is now; ``None`` where a file gave none.
        new: whether the run was not here before.
        files: how many pictures were taken in, or mended.
        known: how many were here already, as they are.
        problem: why nothing came of a file.
        file: that file, or the one of a foreign picture.
    """

    run: RunRecord | None = None
    new: bool = False
    files: int = 0
    known: int = 0
    problem: str | None = None
    file: str | None = None


def pictures_in(paths: Iterable[str]) -> Iterator[Path]:
    """The picture files that ``paths`` name, those in folders in order of their names, hidden and preview files not.

    Raises:
        NotFound: for a path that is not there.
    """
    for text in paths:
        path = Path(text)
        if path.is_dir():
            for found in sorted(path.rglob("*")):
                name = found.name
                hidden = name.startswith(".") or name in _NOT_PICTURES or "+compressed." in name
                if found.suffix.lower() in _ENDINGS and found.is_file() and not hidden:
                    yield found
        elif path.is_file():
            yield path
        else:
            raise NotFound("picture", text, hint="promptlab import FILE or FOLDER")


@dataclass(slots=True)
class ScannedFile:
    """All that the files say, before anything is written."""

    pictures: dict[str, dict[int, tuple[ImageMetadata, Path]]] = field(default_factory=dict)
    runs: dict[str, GridMetadata] = field(default_factory=dict)
    sweeps: dict[str, GridMetadata] = field(default_factory=dict)
    foreign: list[tuple[ForeignMetadata, Path]] = field(default_factory=list)
    silent: list[ImportedFile] = field(default_factory=list)

    def number(self, uid: str) -> int:
        """The number that the run ``uid`` had where it was made."""
        if uid in self.runs:
            return self.runs[uid].record.id
        return next(iter(self.pictures[uid].values()))[0].run_id


def read_files(files: Iterable[Path]) -> ScannedFile:
    """Read all ``files``; those that cannot be read, or say nothing, are among the silent ones."""
    found = ScannedFile()
    for path in files:
        try:
            _sort_in(path, found)
        except InputError as error:
            found.silent.append(ImportedFile(problem=error.problem, file=str(path)))
    return found


def _sort_in(path: Path, found: ScannedFile) -> None:
    told = self_description(path)
    if told is not None:
        _keep_best(found.pictures.setdefault(told.run_uid, {}), told, path)
        return
    whole = read_grid_metadata(path)
    if whole is not None:
        (found.runs if isinstance(whole.record, RunRecord) else found.sweeps)[whole.record.uid] = whole
        return
    picture = read_foreign(path)
    if picture is None:
        found.silent.append(ImportedFile(problem="does not say how it was made", file=str(path)))
    else:
        found.foreign.append((picture, path))


def _keep_best(pictures: dict[int, tuple[ImageMetadata, Path]], told: ImageMetadata, path: Path) -> None:
    """The same picture may lie there as PNG and as JPEG: pixels without loss are the better ones."""
    known = pictures.get(told.position)
    if known is None or (known[1].suffix.lower() != ".png" and path.suffix.lower() == ".png"):
        pictures[told.position] = (told, path)
