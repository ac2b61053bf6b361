"""Writes a report in one step; a reader sees the old one or the new one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from promptlab.images.png import write_parts
from promptlab.images.report.contents import Contents, of_run, of_sweep
from promptlab.images.report.page import rendered, room
from promptlab.images.report.thumbnails import thumbnails
from promptlab.records import RunRecord, SweepRecord
from promptlab.workspace import Workspace

__all__ = ["save_report", "save_sweep_report"]


def save_report(run: RunRecord, workspace: Workspace) -> Path:
    """Write the report of a run.

    Returns:
        ``workspace.report(run.id)``.

    Raises:
        StoreError: when it cannot be written.
    """
    return _saved(of_run(run, workspace), workspace.report(run.id))


def save_sweep_report(sweep: SweepRecord, runs: Sequence[RunRecord], workspace: Workspace) -> Path:
    """Write the report of a sweep: the images of all its runs.

    Args:
        sweep: with the places and values of its runs.
        runs: their records, as far as they are there.

    Returns:
        ``workspace.sweep_report(sweep.id)``.

    Raises:
        StoreError: when it cannot be written.
    """
    return _saved(of_sweep(sweep, runs, workspace), workspace.sweep_report(sweep.id))


def _saved(contents: Contents, path: Path) -> Path:
    with suppress(OSError):  # writing says what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    write_parts(path, rendered(contents, thumbnails(contents.files, budget=room(contents))))
    return path
