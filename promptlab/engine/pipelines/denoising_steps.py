"""Tells without weights which images are batched continuously, and how often each asks the denoiser.

Continuous batching runs the loops of Stable Diffusion and of Stable Diffusion XL, and of nothing else: other pipelines,
and calls with arguments that the loop here does not know, are carried out by the pipeline's own call. Configurations
alone decide that, so that a plan can count forwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.pipelines.calls import setting_arguments
from promptlab.engine.schedulers.registry import build_scheduler
from promptlab.engine.sources.configuration import Configuration
from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, SchedulerSpec

__all__ = ["can_batch_continuously", "denoising_steps", "guided_steps", "timesteps_count"]

_PIPELINES: Final = frozenset({"StableDiffusionPipeline", "StableDiffusionXLPipeline"})
_ARGUMENTS: Final = frozenset({"eta", "guidance_rescale"})
"""Call arguments that :class:`promptlab.engine.sampling.denoise.ActiveImage` understands."""


def denoising_steps(
    config: Configuration, kind: Any, pipeline: PipelineSpec, call: CallSpec, machine: MachineSpec
) -> DenoisingSteps | None:
    """Return the evaluations of the denoiser that an image takes, with guidance and without.

    None where the pipeline's own call must make it; also where the scheduler cannot take so many steps: that call will
    say why.

    Args:
        config: of the model.
        kind: the class of its pipeline, see :func:`promptlab.engine.pipelines.calls.pipeline_class`.
        pipeline, call, machine: the setting, resolved.
    """
    if not can_batch_continuously(config, kind, pipeline, call, machine):
        return None
    if pipeline.scheduler is None or call.num_inference_steps is None:
        return None
    count = timesteps_count(pipeline.scheduler, config.scheduler or {}, call.num_inference_steps)
    if count is None:
        return None
    distilled = (config.denoiser or {}).get("time_cond_proj_dim") is not None
    guided = guided_steps(count, call) if (call.guidance_scale or 0.0) > 1 and not distilled else 0
    return guided, count - guided


def can_batch_continuously(
    config: Configuration, kind: Any, pipeline: PipelineSpec, call: CallSpec, machine: MachineSpec
) -> bool:
    """Say whether :mod:`promptlab.engine.sampling.continuous_batching` does all that this call asks."""
    return (
        kind.__name__ in _PIPELINES
        and pipeline.scheduler is not None
        and machine.offload is None  # weights come and go with the pipeline's own calls
        and config.scheduler is not None
        and None not in (call.height, call.width, call.num_inference_steps, call.guidance_scale)
        and not call.weighting  # texts of several lengths, which no forward can share
        and {name for name, _ in call.arguments} | setting_arguments(call).keys() <= _ARGUMENTS
    )


def guided_steps(steps: int, call: CallSpec) -> int:
    """Return how many of ``steps`` are guided: a share, rounded down, and one where any is asked for."""
    until = call.guidance_until
    if until is None:
        return steps
    return max(int(until * steps + 1e-9), int(until > 0))  # 0.29 of 100 is 29, and 28.999999999999996 in floats


def timesteps_count(scheduler: SchedulerSpec, config: Mapping[str, Any], steps: int) -> int | None:
    """Return how often a scheduler asks the model in ``steps`` steps.

    PNDM asks once more than there are steps, Heun almost twice as often.
    """
    return _timesteps_count(scheduler, json.dumps(dict(config), sort_keys=True), steps)


@lru_cache(maxsize=4096)
def _timesteps_count(scheduler: SchedulerSpec, config: str, steps: int) -> int | None:
    built = build_scheduler(scheduler, json.loads(config))
    try:
        with quietly():
            built.set_timesteps(steps)
    except Exception:  # noqa: BLE001 - whatever it does not like, it says it again when the image is made
        return None
    return len(built.timesteps)
