"""A tracker that leaves MLflow out, which takes most of the time of a test that does not look at it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from promptlab.lab import context
from promptlab.records import ProbeRecord, RunRecord, SweepRecord
from promptlab.tracking import AddressReport, MlflowDifference, Tracker, no_report
from promptlab.tracking.address import TrackingAddress
from promptlab.workspace import Workspace


class TrackerWithoutMlflow:
    """Implements :class:`promptlab.tracking.Tracker`, and keeps nothing.

    The ids that it gives follow from the records, so that each command of a test may have one of its own. What MLflow
    shows it cannot say: a test that asks is to be marked ``mlflow``.
    """

    def prepare(self) -> None:
        """Nothing is needed."""

    def interrupt(self) -> None:
        """Nothing is waited for."""

    def record(
        self, run: RunRecord, *, parent: RunRecord | None, thumbnail: bytes, report: AddressReport = no_report
    ) -> Mapping[int, str]:
        recorded = _ids(run)
        report("1", {(run.id, position): run_id for position, run_id in recorded.items()})
        return recorded

    def record_sweep(
        self,
        sweep: SweepRecord,
        runs: Sequence[RunRecord],
        *,
        thumbnail: bytes,
        overviews: Sequence[Path],
        report: AddressReport = no_report,
    ) -> str:
        report("1", {(run.id, position): run_id for run in runs for position, run_id in _ids(run).items()})
        return _id(sweep.uid)

    def record_probe(self, probe: ProbeRecord, experiment: str) -> str:
        return _id(experiment, str(probe.probed_at))

    def compare(self, runs, sweeps, *, known: frozenset[str]) -> Iterator[MlflowDifference]:
        raise AssertionError("this test asks what MLflow shows: mark it mlflow")

    def close(self) -> None:
        """Nothing is open."""


def _ids(run: RunRecord) -> dict[int, str]:
    return {variant.position: _id(run.uid, str(variant.position)) for variant in run.variants}


def _id(*what: str) -> str:
    """As MLflow's own, 32 hex digits."""
    return hashlib.sha256("/".join(what).encode()).hexdigest()[:32]


_with_mlflow = context._mlflow_tracker


def _without_mlflow(workspace: Workspace, address: TrackingAddress | None) -> Tracker:
    return TrackerWithoutMlflow() if address is None else _with_mlflow(workspace, address)


@contextmanager
def recording(*, in_mlflow: bool):
    """Say where labs of this process record that are told of no tracker and of no server."""
    context._mlflow_tracker = _with_mlflow if in_mlflow else _without_mlflow
    try:
        yield
    finally:
        context._mlflow_tracker = _with_mlflow
