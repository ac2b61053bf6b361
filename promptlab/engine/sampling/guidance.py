"""Ends guidance early: after a share of the steps an image is left to itself.

Late steps draw detail, where guidance costs a second forward and often only sharpens. Invariant: which steps are guided
depends on the call and the number of steps alone, so that every image of a setting takes the same way.

Source: diffusers' guide "Pipeline callbacks", dynamic classifier-free guidance.
"""

from __future__ import annotations

from typing import Any

from promptlab.engine.pipelines.denoising_steps import guided_steps
from promptlab.engine.pipelines.traits import GUIDED_TENSORS
from promptlab.specs import CallSpec

__all__ = ["drop_guidance", "guidance_at"]


def guidance_at(step: int, steps: int, call: CallSpec) -> float | None:
    """Return the guidance scale of step ``step`` (from 0) of ``steps``; None where it is not guided.

    Args:
        steps: evaluations of the model, ``len(scheduler.timesteps)``: some schedulers take more than were asked for.
    """
    return call.guidance_scale if step < guided_steps(steps, call) else None


def drop_guidance(pipeline: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    """Drop guidance from the pipeline's next steps: at the end of a step, with its callback's tensors."""
    pipeline._guidance_scale = 1.0  # noqa: SLF001 - there is no other door: diffusers' own guide goes through this one
    return {
        name: value.chunk(2)[-1] if name in GUIDED_TENSORS[type(pipeline).__name__] else value
        for name, value in tensors.items()
    }
