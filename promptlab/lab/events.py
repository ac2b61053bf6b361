"""What a lab tells whoever watches a run: the engine's events and its own. For progress bars and closing lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from promptlab.engine import EngineEvent
from promptlab.plan import CutPrompt
from promptlab.records import RunRecord

__all__ = [
    "Compared",
    "Comparing",
    "Cut",
    "Event",
    "Fitted",
    "Generated",
    "Looking",
    "ProbeUntold",
    "Reused",
    "RunBegan",
    "Smaller",
    "Stopping",
    "SweepBegan",
    "Telling",
    "Trying",
    "Undrawn",
    "Untold",
    "Watch",
    "unwatched",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegan:
    """The run is in the notebook, every image owed."""

    run: RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """``count`` of the images of the runs that are made together have left the engine."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """A forward of ``rows`` images did not fit: ``images`` of run ``run_id`` are made in batches of ``batch_size``."""

    run_id: int
    rows: int
    batch_size: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trying:
    """A forward of ``batch_size`` images is tried out, to see whether it fits and what it takes."""

    batch_size: int
    attention_slicing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """``auto`` is a batch size of ``batch_size``; ``tried`` sizes were tried out for it, the rest was remembered."""

    batch_size: int
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeUntold:
    """MLflow could not be told of a probe, for ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """The whole of run ``run_id`` was made before: nothing is made."""

    run_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepBegan:
    """A sweep of ``runs`` runs and ``images`` images begins."""

    sweep_id: int
    runs: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Text encoders will not see all of ``prompts``: what they would cut, told before anything is made."""

    prompts: tuple[CutPrompt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """``images`` pictures are to be made again and compared."""

    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``count`` of them have been."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """Of ``of`` things, ``count`` have been looked at, or told; ``what`` they are, in a word or two."""

    what: str
    count: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Ctrl-C was pressed: the pictures under way are finished; pressed again, everything stops at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """All is saved; MLflow is being told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undrawn:
    """The grid of run ``run_id`` could not be written, for ``reason``; its pictures are whole."""

    run_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """MLflow could not be told about run ``run_id``, for ``reason``; the run is whole."""

    run_id: int
    reason: str


Event = (
    EngineEvent
    | RunBegan
    | Generated
    | Smaller
    | Trying
    | Fitted
    | ProbeUntold
    | Reused
    | SweepBegan
    | Cut
    | Comparing
    | Compared
    | Looking
    | Stopping
    | Telling
    | Undrawn
    | Untold
)
Watch = Callable[[Event], None]
"""Called on the thread that runs; must be quick and must not raise."""


def unwatched(_event: Event) -> None:
    """Nobody is watching."""
