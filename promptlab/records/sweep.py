"""Records sweeps: the runs that came of one set of axes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

__all__ = ["SweepRecord", "SweepRun", "sweep_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRun:
    """Records a run's part in a sweep: number, place on each dimension, axis values as labels show them."""

    run_id: int
    place: tuple[int, ...]
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """Records a sweep: the runs that came of one set of axes.

    Args:
        id: the sweep's number in its workspace, from 1; ``sweep:<id>`` names it on the command line.
        uid: 32 hex digits, unique anywhere.
        experiment, name, note: as the user named them; its runs have the same.
        created_at: UTC.
        dimensions: the fields that vary: one, or those of a zip group, for each dimension; the first is the slowest.
        runs: in the order in which they were begun, as far as they were.
        mlflow_run_id: the MLflow run above those of its runs.
        tracked_at: when MLflow was told.
    """

    id: int
    uid: str
    experiment: str
    name: str | None
    note: str | None
    created_at: datetime
    dimensions: tuple[tuple[str, ...], ...]
    runs: tuple[SweepRun, ...]
    mlflow_run_id: str | None = None
    tracked_at: datetime | None = None


def sweep_key(runs: Iterable[tuple[str, Iterable[str]]]) -> str:
    """Return the hash of all that a sweep was asked for: the same sweep has the same key.

    Args:
        runs: in the order in which they were begun, each with the hash of its environment and the recipe keys that its
            images were asked for by, in the grid's order.
    """
    digest = sha256()
    for environment, keys in runs:
        digest.update("\n".join((environment, *keys)).encode())
    return digest.hexdigest()
