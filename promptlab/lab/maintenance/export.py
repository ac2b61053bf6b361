"""Exports a run or a sweep as a folder or zip that needs no workspace.

It holds images, grid, report, records, and an experiment file to remake them. Everything is built beside its place and
moved there in one step. Linked images become files of their own, and the report's links lead to the files beside it.
Imported again (:mod:`promptlab.lab.maintenance.import_images`), an export gives the same records.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from promptlab._csv import csv_text
from promptlab.errors import InputError, NotFound, StoreError
from promptlab.expand.experiment_file.writer import write_experiment
from promptlab.images.exif import write_photo
from promptlab.images.png import read_pixels, read_text, write_atomically
from promptlab.images.report import save_report, save_sweep_report
from promptlab.records import ImageRecord, RunRecord, SweepRecord, plain
from promptlab.workspace import Workspace

__all__ = ["FORMATS", "ExportResult", "Format", "ImageFormat", "export_image", "export_runs"]

Format = Literal["png", "jpeg", "webp"]
FORMATS: Final[dict[Format, str]] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
"""The formats, with the endings of their files."""

_COLUMNS: Final = ("image", "variant", "prompt", "negative_prompt", "seed", "status", "seconds", "flag", "verified",
                   "pixel_sha256", "recipe_key", "file")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFormat:
    """Writes images in one file format.

    Args:
        format: ``png`` keeps the files as they are; the others carry the same texts in EXIF.
        quality: 1 to 100, of JPEG and WebP.
        lossless: of WebP.
    """

    format: Format = "png"
    quality: int = 92
    lossless: bool = False

    def write(self, source: Path, target: Path) -> None:
        """Write ``source``, a PNG of ours, as a file of this format."""
        if self.format == "png":
            shutil.copyfile(source, target)
            return
        text = {name: value for name, value in read_text(source).items() if name in ("promptlab", "parameters")}
        write_photo(target, read_pixels(source), text, format=self.format, quality=self.quality, lossless=self.lossless)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """Names the exported folder, zip or image file, and counts the images in it."""

    path: Path
    pictures: int


def export_image(image: ImageRecord, workspace: Workspace, to: Path | None, image_format: ImageFormat) -> ExportResult:
    """Export one image.

    Args:
        to: a file, or a folder that exists; by default the image's own name in the current folder.

    Raises:
        NotFound: when it is not made, or its file is gone.
        InputError: when something is there already.
        StoreError: when it cannot be written.
    """
    source = _file_of(image, workspace)
    name = f"{image.run_id:05d}-{source.stem}{FORMATS[image_format.format]}"
    target = Path(name) if to is None else to / name if to.is_dir() else to
    _check_free(target)
    with _temporary_folder(target.parent) as folder:
        image_format.write(source, folder / target.name)
        (folder / target.name).rename(target)
    return ExportResult(path=target, pictures=1)


def export_runs(
    runs: Sequence[RunRecord],
    sweep: SweepRecord | None,
    workspace: Workspace,
    to: Path | None,
    image_format: ImageFormat,
    *,
    raw_csv: bool = False,
) -> ExportResult:
    """Export a run (``runs`` is that one), or a sweep with all its runs, a folder each.

    Args:
        to: a folder or a ``.zip`` that is not there yet; by default named after the run or sweep, here.
        raw_csv: whether texts in ``images.csv`` that a spreadsheet would compute stay as they are.

    Raises:
        InputError: when something is there already.
        StoreError: when it cannot be written.
    """
    own = f"sweep-{sweep.id:05d}" if sweep else f"run-{runs[0].id:05d}"
    target = Path(own) if to is None else to
    _check_free(target)
    with _temporary_folder(target.parent) as folder:
        inside = Workspace(folder)
        there = [_write_run(run, workspace, inside, image_format, raw_csv=raw_csv) for run in runs]
        if sweep is not None:
            _copy(sorted(workspace.sweep_folder(sweep.id).glob("grid-*.png")), inside.sweep_folder(sweep.id))
            save_sweep_report(sweep, there, inside)
            _write_json(inside.sweep_folder(sweep.id) / "sweep.json", sweep)
        whole = folder / "images" if sweep else inside.run_folder(runs[0].id)
        if target.suffix.lower() == ".zip":
            _zip(whole, folder / "all.zip", target.stem)
            whole = folder / "all.zip"
        whole.rename(target)
    return ExportResult(path=target, pictures=sum(len(run.made) for run in there))


def _write_run(
    run: RunRecord, workspace: Workspace, inside: Workspace, image_format: ImageFormat, *, raw_csv: bool
) -> RunRecord:
    """Write all files of ``run``; return its record with their paths."""
    folder = inside.run_folder(run.id)
    folder.mkdir(parents=True)
    images = []
    for image in run.images:
        place = None
        if image in run.made:
            path = folder / Path(inside.image_name(image.variant, image.seed)).with_suffix(FORMATS[image_format.format])
            image_format.write(_file_of(image, workspace), path)
            place = inside.relative(path)
        images.append(dataclasses.replace(image, path=place))
    there = dataclasses.replace(run, images=tuple(images))
    if workspace.grid(run.id).is_file():
        _copy([workspace.grid(run.id)], folder)
    save_report(there, inside)
    text = write_experiment(run.spec.vary(device=None), experiment=run.experiment, name=run.name, note=run.note)
    write_atomically(folder / "experiment.yaml", text.encode())
    _write_json(folder / "run.json", run)
    write_atomically(folder / "images.csv", _table(there, raw=raw_csv).encode())
    return there


def _table(run: RunRecord, *, raw: bool) -> str:
    """Return ``images.csv``, a row for each image."""
    return csv_text([_COLUMNS, *(_row(run, image) for image in run.images)], raw=raw)


def _row(run: RunRecord, image: ImageRecord) -> tuple[object, ...]:
    words = run.spec.variants[image.variant]
    return (
        image.ref, words.label, words.prompt, words.negative_prompt, image.seed, image.status.value,
        "" if image.seconds is None else f"{image.seconds:.4g}", image.flag or "",
        image.verified.outcome.value if image.verified else "", image.pixel_sha256 or "", image.recipe_key,
        image.path.rpartition("/")[2] if image.path else "",
    )  # fmt: skip


def _write_json(path: Path, record: RunRecord | SweepRecord) -> None:
    write_atomically(path, (json.dumps(plain(record), indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def _file_of(image: ImageRecord, workspace: Workspace) -> Path:
    if image.path is None:
        raise NotFound("picture", image.ref, allowed="one that was made", hint=f"promptlab resume {image.run_id}")
    return workspace.root / image.path


def _copy(files: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _zip(folder: Path, target: Path, name: str) -> None:
    """Zip ``folder`` as ``name``, uncompressed: images are compressed already."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path(name) / file.relative_to(folder))


def _check_free(target: Path) -> None:
    if target.exists():
        raise InputError("to", str(target), problem="is there already", allowed="a name that is free")
    if not target.absolute().parent.is_dir():
        raise InputError("to", str(target), problem="lies in a folder that does not exist", allowed="a folder")


@contextmanager
def _temporary_folder(where: Path) -> Iterator[Path]:
    """Create a hidden folder beside the target; it is removed afterwards, whatever happens."""
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=where, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except FileNotFoundError as error:
        raise NotFound("picture", error.filename, hint="promptlab doctor") from error
    except OSError as error:
        raise StoreError(f"{where} could not be written to: {error.strerror or error}") from error
