"""How tasks are made: which flow through one pool of slots, and which are handed to their pipeline a batch at a time.

A pool runs the loop of Stable Diffusion and of Stable Diffusion XL, and of nothing else: other pipelines, and calls
with arguments that the loop here does not know, are carried out by the pipeline's own call. That is decided by
configurations alone, so that a plan can count forwards before any weight is loaded.

Invariant: what a stream shares is what decides the shape of a forward: weights, batch size, picture size, device.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.pipelines.calls import setting_arguments
from promptlab.engine.sampling.guidance import guided_steps
from promptlab.engine.sampling.static_batching import batches_of, rows_of
from promptlab.engine.schedulers.registry import build_scheduler
from promptlab.engine.sources.configuration import Configuration
from promptlab.plan import ImageRequest
from promptlab.plan.batch_key import stream_key
from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, SchedulerSpec

__all__ = ["BatchStream", "batches_in", "evaluations", "poolable", "streams_of", "work_of"]

_PIPELINES: Final = frozenset({"StableDiffusionPipeline", "StableDiffusionXLPipeline"})
_ARGUMENTS: Final = frozenset({"eta", "guidance_rescale"})
"""Call arguments that :class:`promptlab.engine.sampling.denoise.ActiveImage` and its reader understand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStream:
    """Tasks whose forwards have one shape, in order of first appearance.

    Args:
        tasks: one or more.
        pooled: whether they share a pool, whatever their schedulers, steps, guidance and words are.
    """

    tasks: tuple[ImageRequest, ...]
    pooled: bool


def streams_of(tasks: Sequence[ImageRequest], pooled: Callable[[ImageRequest], bool]) -> tuple[BatchStream, ...]:
    """``tasks`` by what decides the shape of their forwards.

    Args:
        pooled: whether a pool can make the task, see :func:`poolable`.
    """
    groups: dict[tuple[bool, object], list[ImageRequest]] = {}
    for task in tasks:
        shape = stream_key(task.pipeline, task.call, task.machine, batch_size=task.batch_size, device=task.device)
        groups.setdefault((pooled(task), shape), []).append(task)
    return tuple(BatchStream(tasks=tuple(some), pooled=flows) for (flows, _), some in groups.items())


def batches_in(stream: BatchStream) -> int:
    """How many batches of pictures come out of it."""
    if not stream.pooled:
        return len(batches_of(stream.tasks))
    return -(-len(stream.tasks) // rows_of(stream.tasks[0]))


def poolable(config: Configuration, kind: Any, pipeline: PipelineSpec, call: CallSpec, machine: MachineSpec) -> bool:
    """Whether a pool can make what this call asks of this pipeline.

    Args:
        kind: its class, see :func:`promptlab.engine.pipelines.calls.pipeline_class`.
    """
    return (
        kind.__name__ in _PIPELINES
        and pipeline.scheduler is not None
        and machine.offload is None  # weights come and go with the pipeline's own calls
        and config.scheduler is not None
        and None not in (call.height, call.width, call.num_inference_steps, call.guidance_scale)
        and not call.weighting  # texts of several lengths, which no forward can share
        and {name for name, _ in call.arguments} | setting_arguments(call).keys() <= _ARGUMENTS
    )


def work_of(config: Configuration, pipeline: PipelineSpec, call: CallSpec) -> DenoisingSteps | None:
    """Evaluations of the model that an image takes with guidance, and without. See :func:`poolable` first.

    ``None`` where the scheduler cannot take so many steps: the pipeline's own call will say why.
    """
    if pipeline.scheduler is None or call.num_inference_steps is None:
        raise ValueError("only what a pool can make has its evaluations counted")
    count = evaluations(pipeline.scheduler, config.scheduler or {}, call.num_inference_steps)
    if count is None:
        return None
    distilled = (config.denoiser or {}).get("time_cond_proj_dim") is not None
    guided = guided_steps(count, call) if (call.guidance_scale or 0.0) > 1 and not distilled else 0
    return guided, count - guided


def evaluations(scheduler: SchedulerSpec, config: Mapping[str, Any], steps: int) -> int | None:
    """How often a scheduler asks the model in ``steps`` steps: PNDM once more, Heun almost twice as often."""
    return _evaluations(scheduler, json.dumps(dict(config), sort_keys=True), steps)


@lru_cache(maxsize=4096)
def _evaluations(scheduler: SchedulerSpec, config: str, steps: int) -> int | None:
    built = build_scheduler(scheduler, json.loads(config))
    try:
        with quietly():
            built.set_timesteps(steps)
    except Exception:  # noqa: BLE001 - whatever it does not like, it says it again when the image is made
        return None
    return len(built.timesteps)
