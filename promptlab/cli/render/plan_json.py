"""Renders a plan as values that JSON can hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promptlab.expand import Sweep
from promptlab.plan import Plan
from promptlab.records import plain

__all__ = ["plan_json"]


def plan_json(plan: Plan, sweep: Sweep | None = None) -> dict[str, Any]:
    """Return what a plan says: counts of images, seconds, bytes, and its runs in the order chosen.

    Args:
        plan: of one run or more.
        sweep: what it was made of; names the runs by the values of its axes.
    """
    return {
        "plan": {
            "images": plan.images, "to_make": plan.owed, "made_before": plan.there, "made_once": plan.repeated,
            "batches": plan.batches, "forwards": plan.forwards, "model_loads": plan.loads, "seconds": plan.seconds,
            "bytes": plan.bytes, "is_a_guess": plan.guess, "order": list(plan.varying),
            "truncated": [plain(each) for each in plan.cut], "runs": list(_runs(plan, sweep)),
        }
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
