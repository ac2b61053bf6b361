"""Compares MLflow with the database, for ``promptlab doctor``, and records what it lacks: ``sync``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from promptlab.errors import TrackerError
from promptlab.lab.execution.events import Progress, TrackingFailed, Watch
from promptlab.lab.maintenance.doctor.findings import Finding, FindingKind
from promptlab.records import RunRecord, RunStatus, SweepRecord

if TYPE_CHECKING:
    from promptlab.lab.context import LabContext
    from promptlab.store.notebook import Notebook
    from promptlab.tracking import MlflowDifference, Tracker

__all__ = ["ENDED", "SyncResult", "compare_with_mlflow", "mlflow_findings", "sync"]

ENDED: Final = frozenset({RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED})

_RUNS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """Lists the runs and sweeps that were recorded in MLflow, by their numbers."""

    runs: tuple[int, ...] = ()
    sweeps: tuple[int, ...] = ()


def _ended_runs(context: LabContext, watch: Watch) -> Iterator[RunRecord]:
    """Yield every run that has ended and that no process is making."""
    notebook = context.notebook
    busy = context.locks.busy_of(notebook.unpublished())
    ids = [run_id for run_id, status in notebook.run_statuses() if status in ENDED and run_id not in busy]
    for start in range(0, len(ids), _RUNS_AT_ONCE):
        for count, run in enumerate(notebook.runs(ids[start : start + _RUNS_AT_ONCE]), start + 1):
            yield run
            watch(Progress(what="comparing with MLflow", count=count, of=len(ids)))


def compare_with_mlflow(notebook: Notebook, tracker: Tracker, runs: Iterable[RunRecord]) -> Iterator[MlflowDifference]:
    """Yield where MLflow differs from the rows of ``runs`` and of their sweeps.

    Raises:
        TrackerError: when MLflow cannot be read.
    """
    by_sweep: set[int] = set()

    def kept() -> Iterator[RunRecord]:
        for run in runs:
            if run.sweep_id is not None:
                by_sweep.add(run.sweep_id)
            yield run

    def whole() -> Iterator[tuple[SweepRecord, Sequence[RunRecord]]]:
        cut_short = notebook.cut_short_sweeps()  # are recorded once they are whole
        for sweep in map(notebook.sweep, sorted(by_sweep.difference(cut_short))):  # by now all runs have been seen
            its = notebook.runs([one.run_id for one in sweep.runs])
            if all(run.status in ENDED for run in its):
                yield sweep, its

    yield from tracker.compare(kept(), whole(), known=notebook.all_uids())


def mlflow_findings(differences: Iterable[MlflowDifference], doubted: Collection[int]) -> Iterator[Finding]:
    """Turn differences into findings.

    Args:
        doubted: runs whose rows are in doubt: MLflow may be the one that is right, and is not overwritten.
    """
    for one in differences:
        if one.run_id is None and one.sweep_id is None:
            yield Finding(
                kind=FindingKind.STRANGER, subject=f"MLflow run {one.mlflow_run_id}", problem=one.problem,
                remedy=f"promptlab import {one.folder}/pictures" if one.folder else None, path=one.folder,
            )  # fmt: skip
            continue
        sure = one.fixable and one.run_id not in doubted
        gone = f"mlflow gc --run-ids {one.mlflow_run_id}"  # parameters cannot be changed, only recorded again
        yield Finding(
            kind=FindingKind.MLFLOW, subject=f"run {one.run_id}" if one.run_id is not None else f"sweep {one.sweep_id}",
            problem=one.problem, fixable=sure, run_id=one.run_id, sweep_id=one.sweep_id,
            remedy="promptlab sync" if one.fixable
            else f"mlflow runs delete --run-id {one.mlflow_run_id}; {gone}; promptlab sync",
        )  # fmt: skip


def sync(context: LabContext, watch: Watch, *, everything: bool) -> SyncResult:
    """Record in MLflow the ended runs and sweeps that it shows wrongly or not at all.

    With ``everything`` all of them are recorded again. A second call changes nothing. Runs that a process is making are
    left to it.

    Raises:
        TrackerError: when MLflow cannot be read, or some could not be recorded; the others are.
    """
    notebook, publisher = context.notebook, context.publisher
    runs: dict[int, RunRecord] = {}

    def kept() -> Iterator[RunRecord]:
        for run in _ended_runs(context, watch):
            runs[run.id] = run
            yield run

    found = [one for one in compare_with_mlflow(notebook, context.tracker, kept()) if one.fixable]
    wanted = {one.run_id for one in found} | {run.id for run in runs.values() if run.tracked_at is None}
    recorded, failures = [], []
    for run in runs.values():
        if everything or run.id in wanted:
            try:
                publisher.record_run(run)
                recorded.append(run.id)
            except TrackerError as error:
                failures.append(error)
                watch(TrackingFailed(run_id=run.id, reason=str(error)))
            watch(Progress(what="telling MLflow", count=len(recorded) + len(failures), of=len(wanted)))
    sweeps = _sweeps(notebook, runs, recorded, {one.sweep_id for one in found}, everything=everything)
    recorded_sweeps = []
    for sweep_id in sweeps:
        try:
            publisher.record_sweep(notebook.sweep(sweep_id))
            recorded_sweeps.append(sweep_id)
        except TrackerError as error:
            failures.append(error)
    if failures:
        raise TrackerError(
            f"{len(failures)} of {len(recorded) + len(recorded_sweeps) + len(failures)} could not be told: "
            f"{failures[0]}"
        )
    return SyncResult(runs=tuple(recorded), sweeps=tuple(recorded_sweeps))


def _sweeps(
    notebook: Notebook, runs: dict[int, RunRecord], recorded: Sequence[int], wrong: Collection[int | None], *,
    everything: bool,
) -> list[int]:  # fmt: skip
    """Return the sweeps to record: shown wrongly, never recorded, or with a run just recorded.

    Only those that have all their runs, and whose runs have all ended: whoever makes the others records them.
    """
    own = sorted(
        {run.sweep_id for run in runs.values() if run.sweep_id is not None}.difference(notebook.cut_short_sweeps())
    )
    found = []
    for sweep_id in own:
        sweep = notebook.sweep(sweep_id)
        its = {one.run_id for one in sweep.runs}
        stale = everything or sweep_id in wrong or sweep.tracked_at is None or its & set(recorded)
        if stale and its <= runs.keys():
            found.append(sweep_id)
    return found
