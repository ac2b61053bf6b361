"""Records what a list of runs says of each, and the statuses that a run has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = ["RunStatus", "RunSummary"]


class RunStatus(StrEnum):
    """Lists the statuses of a run, in MLflow's words."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Records a line of ``promptlab list``: enough to recognise a run, quick to read for thousands.

    ``scores`` are the means over its images, by the scorer's name.
    """

    id: int
    experiment: str
    name: str | None
    status: RunStatus
    created_at: datetime
    prompt: str
    variants: int
    images: int
    made: int
    scheduler: str | None
    num_inference_steps: int | None
    dtype: str | None
    model: str
    vae: str | None
    seconds_per_image: float | None
    parent_run_id: int | None
    tracked: bool
    scores: Mapping[str, float] = field(default_factory=dict, hash=False)
