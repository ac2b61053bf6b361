"""Guidance that stops early: the share of the steps after which a picture is left to itself.

Late steps draw detail, where guidance costs a second forward and often only sharpens. Invariant: which steps are guided
depends on the call and the number of steps alone, so that every image of a setting takes the same way.

Source: diffusers' guide "Pipeline callbacks", dynamic classifier-free guidance.
"""

from __future__ import annotations

from typing import Any

from promptlab.engine.pipelines.traits import GUIDED_TENSORS
from promptlab.specs import CallSpec

__all__ = ["drop_guidance", "guidance_at", "guided_steps"]


def guided_steps(steps: int, call: CallSpec) -> int:
    """How many of ``steps`` are guided, from the first: their share, rounded down, and one where any is asked for."""
    until = call.guidance_until
    if until is None:
        return steps
    return max(int(until * steps + 1e-9), int(until > 0))  # 0.29 of 100 is 29, and 28.999999999999996 in floats


def guidance_at(step: int, steps: int, call: CallSpec) -> float | None:
    """The guidance scale of step ``step`` (from 0) of ``steps``; ``None`` where it is made without guidance.

    Args:
        steps: evaluations of the model, ``len(scheduler.timesteps)``: some schedulers take more than were asked for.
    """
    return call.guidance_scale if step < guided_steps(steps, call) else None


def drop_guidance(pipeline: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    """Make the pipeline's next steps without guidance: at the end of a step, with the tensors of its callback."""
    pipeline._guidance_scale = 1.0  # noqa: SLF001 - there is no other door: diffusers' own guide goes through this one
    return {
        name: value.chunk(2)[-1] if name in GUIDED_TENSORS[type(pipeline).__name__] else value
        for name, value in tensors.items()
    }
