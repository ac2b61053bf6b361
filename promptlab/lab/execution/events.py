"""What a lab tells whoever watches a run: the engine's events and its own. For progress bars and closing lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from promptlab.engine import EngineEvent
from promptlab.plan import TruncatedPrompt
from promptlab.records import RunRecord

__all__ = [
    "BatchSizeChosen",
    "BatchSizeReduced",
    "Event",
    "GridFailed",
    "ImagesGenerated",
    "ImagesVerified",
    "Interrupted",
    "ProbeStarted",
    "ProbeTrackingFailed",
    "Progress",
    "PromptsTruncated",
    "RunReused",
    "RunStarted",
    "SweepStarted",
    "TrackingFailed",
    "TrackingStarted",
    "VerifyStarted",
    "Watch",
    "unwatched",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The run is in the notebook, every image owed."""

    run: RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesGenerated:
    """``count`` of the images of the runs that are made together have left the engine."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSizeReduced:
    """A forward of ``rows`` images did not fit: ``images`` of run ``run_id`` are made in batches of ``batch_size``."""

    run_id: int
    rows: int
    batch_size: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStarted:
    """A forward of ``batch_size`` images is tried out, to see whether it fits and what it takes."""

    batch_size: int
    attention_slicing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSizeChosen:
    """``auto`` is a batch size of ``batch_size``; ``tried`` sizes were tried out for it, the rest was remembered."""

    batch_size: int
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTrackingFailed:
    """MLflow could not be told of a probe, for ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReused:
    """The whole of run ``run_id`` was made before: nothing is made."""

    run_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStarted:
    """A sweep of ``runs`` runs and ``images`` images begins."""

    sweep_id: int
    runs: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsTruncated:
    """Text encoders will not see all of ``prompts``: what they would cut, told before anything is made."""

    prompts: tuple[TruncatedPrompt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyStarted:
    """``images`` pictures are to be made again and compared."""

    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesVerified:
    """``count`` of them have been."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Of ``of`` things, ``count`` have been looked at, or told; ``what`` they are, in a word or two."""

    what: str
    count: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """Ctrl-C was pressed: the pictures under way are finished; pressed again, everything stops at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingStarted:
    """All is saved; MLflow is being told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFailed:
    """The grid of run ``run_id`` could not be written, for ``reason``; its pictures are whole."""

    run_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingFailed:
    """MLflow could not be told about run ``run_id``, for ``reason``; the run is whole."""

    run_id: int
    reason: str


Event = (
    EngineEvent
    | RunStarted
    | ImagesGenerated
    | BatchSizeReduced
    | ProbeStarted
    | BatchSizeChosen
    | ProbeTrackingFailed
    | RunReused
    | SweepStarted
    | PromptsTruncated
    | VerifyStarted
    | ImagesVerified
    | Progress
    | Interrupted
    | TrackingStarted
    | GridFailed
    | TrackingFailed
)
Watch = Callable[[Event], None]
"""Called on the thread that runs; must be quick and must not raise."""


def unwatched(_event: Event) -> None:
    """Nobody is watching."""
