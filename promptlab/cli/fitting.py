"""Asks whether what is planned fits on this machine, where this machine is to make it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from promptlab.cli.context import pickle_allowed
from promptlab.cli.warm import may_refuse_early

if TYPE_CHECKING:
    from promptlab.plan import ResolvedSpec
    from promptlab.plan.memory import FitReport

__all__ = ["fit_of"]

_MOST: Final = 16
"""Settings of a sweep that are looked at: those that differ in what takes memory are few."""


def fit_of(resolved: Sequence[ResolvedSpec]) -> FitReport | None:
    """Return the report on the run that takes the most memory.

    None where another machine, or no model, makes it.
    """
    if not may_refuse_early():
        return None
    from promptlab.engine.fitting import report_fit

    different: dict[tuple[object, ...], ResolvedSpec] = {}
    for each in resolved:
        spec = each.spec
        size = (spec.call.height, spec.call.width, spec.batch_size)
        held = (spec.pipeline.dtype, spec.pipeline.quantization, spec.pipeline.text_encoder_quantization)
        different.setdefault((each.model_identity, held, spec.machine, size), each)
    some = list(different.values())[:_MOST]
    reports = [found for each in some if (found := report_fit(each, allow_pickle=pickle_allowed())) is not None]
    return max(reports, key=lambda report: report.need.total, default=None)
