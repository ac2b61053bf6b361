"""Defines what a lab reports while it works, for progress bars and closing lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from promptlab.engine import EngineEvent
from promptlab.lab.execution.watch import unwatched
from promptlab.plan import TruncatedPrompt
from promptlab.records import ImageRecord, RunRecord

__all__ = [
    "BatchSizeChosen",
    "BatchSizeReduced",
    "DefaultsChosen",
    "Event",
    "GridFailed",
    "ImageStored",
    "ImagesGenerated",
    "ImagesVerified",
    "Interrupted",
    "JobWaiting",
    "ProbeStarted",
    "ProbeTrackingFailed",
    "Progress",
    "PromptsTruncated",
    "RunReused",
    "RunSaved",
    "RunStarted",
    "SweepCutShort",
    "SweepStarted",
    "TrackingFailed",
    "TrackingStarted",
    "VerifyStarted",
    "Watch",
    "unwatched",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """Says that a run is in the notebook, every image owed."""

    run: RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesGenerated:
    """Says that ``count`` images of the runs that are made together have left the engine."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStored:
    """Says that an image is in the notebook, and its PNG whole: told by the thread that writes rows."""

    image: ImageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSizeReduced:
    """Says that a forward of ``rows`` images did not fit: ``images`` of a run are in smaller batches."""

    run_id: int
    rows: int
    batch_size: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStarted:
    """Says that a forward of ``batch_size`` images is tried out, to see whether it fits and what it takes."""

    batch_size: int
    attention_slicing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSizeChosen:
    """Says which batch size ``auto`` is; ``tried`` sizes were tried out for it, the rest was remembered."""

    batch_size: int
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTrackingFailed:
    """Says why a probe could not be recorded in MLflow."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReused:
    """Says that the whole of run ``run_id`` was made before: nothing is made."""

    run_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSaved:
    """Says that a run is finished and its grid drawn: all that is left is to record it in MLflow."""

    run: RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStarted:
    """Says that a sweep of ``runs`` runs and ``images`` images begins."""

    sweep_id: int
    runs: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepCutShort:
    """Says that a sweep has only ``runs`` of the runs it was begun with: the same command completes it."""

    sweep_id: int
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultsChosen:
    """Says what the engine filled in that may surprise, such as the few steps of a distilled LoRA."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsTruncated:
    """Says what text encoders will not see of ``prompts``, before anything is made."""

    prompts: tuple[TruncatedPrompt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyStarted:
    """Says that ``images`` images are to be made again and compared."""

    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesVerified:
    """Says that ``count`` images have been made again and compared."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Says that ``count`` of ``of`` things are done; ``what`` they are, in a word or two."""

    what: str
    count: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """Says that Ctrl-C was pressed: images under way are finished; pressed again, all stops at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWaiting:
    """Says that a server carries out ``ahead`` jobs before this one; see :mod:`promptlab.serving`."""

    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingStarted:
    """Says that all is saved, and is being recorded in MLflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFailed:
    """Says why the grid of run ``run_id`` could not be written; its images are whole."""

    run_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingFailed:
    """Says why run ``run_id`` could not be recorded in MLflow; the run is whole."""

    run_id: int
    reason: str


Event = (
    EngineEvent
    | RunStarted
    | ImagesGenerated
    | ImageStored
    | BatchSizeReduced
    | ProbeStarted
    | BatchSizeChosen
    | ProbeTrackingFailed
    | RunReused
    | RunSaved
    | SweepStarted
    | SweepCutShort
    | DefaultsChosen
    | PromptsTruncated
    | VerifyStarted
    | ImagesVerified
    | Progress
    | Interrupted
    | JobWaiting
    | TrackingStarted
    | GridFailed
    | TrackingFailed
)
Watch = Callable[[Event], None]
"""Called on the thread that runs; must be quick and must not raise."""
