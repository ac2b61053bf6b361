"""Fixes findings, as ``promptlab doctor --fix``, where nothing can be lost.

A lost image is first looked for among MLflow's artifacts: they were hard links to it, and outlive it. Only where none
has the very same pixels is the image marked as owed, for ``promptlab resume`` to make again.

Invariant: no image and no row is ever deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import InputError
from promptlab.lab.execution.events import Watch
from promptlab.lab.maintenance.doctor.findings import Finding, FindingKind
from promptlab.records import ImageRecord, RunRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.lab.context import LabContext
    from promptlab.store.notebook import Notebook

__all__ = ["fix_findings"]


def fix_findings(findings: Sequence[Finding], context: LabContext, watch: Watch) -> None:
    """Fix those of ``findings`` that are fixable, except the schema.

    Raises:
        StoreError: when a row or a file cannot be written.
    """
    workspace, notebook = context.workspace, context.notebook
    wanted = [finding for finding in findings if finding.fixable]
    for finding in wanted:
        if finding.kind is FindingKind.LEFTOVER and finding.path is not None:
            _remove(workspace.root / finding.path)
    lost = [finding for finding in wanted if finding.kind in (FindingKind.MISSING, FindingKind.DAMAGED)]
    doubted = {finding.run_id for finding in findings if finding.kind in (FindingKind.ROW, FindingKind.CHUNK)}
    touched: set[int | None] = set(_restore_or_owe(lost, workspace, notebook))
    touched |= {finding.run_id for finding in wanted if finding.kind in (FindingKind.GRID, FindingKind.MLFLOW)}
    touched -= doubted  # a row that was edited is published nowhere
    for run_id in sorted(run_id for run_id in touched if run_id is not None):
        context.publisher.publish_run(notebook.run(run_id), watch)
    sweeps = {finding.sweep_id for finding in wanted}
    sweeps |= {notebook.run(run_id).sweep_id for run_id in touched if run_id is not None}
    whole = sweeps.difference(notebook.cut_short_sweeps())  # others are published once they are
    for sweep_id in sorted(sweep_id for sweep_id in whole if sweep_id is not None):
        context.publisher.publish_sweep(notebook.sweep(sweep_id), watch)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _restore_or_owe(lost: Iterable[Finding], workspace: Workspace, notebook: Notebook) -> set[int]:
    """Restore lost images where a copy is left, and mark the others as owed; return the runs of those."""
    owed: dict[int, list[int]] = {}
    for finding in lost:
        if finding.run_id is None:
            continue
        run = notebook.run(finding.run_id)
        image = run.images[finding.positions[0]]
        if not _restore_copy(run, image, workspace):
            owed.setdefault(run.id, []).append(image.position)
    for run_id, positions in owed.items():
        notebook.owe_images(run_id, positions)
    return set(owed)


def _restore_copy(run: RunRecord, image: ImageRecord, workspace: Workspace) -> bool:
    """Restore the image from a whole copy among MLflow's artifacts; return whether there was one."""
    from promptlab.images.metadata import self_description
    from promptlab.images.png import pixel_sha256, read_pixels, write_atomically

    mlflow_run_id = run.variants[image.variant].mlflow_run_id
    if mlflow_run_id is None or image.path is None:
        return False
    for copy in workspace.artifacts.glob(f"*/{mlflow_run_id}/artifacts/pictures/seed-*{image.seed}.png"):
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
