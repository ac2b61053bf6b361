"""Lays out the artifacts of an MLflow run: hard links to the images, under MLflow's names.

::

    grid.png                     the whole run's grid
    thumb.png                    the same, narrow enough for the description, which scales nothing
    effect.png                   what the wordings do, where that was measured
    report.html                  the whole run's report, which knows where MLflow shows its images
    prompt.txt                   the words in full
    pictures/seed-07.png         the variant's images under names people can read
    images/seed~7+step+0+…       the same under the names of MLflow's ``log_image``: what its image charts find

A link costs no space and keeps the PNG with its text chunks to the byte. ``log_image`` itself would decode and encode
every image twice, drop the chunks, and refuse this artifact location.

Invariant: names are made of what never changes (run and place), so that laying the files out again replaces them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_OID, uuid5

from promptlab.errors import TrackerError
from promptlab.records import ImageRecord, RunRecord
from promptlab.tracking.internals import image_stem
from promptlab.tracking.sweep_run import SweepParentRun
from promptlab.tracking.variant_run import VariantRun
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = [
    "REPORT",
    "Artifact",
    "ArtifactStore",
    "image_key",
    "shared_file",
    "sweep_artifacts",
    "variant_artifacts",
    "write_sweep_artifacts",
    "write_variant_artifacts",
]

REPORT = "report.html"

SMALL_ENOUGH = 700_000
"""Bytes up to which the image itself serves as its own preview: sixty-four of them load at once from this machine."""

PREVIEW_SIDE = 512
"""Pixels of the longer side of the preview that a larger image gets."""


def image_key(seed: int) -> str:
    """Return the name under which MLflow's image charts line up the images of one seed."""
    return f"seed/{seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Places a file at ``name`` in the folder of a run.

    Args:
        name: relative to the folder, with slashes.
        source: the file to link to, or what makes its bytes.
    """

    name: str
    source: Path | Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStore:
    """Finds the folder of an MLflow run's artifacts.

    Args:
        workspace: whose images are shown.
        is_local: whether the workspace's own server serves them, from a folder of the workspace.
    """

    workspace: Workspace
    is_local: bool

    @contextmanager
    def folder_of(self, client: MlflowClient, mlflow_run: Run) -> Iterator[Path]:
        """Give the folder to fill: the one that is served, or one that is uploaded when it is full."""
        folder = self.served_folder(mlflow_run.info.artifact_uri)
        if folder is not None:
            yield folder
            return
        # On the workspace's own disk, so that what waits to be uploaded can be links as well.
        with tempfile.TemporaryDirectory(prefix=".upload-", dir=self.workspace.root) as waiting:
            yield Path(waiting)
            client.log_artifacts(mlflow_run.info.run_id, waiting)

    def served_folder(self, artifact_uri: str) -> Path | None:
        """Return the folder from which the workspace's own server serves ``artifact_uri``, or None.

        Raises:
            TrackerError: when the address leads out of the workspace.
        """
        parts = urlsplit(artifact_uri)
        if not self.is_local or parts.scheme != "mlflow-artifacts" or parts.netloc:
            return None
        path = PurePosixPath(unquote(parts.path))
        if ".." in path.parts:
            raise TrackerError(f"MLflow keeps files at {artifact_uri}, which leads out of the workspace")
        return self.workspace.artifacts.joinpath(*path.parts[1:])


@contextmanager
def shared_file(content: bytes, *, workspace: Workspace, sharers: int) -> Iterator[Path | bytes]:
    """Give a file of ``content`` for several runs to link to, for as long as the context lasts.

    Args:
        sharers: how many do; a single one, or nothing to share, is given the content itself.
    """
    if sharers < 2 or not content:
        yield content
        return
    with tempfile.TemporaryDirectory(prefix=".upload-", dir=workspace.root) as folder:
        file = Path(folder, "shared")
        file.write_bytes(content)
        yield file


def write_variant_artifacts(
    folder: Path, variant_run: VariantRun, *, workspace: Workspace, thumbnail: Path | bytes
) -> None:
    """Write what MLflow shows of a variant into ``folder``; what is there already is kept or replaced.

    Raises:
        OSError: when a file cannot be read or written.
    """
    _write_all(folder, variant_artifacts(variant_run, workspace=workspace, thumbnail=thumbnail))


def _write_all(folder: Path, files: Iterable[Artifact]) -> None:
    for one in files:
        target = folder / one.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(one.source, Path):
            _link(one.source, target)
        else:
            _write(target, one.source())


def variant_artifacts(variant_run: VariantRun, *, workspace: Workspace, thumbnail: Path | bytes) -> Iterator[Artifact]:
    """Yield the artifacts of a variant.

    Args:
        thumbnail: PNG file of the grid, or its content; empty without one.

    Raises:
        OSError: where an image is not there.
    """
    run = variant_run.run
    grid = workspace.grid(run.id)
    if grid.is_file():
        yield Artifact(name="grid.png", source=grid)
    effect = workspace.effect(run.id)
    if variant_run.measured and effect.is_file():
        yield Artifact(name=effect.name, source=effect)
    report = workspace.report(run.id)
    if report.is_file():
        yield Artifact(name=REPORT, source=report)
    if thumbnail:
        yield Artifact(name="thumb.png", source=thumbnail if isinstance(thumbnail, Path) else lambda: thumbnail)
    yield Artifact(name="prompt.txt", source=lambda: variant_run.prompt_file().encode())
    greatest = max(run.spec.seeds)
    for image in variant_run.made:
        if image.path is None:
            continue
        path = workspace.root / image.path
        stem = image_stem(image_key(image.seed), _stamp(run), _image_uid(run, image))
        yield Artifact(name=workspace.artifact_name(image.seed, greatest), source=path)
        yield Artifact(name=f"{stem}.png", source=path)
        if path.stat().st_size <= SMALL_ENOUGH:
            yield Artifact(name=f"{stem}+compressed.png", source=path)
        else:
            yield Artifact(name=f"{stem}+compressed.webp", source=partial(_preview, path))


def write_sweep_artifacts(
    folder: Path, sweep_run: SweepParentRun, *, thumbnail: bytes, overviews: Sequence[Path], report: Path | None = None
) -> None:
    """Write a sweep's artifacts into ``folder``: report, overview, thumbnail and the table of runs."""
    _write_all(folder, sweep_artifacts(sweep_run, thumbnail=thumbnail, overviews=overviews, report=report))


