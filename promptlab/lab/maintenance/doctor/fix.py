"""What ``promptlab doctor --fix`` does: only what loses nothing. No picture and no row is ever deleted by it.

A picture that is lost is first looked for among the files that MLflow shows: they were links to it, and outlive it.
Only where none has its very pixels is it marked as owed, for ``promptlab resume`` to make again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import InputError
from promptlab.lab.execution.events import Watch
from promptlab.lab.maintenance.doctor.findings import Finding, Kind
from promptlab.records import ImageRecord, RunRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.lab.execution.executor import Executor
    from promptlab.store.notebook import Notebook

__all__ = ["mend"]


def mend(
    findings: Sequence[Finding], workspace: Workspace, notebook: Notebook, workshop: Executor, watch: Watch
) -> None:
    """Mend those of ``findings`` that are fixable, but for the schema.

    Raises:
        StoreError: when a row or a file cannot be written.
    """
    wanted = [finding for finding in findings if finding.fixable]
    for finding in wanted:
        if finding.kind is Kind.LEFTOVER and finding.path is not None:
            _remove(workspace.root / finding.path)
    lost = [finding for finding in wanted if finding.kind in (Kind.MISSING, Kind.DAMAGED)]
    doubted = {finding.run_id for finding in findings if finding.kind in (Kind.ROW, Kind.CHUNK)}
    touched: set[int | None] = set(_brought_back(lost, workspace, notebook))
    touched |= {finding.run_id for finding in wanted if finding.kind in (Kind.GRID, Kind.MLFLOW)}
    touched -= doubted  # a row that was edited is told to nobody
    for run_id in sorted(run_id for run_id in touched if run_id is not None):
        workshop.show(notebook.run(run_id), watch)
    sweeps = {finding.sweep_id for finding in wanted}
    sweeps |= {notebook.run(run_id).sweep_id for run_id in touched if run_id is not None}
    for sweep_id in sorted(sweep_id for sweep_id in sweeps if sweep_id is not None):
        workshop.show_sweep(notebook.sweep(sweep_id), watch)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _brought_back(lost: Iterable[Finding], workspace: Workspace, notebook: Notebook) -> set[int]:
    """Put lost pictures back where a copy is left, and owe the others. Gives the runs whose pictures are owed now."""
    owed: dict[int, list[int]] = {}
    for finding in lost:
        if finding.run_id is None:
            continue
        run = notebook.run(finding.run_id)
        image = run.images[finding.positions[0]]
        if not _restored(run, image, workspace):
            owed.setdefault(run.id, []).append(image.position)
    for run_id, positions in owed.items():
        notebook.owe_images(run_id, positions)
    return set(owed)


def _restored(run: RunRecord, image: ImageRecord, workspace: Workspace) -> bool:
    """Whether a whole copy of the picture was found among MLflow's files, and put in its place."""
    from promptlab.images.metadata import self_description
    from promptlab.images.png import pixel_sha256, read_pixels, write_atomically

    told = run.variants[image.variant].mlflow_run_id
    if told is None or image.path is None:
        return False
    for copy in workspace.artifacts.glob(f"*/{told}/artifacts/pictures/seed-*{image.seed}.png"):
        try:
            if pixel_sha256(read_pixels(copy)) != image.pixel_sha256 or self_description(copy) is None:
                continue
        except InputError:
            continue
        place = workspace.root / image.path
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, copy.read_bytes())
        return True
    return False
