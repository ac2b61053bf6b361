"""Tells others: MLflow learns of a run once, when it is over, from its record alone.

The database is the truth and MLflow is a face of it. So the whole seam is two verbs, and the second may be called as
often as one likes: telling the same run again updates what MLflow shows and never doubles it. A run that MLflow could
not be told of is whole all the same.

Importing this room costs nothing: mlflow (one to three seconds) comes in where it is first needed, inside functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from promptlab.records import RunRecord, SweepRecord
from promptlab.tracking.server import Server, serve
from promptlab.tracking.tracker import MlflowTracker

__all__ = ["MlflowTracker", "Server", "Tracker", "serve"]


class Tracker(Protocol):
    """Whoever is told of runs. Every failure is a :class:`~promptlab.errors.TrackerError` of one line."""

    def prepare(self) -> None:
        """Do beforehand what is slow the first time: make what telling needs, where it is not there yet, and open it.

        Safe in several processes at once, and in a thread of its own beside what takes longer.

        Raises:
            TrackerError: when it cannot be made.
        """

    def record(self, run: RunRecord, *, parent: RunRecord | None, thumbnail: bytes) -> Mapping[int, str]:
        """Tell of ``run``, or tell it anew.

        Args:
            run: as it stands; told again after a half-failed attempt or after more pictures were made, it updates.
            parent: the record of the run it was varied from.
            thumbnail: PNG file of the whole grid, at most 640 px wide, because nothing scales it; empty without a grid.

        Returns:
            Each variant's position with the id of the MLflow run that shows it.

        Raises:
            TrackerError: when MLflow could not be told; ``run`` itself is whole, and telling can be tried again.
        """
        ...

    def record_sweep(
        self, sweep: SweepRecord, runs: Sequence[RunRecord], *, thumbnail: bytes, overviews: Sequence[Path]
    ) -> str:
        """Tell of a whole ``sweep``, or tell it anew, once its runs have been told of.

        Args:
            sweep: with its dimensions.
            runs: the records of its runs.
            thumbnail: PNG file of the overview, at most 640 px wide; empty without one.
            overviews: the overview's pages, in order.

        Returns:
            The id of the MLflow run that stands above those of the runs.

        Raises:
            TrackerError: when MLflow could not be told; telling can be tried again.
        """
        ...
