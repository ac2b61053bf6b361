"""Records finished runs in MLflow, from their records alone.

The database is the truth and MLflow is a view of it. So the whole interface is a few verbs: prepare, record a run,
record a sweep (or a probe), stop waiting, and compare what is shown with the records.

Invariant: recording the same run again updates what MLflow shows and never doubles it. A run that MLflow could not
record is whole all the same; ``promptlab sync`` records it later.

Importing this package costs nothing: mlflow (one to three seconds) comes in where it is first needed, inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from promptlab._lazy import imported_from
from promptlab.records import ProbeRecord, RunRecord, SweepRecord

if TYPE_CHECKING:
    from promptlab.tracking.address import TrackingAddress
    from promptlab.tracking.audit import MlflowDifference
    from promptlab.tracking.server import MlflowServer, serve
    from promptlab.tracking.tracker import MlflowTracker

__all__ = [
    "AddressReport",
    "MlflowDifference",
    "MlflowServer",
    "MlflowTracker",
    "Tracker",
    "TrackingAddress",
    "no_report",
    "serve",
]

_HOMES: Final = {
    "address": ("TrackingAddress",),
    "audit": ("MlflowDifference",),
    "server": ("MlflowServer", "serve"),
    "tracker": ("MlflowTracker",),
}
__getattr__ = imported_from(__name__, _HOMES)

AddressReport = Callable[[str, Mapping[tuple[int, int], str]], None]
"""Writes into a report where MLflow shows its images: called with MLflow's experiment and, by run and variant, MLflow's
runs, before the file is laid out. It cannot know them sooner, because MLflow chooses its own ids."""


def no_report(_experiment_id: str, _runs: Mapping[tuple[int, int], str]) -> None:
    """Do nothing: there is no report to write addresses into."""


class Tracker(Protocol):
    """Records runs where people look at them.

    Every failure is a :class:`~promptlab.errors.TrackerError` of one line.
    """

    def prepare(self) -> None:
        """Do beforehand what is slow the first time: create what recording needs, and open it.

        Safe in several processes at once, and in a thread of its own beside what takes longer.

        Raises:
            TrackerError: when it cannot be made.
        """

    def interrupt(self) -> None:
        """Stop waiting for a server: what is being recorded fails at once. For another thread to call."""

    def record(
        self, run: RunRecord, *, parent: RunRecord | None, thumbnail: bytes, report: AddressReport = no_report
    ) -> Mapping[int, str]:
        """Record ``run``, or update what is recorded of it.

        Args:
            run: as it stands; recorded again after a half-failed attempt or after more images were made, it updates.
            parent: the record of the run it was varied from.
            thumbnail: PNG file of the whole grid, at most 640 px wide, because nothing scales it; empty without a grid.
            report: called with where the images are shown, before the report is laid out.

        Returns:
            Each variant's position with the id of the MLflow run that shows it.

        Raises:
            TrackerError: when MLflow could not record it; ``run`` itself is whole, and recording can be repeated.
        """
        ...

    def record_sweep(
        self,
        sweep: SweepRecord,
        runs: Sequence[RunRecord],
        *,
        thumbnail: bytes,
        overviews: Sequence[Path],
        report: AddressReport = no_report,
    ) -> str:
        """Record a whole ``sweep``, or update what is recorded of it, once its runs are recorded.

        Args:
            sweep: with its dimensions.
            runs: the records of its runs.
            thumbnail: PNG file of the overview, at most 640 px wide; empty without one.
            overviews: the overview's pages, in order.
            report: called with where the images are shown, before the report is laid out.

        Returns:
            The id of the MLflow run that stands above those of the runs.

        Raises:
            TrackerError: when MLflow could not record it; recording can be repeated.
        """
        ...

    def record_probe(self, probe: ProbeRecord, experiment: str) -> str:
        """Record a probe as a run of its own.

        Returns:
            The id of the MLflow run.

        Raises:
            TrackerError: when MLflow could not record it.
        """
        ...

    def compare(
        self,
        runs: Iterable[RunRecord],
        sweeps: Iterable[tuple[SweepRecord, Sequence[RunRecord]]],
        *,
        known: frozenset[str],
    ) -> Iterator[MlflowDifference]:
        """Yield where MLflow differs from the records, one difference at most each. Changes nothing.

        Args:
            runs: those that have ended.
            sweeps: each with its runs.
            known: the uids of all runs and sweeps that there are; what is shown beyond them is a difference too.

        Raises:
            TrackerError: when MLflow cannot be read.
        """
        ...

    def close(self) -> None:
        """Close what is open, before the process ends; recording opens it again."""
