"""Ends guidance early: after a share of the steps an image is left to itself.

Late steps draw detail, where guidance costs a second forward and often only sharpens. Invariant: which steps are guided
depends on the call and the number of steps alone, so that every image of a setting takes the same way.

Source: diffusers' guide "Pipeline callbacks", dynamic classifier-free guidance.
"""

from __future__ import annotations

from typing import Any

from promptlab.engine.pipelines.traits import GUIDED_TENSORS

__all__ = ["drop_guidance"]


def drop_guidance(pipeline: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    """Drop guidance from the pipeline's next steps: at the end of a step, with its callback's tensors."""
    pipeline._guidance_scale = 1.0  # noqa: SLF001 - there is no other door: diffusers' own guide goes through this one
    return {
        name: value.chunk(2)[-1] if name in GUIDED_TENSORS[type(pipeline).__name__] else value
        for name, value in tensors.items()
    }
