"""MLflow against the rows, and telling it what it missed: ``promptlab sync`` and the checkup look in one way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from promptlab.errors import TrackerError
from promptlab.lab.execution.events import Progress, TrackingFailed, Watch
from promptlab.lab.maintenance.doctor.findings import Finding, Kind
from promptlab.records import RunRecord, RunStatus, SweepRecord

if TYPE_CHECKING:
    from promptlab.lab.execution.executor import Executor
    from promptlab.store.notebook import Notebook
    from promptlab.tracking import MlflowDifference, Tracker

__all__ = ["ENDED", "Synced", "ended_runs", "misled", "missed", "sync"]

ENDED: Final = frozenset({RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """The numbers of the runs and sweeps that MLflow has been told of."""

    runs: tuple[int, ...] = ()
    sweeps: tuple[int, ...] = ()


def ended_runs(notebook: Notebook, workshop: Executor, watch: Watch, *, what: str) -> Iterator[RunRecord]:
    """Every run that has ended and that no process is making."""
    ids = [run_id for run_id, status in notebook.standing() if status in ENDED]
    for count, run_id in enumerate(ids, 1):
        if not workshop.busy(run_id):
            yield notebook.run(run_id)
        watch(Progress(what=what, count=count, of=len(ids)))


def missed(notebook: Notebook, tracker: Tracker, runs: Iterable[RunRecord]) -> Iterator[MlflowDifference]:
    """Where MLflow says something else than the rows of ``runs`` and of the sweeps that are theirs.

    Raises:
        TrackerError: when MLflow cannot be read.
    """
    by_sweep: set[int] = set()

    def kept() -> Iterator[RunRecord]:
        for run in runs:
            if run.sweep_id is not None:
                by_sweep.add(run.sweep_id)
            yield run

    def whole() -> Iterator[tuple[SweepRecord, list[RunRecord]]]:
        for sweep in map(notebook.sweep, sorted(by_sweep)):  # by now all runs have been seen
            its = [notebook.run(one.run_id) for one in sweep.runs]
            if all(run.status in ENDED for run in its):
                yield sweep, its

    yield from tracker.compare(kept(), whole(), known=notebook.all_uids())


def misled(differences: Iterable[MlflowDifference], doubted: Collection[int]) -> Iterator[Finding]:
    """The differences as findings.

    Args:
        doubted: runs whose rows are in doubt: MLflow may be the one that is right, and is not told over.
    """
    for one in differences:
        if one.run_id is None and one.sweep_id is None:
            yield Finding(
                kind=Kind.STRANGER, subject=f"MLflow run {one.mlflow_run_id}", problem=one.problem,
                remedy=f"promptlab import {one.folder}/pictures" if one.folder else None, path=one.folder,
            )  # fmt: skip
            continue
        sure = one.fixable and one.run_id not in doubted
        gone = f"mlflow gc --run-ids {one.mlflow_run_id}"  # parameters cannot be changed, only told anew
        yield Finding(
            kind=Kind.MLFLOW, subject=f"run {one.run_id}" if one.run_id is not None else f"sweep {one.sweep_id}",
            problem=one.problem, fixable=sure, run_id=one.run_id, sweep_id=one.sweep_id,
            remedy="promptlab sync" if one.fixable
            else f"mlflow runs delete --run-id {one.mlflow_run_id}; {gone}; promptlab sync",
        )  # fmt: skip


def sync(notebook: Notebook, workshop: Executor, tracker: Tracker, watch: Watch, *, everything: bool) -> Synced:
    """Tell MLflow of every ended run and sweep that it shows wrongly or not at all; of all of them, if ``everything``.

    Told twice it changes nothing the second time. Runs that a process is making are left to it.

    Raises:
        TrackerError: when MLflow cannot be read, or some could not be told; the others are.
    """
    runs: dict[int, RunRecord] = {}

    def kept() -> Iterator[RunRecord]:
        for run in ended_runs(notebook, workshop, watch, what="comparing with MLflow"):
            runs[run.id] = run
            yield run

    found = [one for one in missed(notebook, tracker, kept()) if one.fixable]
    wanted = {one.run_id for one in found} | {run.id for run in runs.values() if run.tracked_at is None}
    told, failures = [], []
    for run in runs.values():
        if everything or run.id in wanted:
            try:
                workshop.tell(run)
                told.append(run.id)
            except TrackerError as error:
                failures.append(error)
                watch(TrackingFailed(run_id=run.id, reason=str(error)))
            watch(Progress(what="telling MLflow", count=len(told) + len(failures), of=len(wanted)))
    sweeps = _sweeps(notebook, runs, told, {one.sweep_id for one in found}, everything=everything)
    told_sweeps = []
    for sweep_id in sweeps:
        try:
            workshop.tell_sweep(notebook.sweep(sweep_id))
            told_sweeps.append(sweep_id)
        except TrackerError as error:
            failures.append(error)
    if failures:
        raise TrackerError(
            f"{len(failures)} of {len(told) + len(told_sweeps) + len(failures)} could not be told: {failures[0]}"
        )
    return Synced(runs=tuple(told), sweeps=tuple(told_sweeps))


def _sweeps(
    notebook: Notebook, runs: dict[int, RunRecord], told: Sequence[int], wrong: Collection[int | None], *,
    everything: bool,
) -> list[int]:  # fmt: skip
    """The sweeps to be told: those shown wrongly, never told, or with a run that has been told just now.

    Only those whose runs have all ended: of the others whoever makes them tells.
    """
    own = sorted({run.sweep_id for run in runs.values() if run.sweep_id is not None})
    found = []
    for sweep_id in own:
        sweep = notebook.sweep(sweep_id)
        its = {one.run_id for one in sweep.runs}
        stale = everything or sweep_id in wrong or sweep.tracked_at is None or its & set(told)
        if stale and its <= runs.keys():
            found.append(sweep_id)
    return found
