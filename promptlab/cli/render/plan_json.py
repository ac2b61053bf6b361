"""Renders a plan as values that JSON can hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promptlab.expand import Sweep
from promptlab.plan import Plan
from promptlab.plan.memory import FitReport
from promptlab.records import plain

__all__ = ["plan_json"]


def plan_json(plan: Plan, sweep: Sweep | None = None, fit: FitReport | None = None) -> dict[str, Any]:
    """Return what a plan says: counts of images, seconds, bytes, and its runs in the order chosen.

    Args:
        plan: of one run or more.
        sweep: what it was made of; names the runs by the values of its axes.
        fit: whether the largest of its runs fits, where that is known.
    """
    return {
        "plan": {
            "images": plan.images, "to_make": plan.owed, "made_before": plan.there, "made_once": plan.repeated,
            "batches": plan.batches, "forwards": plan.forwards, "model_loads": plan.loads, "seconds": plan.seconds,
            "bytes": plan.bytes, "is_a_guess": plan.guess, "order": list(plan.varying),
            "truncated": [plain(each) for each in plan.cut], "runs": list(_runs(plan, sweep)),
            **({} if fit is None else {"memory": _memory(fit)}),
        }
    }  # fmt: skip


def _memory(fit: FitReport) -> dict[str, Any]:
    return {
        "device": fit.device, "available": fit.available, "needed": fit.need.total, "fits": fit.fits,
        "weights": dict(fit.parts), "work": fit.need.work, "to_download": fit.absent, "free_disk": fit.disk,
        "fits_with": [{"settings": dict(way.changes), "needed": way.need.total} for way in fit.ways],
    }  # fmt: skip


def _runs(plan: Plan, sweep: Sweep | None) -> Iterator[dict[str, Any]]:
    for run in plan.runs:
        resolved = run.resolved
        yield {
            "setting": "" if sweep is None else sweep.cells[run.original].label,
            "images": run.images, "to_make": run.owed_count, "device": resolved.device,
            "model_identity": resolved.model_identity, "vae_identity": resolved.vae_identity,
            "spec": resolved.spec.to_dict(),
        }  # fmt: skip
