"""Tells without weights how often an image asks the denoiser, where that can be told.

Of Stable Diffusion and Stable Diffusion XL configurations alone decide it, so that a plan can count forwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.pipelines.calls import setting_arguments
from promptlab.engine.schedulers.registry import build_scheduler
from promptlab.engine.sources.configuration import Configuration
from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.specs import CallSpec, PipelineSpec, SchedulerSpec

__all__ = ["denoising_steps", "guided_steps", "timesteps_count"]

CountSteps = Callable[[SchedulerSpec, Mapping[str, Any], int], int | None]
"""Counts what a scheduler makes of steps; see :func:`timesteps_count`."""

_PIPELINES: Final = frozenset({"StableDiffusionPipeline", "StableDiffusionXLPipeline"})
"""Those that ask their denoiser once in every step, with guidance for two rows."""
_ARGUMENTS: Final = frozenset({"eta", "guidance_rescale"})
"""Call arguments that leave the number of steps alone."""


def denoising_steps(
    config: Configuration, kind: Any, pipeline: PipelineSpec, call: CallSpec, count_steps: CountSteps | None = None
) -> DenoisingSteps | None:
    """Return the evaluations of the denoiser that an image takes, with guidance and without.

    None where only the pipeline's own code could tell; also where the scheduler cannot take so many steps: that call
    will say why.

    Args:
        config: of the model.
        kind: the class of its pipeline, see :func:`promptlab.engine.pipelines.calls.pipeline_class`.
        pipeline, call: the setting, resolved.
        count_steps: counts a scheduler's evaluations; the scheduler is built for it by default.
    """
    given = {name for name, _ in call.arguments} | setting_arguments(call).keys()
    if kind.__name__ not in _PIPELINES or config.scheduler is None or not given <= _ARGUMENTS:
        return None
    if pipeline.scheduler is None or call.num_inference_steps is None:
        return None
    count = (count_steps or timesteps_count)(pipeline.scheduler, config.scheduler, call.num_inference_steps)
    if count is None:
        return None
    distilled = (config.denoiser or {}).get("time_cond_proj_dim") is not None
    guided = guided_steps(count, call) if (call.guidance_scale or 0.0) > 1 and not distilled else 0
    return guided, count - guided


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
