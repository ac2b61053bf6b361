"""Says what the pool of workers tells a generation: who is ready or gone, and what became of a share."""

from __future__ import annotations

from dataclasses import dataclass

from promptlab.engine import EngineEvent
from promptlab.errors import PromptLabError

__all__ = ["Message", "ShareEnded", "ShareEvents", "ShareFailed", "WorkerGone", "WorkerReady"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """Says that a worker can be given shares."""

    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerGone:
    """Says that a worker was lost; ``reason`` as Ray tells it. ``for_good`` where it does not come back."""

    worker: str
    reason: str
    for_good: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareEvents:
    """Hands over what happened in a share."""

    worker: str
    events: list[EngineEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareEnded:
    """Says that a worker makes no more of its share."""

    worker: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareFailed:
    """Says that a worker's engine raised an error."""

    worker: str
    error: PromptLabError


Message = WorkerReady | WorkerGone | ShareEvents | ShareEnded | ShareFailed
