"""Publishes runs and sweeps that have ended: grids, overviews, reports, and MLflow.

Invariant: a run is whole in the database before it is published, and nothing that goes wrong here can take it down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from promptlab.errors import InputError, StoreError, TrackerError
from promptlab.images.grid import save_grid, thumbnail
from promptlab.lab.execution.events import GridFailed, RunSaved, TrackingFailed, TrackingStarted, Watch
from promptlab.lab.execution.recorder import Recorder, RecorderLost
from promptlab.records import RunRecord, RunStatus, SweepRecord
from promptlab.store.notebook import Notebook
from promptlab.tracking import AddressReport, Tracker
from promptlab.workspace import Workspace

__all__ = ["Publisher", "remove_leftovers"]


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed left half written in the folder of a run or sweep.

    Nobody else may be writing there: whoever calls holds the lock of the run or sweep.
    """
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


class Publisher:
    """Writes what people look at, and records in MLflow.

    Args:
        recorder: records in a process of its own; where there is none, or it was killed, ``tracker`` does in this one.
    """

    def __init__(
        self, notebook: Notebook, workspace: Workspace, tracker: Tracker, recorder: Recorder | None = None
    ) -> None:
        self._notebook, self._workspace, self._tracker, self._recorder = notebook, workspace, tracker, recorder

    @property
    def records_beside(self) -> bool:
        """Say whether another process records, and is idle while this one loads a pipeline."""
        return self._recorder is not None

    def prepare(self) -> None:
        """Get MLflow ready, which takes seconds.

        Raises:
            TrackerError: when it cannot be.
        """
        if not self._recorded(Recorder.prepare):
            self._tracker.prepare()

    def interrupt(self) -> None:
        """Stop waiting for a tracker: what is being told is said to be untold. For another thread to call."""
        self._tracker.interrupt()

    def publish_run(self, run: RunRecord, watch: Watch) -> RunRecord:
        """Draw the grid and write the report of an ended run, and record it in MLflow."""
        from promptlab.images.report import save_report

        try:
            save_grid(run, self._workspace, uids=self._notebook.uids(run.named_runs))
            save_report(run, self._workspace)
        except StoreError as error:
            watch(GridFailed(run_id=run.id, reason=str(error)))
        if run.status is RunStatus.FINISHED:
            watch(RunSaved(run=run))
        return self.track_run(run, watch)

    def refresh_reports(self, runs: Sequence[RunRecord], watch: Watch) -> None:
        """Write the reports of ``runs`` and of their sweeps anew: they say what was measured since.

        MLflow is told of the sweeps; of the runs by whoever calls.
        """
        from promptlab.images.report import save_report

        for run in runs:
            try:
                save_report(run, self._workspace)
            except StoreError as error:
                watch(GridFailed(run_id=run.id, reason=str(error)))
        for sweep_id in dict.fromkeys(run.sweep_id for run in runs if run.sweep_id is not None):
            self.publish_sweep(self._notebook.sweep(sweep_id), watch)

    def is_published(self, run_id: int) -> bool:
        """Return whether the grid and the report of a run are there, and nothing half written is beside them."""
        try:
            names = {entry.name for entry in os.scandir(self._workspace.run_folder(run_id))}
        except OSError:
            return False
        drawn = {self._workspace.grid(run_id).name, self._workspace.report(run_id).name}
        return drawn <= names and not any(name.startswith(".") and name.endswith(".tmp") for name in names)

    def publish_sweep(self, sweep: SweepRecord, watch: Watch) -> SweepRecord:
        """Draw the overview and write the report of a sweep that has runs, and record it above them in MLflow."""
        from promptlab.images.overview import save_overview
        from promptlab.images.report import save_sweep_report

        if not sweep.runs:
            return sweep
        runs = self._runs(sweep)
        newest = runs[-1].id
        try:
            save_overview(sweep, runs, self._workspace)
            save_sweep_report(sweep, runs, self._workspace)
        except StoreError as error:
            watch(GridFailed(run_id=newest, reason=str(error)))
        watch(TrackingStarted())
        try:
            return self._record_sweep(sweep, runs)
        except TrackerError as error:
            watch(TrackingFailed(run_id=newest, reason=str(error)))
            return sweep

    def track_run(self, run: RunRecord, watch: Watch) -> RunRecord:
        """Record ``run`` in MLflow; that this fails is no failure of the run."""
        watch(TrackingStarted())
        try:
            return self.record_run(run)
        except TrackerError as error:
            watch(TrackingFailed(run_id=run.id, reason=str(error)))
            return run

    def record_run(self, run: RunRecord) -> RunRecord:
        """Record ``run`` in MLflow, as it is now: what was said of it since it was read counts.

        Raises:
            TrackerError: when it cannot be.
        """
        if self._recorded(lambda recorder: recorder.record_run(run.id)):
            return self._notebook.run(run.id)
        with self._notebook.database.writing("looking at what was said"):
            read_at = datetime.now(UTC)  # what is of an earlier time was written by now: writers take turns
        run = self._notebook.run(run.id)
        parent = None if run.parent_run_id is None else self._notebook.run(run.parent_run_id)
        recorded = self._tracker.record(
            run,
            parent=parent,
            thumbnail=_thumbnail(self._workspace.grid(run.id)),
            report=_report_at(self._workspace.report(run.id)),
        )
        return self._notebook.mark_tracked(run.id, recorded, at=read_at)

    def record_sweep(self, sweep: SweepRecord) -> SweepRecord:
        """Record ``sweep`` in MLflow, with the overview as it was drawn.

        Raises:
            TrackerError: when it cannot be.
        """
        return self._record_sweep(sweep, self._runs(sweep))

    def _runs(self, sweep: SweepRecord) -> tuple[RunRecord, ...]:
        return self._notebook.runs([one.run_id for one in sweep.runs])

    def _record_sweep(self, sweep: SweepRecord, runs: Sequence[RunRecord]) -> SweepRecord:
        if self._recorded(lambda recorder: recorder.record_sweep(sweep.id)):
            return self._notebook.sweep(sweep.id)
        pages = self._overview(sweep)
        recorded = self._tracker.record_sweep(
            sweep,
            runs,
            thumbnail=_thumbnail(pages[0]) if pages else b"",
            overviews=pages,
            report=_report_at(self._workspace.sweep_report(sweep.id)),
        )
        return self._notebook.mark_sweep_tracked(sweep.id, recorded)

    def _recorded(self, ask: Callable[[Recorder], None]) -> bool:
        """Ask the other process; return whether there is one.

        Raises:
            TrackerError: when MLflow could not record it.
        """
        if self._recorder is None:
            return False
        try:
            ask(self._recorder)
        except RecorderLost:
            return False
        return True

    def _overview(self, sweep: SweepRecord) -> tuple[Path, ...]:
        """Return the pages that were drawn, in order."""
        pages: list[Path] = []
        while (page := self._workspace.sweep_grid(sweep.id, len(pages) + 1)).is_file():
            pages.append(page)
        return tuple(pages)


def _thumbnail(grid: Path) -> bytes:
    """Return that of a grid or overview; empty where there is none, or a damaged one."""
    try:
        return thumbnail(grid)
    except InputError:
        return b""


def _report_at(path: Path) -> AddressReport:
    """Return how the report at ``path`` learns where MLflow shows its images."""

    def address(experiment_id: str, runs: Mapping[tuple[int, int], str]) -> None:
        from promptlab.images.report import address_report

        with suppress(StoreError):  # the file is whole as it was, and shows its small images
            address_report(path, experiment_id, runs)

    return address
