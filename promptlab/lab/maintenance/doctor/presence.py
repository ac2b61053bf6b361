"""Runs that were left: crashed, owing pictures, or without their grid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from promptlab.errors import InputError
from promptlab.lab.maintenance.doctor.findings import Finding, Kind, named
from promptlab.records import ImageStatus, RunRecord, RunStatus, SweepRecord
from promptlab.workspace import Workspace

__all__ = ["left", "ungridded", "unreported", "unviewed"]


def left(run: RunRecord) -> Iterator[Finding]:
    """A run that nobody is making, and that is not all made."""
    remedy = f"promptlab resume {run.id}"
    if run.status is RunStatus.RUNNING:
        yield Finding(
            kind=Kind.CRASHED, subject=f"run {run.id}", remedy=remedy, run_id=run.id,
            problem=f"left with {len(run.made)} of {len(run.images)} pictures made: no process is making it",
        )  # fmt: skip
        return
    for status, problem in ((ImageStatus.OWED, "still owed"), (ImageStatus.FAILED, "could not be made")):
        images = [image for image in run.images if image.status is status]
        if images:
            error = f": {images[0].error}" if images[0].error else ""
            yield Finding(
                kind=Kind.OWED, subject=named(images), problem=f"{problem}{error}", remedy=remedy,
                run_id=run.id, positions=tuple(image.position for image in images),
            )  # fmt: skip


def ungridded(run: RunRecord, workspace: Workspace) -> Iterator[Finding]:
    """An ended run whose grid is not there, or damaged."""
    path = workspace.grid(run.id)
    if run.made and (why := _unreadable(path)):
        yield Finding(
            kind=Kind.GRID, subject=f"run {run.id}", problem=f"the grid {why} ({workspace.relative(path)})",
            remedy="promptlab doctor --fix", fixable=True, run_id=run.id, path=workspace.relative(path),
        )  # fmt: skip


def unreported(run: RunRecord, workspace: Workspace) -> Iterator[Finding]:
    """An ended run without its page."""
    path = workspace.report(run.id)
    if run.made and not path.is_file():
        yield Finding(
            kind=Kind.GRID, subject=f"run {run.id}", problem=f"the report is missing ({workspace.relative(path)})",
            remedy="promptlab doctor --fix", fixable=True, run_id=run.id, path=workspace.relative(path),
        )  # fmt: skip


def unviewed(sweep: SweepRecord, workspace: Workspace) -> Iterator[Finding]:
    """A sweep whose overview is not there, or damaged; only its first page is surely there."""
    pages = {workspace.sweep_grid(sweep.id, 1), *workspace.sweep_folder(sweep.id).glob("grid-*.png")}
    for path in sorted(pages):
        if why := _unreadable(path):
            yield Finding(
                kind=Kind.GRID, subject=f"sweep {sweep.id}", path=workspace.relative(path), sweep_id=sweep.id,
                problem=f"the overview {why} ({workspace.relative(path)})",
                remedy="promptlab doctor --fix", fixable=True,
            )  # fmt: skip


def _unreadable(path: Path) -> str | None:
    from promptlab.images.png import read_text

    try:
        read_text(path)
    except InputError as error:
        return "is missing" if not path.exists() else error.problem
    return None
