"""Defines the records of what was done: runs, images, sweeps, probes.

Frozen, complete, and free of live objects. No ORM row leaves the store.

``None`` in a record means "not known (yet)". Times are UTC-aware, durations are seconds, memory is bytes, paths are
relative to the workspace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from promptlab._lazy import imported_from

if TYPE_CHECKING:
    from promptlab.records.environment import Environment
    from promptlab.records.image import ImageRecord, ImageStatus, Outcome, Verification
    from promptlab.records.image_rating import ImageRating
    from promptlab.records.json_values import plain
    from promptlab.records.probe import ProbeRecord, ProbeTrial
    from promptlab.records.run import ImportGap, Origin, RunRecord, TruncatedText, VariantRecord
    from promptlab.records.run_summary import RunStatus, RunSummary
    from promptlab.records.sweep import SweepRecord, SweepRun, sweep_key

__all__ = [
    "Environment",
    "ImageRating",
    "ImageRecord",
    "ImageStatus",
    "ImportGap",
    "Origin",
    "Outcome",
    "ProbeRecord",
    "ProbeTrial",
    "RunRecord",
    "RunStatus",
    "RunSummary",
    "SweepRecord",
    "SweepRun",
    "TruncatedText",
    "VariantRecord",
    "Verification",
    "plain",
    "sweep_key",
]

_HOMES: Final = {
    "environment": ("Environment",),
    "image": ("ImageRecord", "ImageStatus", "Outcome", "Verification"),
    "image_rating": ("ImageRating",),
    "json_values": ("plain",),
    "probe": ("ProbeRecord", "ProbeTrial"),
    "run": ("ImportGap", "Origin", "RunRecord", "TruncatedText", "VariantRecord"),
    "run_summary": ("RunStatus", "RunSummary"),
    "sweep": ("SweepRecord", "SweepRun", "sweep_key"),
}
__getattr__ = imported_from(__name__, _HOMES)