def sweep_artifacts(
    sweep_run: SweepParentRun, *, thumbnail: bytes, overviews: Sequence[Path], report: Path | None = None
) -> Iterator[Artifact]:
    """Yield the artifacts of a sweep."""
    if report is not None and report.is_file():
        yield Artifact(name=REPORT, source=report)
    for path in overviews:
        yield Artifact(name=path.name, source=path)
    if thumbnail:
        yield Artifact(name="thumb.png", source=lambda: thumbnail)
    yield Artifact(name="runs.csv", source=lambda: sweep_run.runs_file().encode())


def _stamp(run: RunRecord) -> int:
    return int(run.created_at.timestamp() * 1000)


def _image_uid(run: RunRecord, image: ImageRecord) -> str:
    return str(uuid5(NAMESPACE_OID, f"{run.uid}/{image.position}"))


def _preview(path: Path) -> bytes:
    from io import BytesIO

    from PIL import Image

    encoded = BytesIO()
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), reducing_gap=2.0)
        small.save(encoded, "WEBP", quality=85, method=0)
    return encoded.getvalue()


def _link(source: Path, target: Path) -> None:
    """Make ``target`` a hard link to ``source``, or a copy where the file system knows no links."""
    if target.exists() and target.samefile(source):
        return
    temporary = _temporary(target)
    try:
        os.link(source, temporary)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)


def _write(target: Path, content: bytes) -> None:
    temporary = _temporary(target)
    temporary.write_bytes(content)
    temporary.replace(target)


def _temporary(target: Path) -> Path:
    """Return a name beside ``target`` for a file that is not whole yet.

    What an earlier process left there goes.
    """
    temporary = target.with_name(f".{target.name[-60:]}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    return temporary
