"""Defines the records of what was done: runs, images, sweeps, probes.

Frozen, complete, and free of live objects. No ORM row leaves the store.

``None`` in a record means "not known (yet)". Times are UTC-aware, durations are seconds, memory is bytes, paths are
relative to the workspace.
"""

from __future__ import annotations

from promptlab.records.environment import Environment
from promptlab.records.image import ImageRecord, ImageStatus, Outcome, Verification
from promptlab.records.json_values import plain
from promptlab.records.probe import ProbeRecord, ProbeTrial
from promptlab.records.run import ImportGap, Origin, RunRecord, RunStatus, RunSummary, TruncatedText, VariantRecord
from promptlab.records.sweep import SweepRecord, SweepRun

__all__ = [
    "Environment",
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
]
