"""Makes images batch by batch: requests of one setting are one call of their pipeline.

Invariant: kernels see one shape, whatever company an image is in, so every forward has as many rows, short ones padded.
How many that are, :func:`promptlab.plan.resolved.images_per_forward` says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from promptlab.engine.events import EngineEvent, ImageDone, ImageStarted
from promptlab.engine.machine.memory import check_rows, measure_peak_memory, out_of_memory
from promptlab.engine.machine.options import apply_options
from promptlab.engine.pipelines.calls import setting_arguments
from promptlab.engine.pipelines.sizes import check_image_size
from promptlab.engine.pipelines.traits import call_parameters, images_of, replaced_schedulers
from promptlab.engine.sampling.before_denoise import generator_of, varied_noise
from promptlab.engine.sampling.call_arguments import (
    Texts,
    by_length,
    drop_when_due,
    tensors_wanted,
    unguided,
    with_noise,
)
from promptlab.engine.sampling.callback_events import reported
from promptlab.engine.sampling.decoders import decoded_images
from promptlab.engine.sampling.fp32_fallback import looking_at_decodings
from promptlab.engine.sampling.inference_context import inference_context
from promptlab.engine.sampling.progress import BatchProgress
from promptlab.engine.schedulers.dry_run import draw_from_generators
from promptlab.engine.schedulers.noise_sampler import draw_on_device
from promptlab.engine.schedulers.registry import build_scheduler
from promptlab.engine.text.prompt_encoding import needs_prompt_embeds
from promptlab.plan import ImageRequest
from promptlab.plan.resolved import images_per_forward
from promptlab.specs import SchedulerSpec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["StaticBatch", "generate_batches", "make_batch", "rows_of", "static_batches"]

_Report = Callable[[EngineEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticBatch:
    """Holds requests that are made in one call of the pipeline.

    Args:
        requests: one or more of one batch key, at most as many as share a forward there.
    """

    requests: tuple[ImageRequest, ...]

    @property
    def rows(self) -> tuple[ImageRequest, ...]:
        """Return the requests, the last one repeated until the forward has its shape."""
        missing = rows_of(self.requests[0]) - len(self.requests)
        return (*self.requests, *(self.requests[-1],) * missing)


def static_batches(requests: Sequence[ImageRequest]) -> tuple[StaticBatch, ...]:
    """Return ``requests`` in batches of equal batch keys, in order of first appearance."""
    groups: dict[str, list[ImageRequest]] = {}
    for request in requests:
        groups.setdefault(request.batch_key, []).append(request)
    packed = []
    for group in groups.values():
        rows = rows_of(group[0])
        packed += [tuple(group[at : at + rows]) for at in range(0, len(group), rows)]
    return tuple(StaticBatch(requests=some) for some in packed)


def rows_of(request: ImageRequest) -> int:
    """Return how many rows the forwards have that ``request`` is made in."""
    import torch

    return images_per_forward(
        request.device, request.batch_size, threads=torch.get_num_threads(), compiled=request.machine.compile
    )


def generate_batches(pipeline: Any, requests: Sequence[ImageRequest], progress: BatchProgress) -> Iterator[EngineEvent]:
    """Make the images of ``requests``, a batch at a time.

    Args:
        pipeline: loaded for the setting of ``requests``. Its scheduler is replaced for the time of a call.

    Raises:
        OutOfMemory: when a forward does not fit; what it took is free again.
    """
    for batch in static_batches(requests):
        if not progress.going():
            return
        for request in batch.requests:
            yield ImageStarted(request_id=request.id)
        images: list[ImageDone] = yield from reported(partial(make_batch, pipeline, batch, progress))
        progress.batch += 1
        yield from images


def make_batch(pipeline: Any, batch: StaticBatch, progress: BatchProgress, report: _Report) -> list[ImageDone]:
    """Make one batch: in one call, or in one for each length of text where long ones were read in pieces."""
    first, texts = batch.requests[0], Texts(pipeline)
    with inference_context(first.device, first.pipeline.dtype):
        alike = by_length(texts, batch.requests)
    made: dict[int, ImageDone] = {}
    for places in alike:
        part = replace(batch, requests=tuple(batch.requests[place] for place in places))
        for place, image in zip(places, _call(pipeline, part, texts, progress, report), strict=True):
            made[place] = replace(image, row=place)
    return [made[place] for place in sorted(made)]


def _call(pipeline: Any, batch: StaticBatch, texts: Texts, progress: BatchProgress, report: _Report) -> list[ImageDone]:
    first, rows = batch.requests[0], batch.rows
    generators = [generator_of(request) for request in rows]
    began = time.perf_counter()
    with out_of_memory(len(rows), first.device), measure_peak_memory(first.device) as peak:
        check_rows(len(rows), progress.most_rows)
        with (
            inference_context(first.device, first.pipeline.dtype), _fresh_schedulers(pipeline, batch, generators),
            varied_noise(pipeline, rows), apply_options(pipeline, first.machine),
            looking_at_decodings(pipeline) as decodings,
        ):  # fmt: skip
            output = pipeline(**_arguments(pipeline, batch, texts, generators, progress, report))
            images = images_of(output, len(rows))
    check_image_size(first.call, images[0].shape, type(pipeline))
    seconds = (time.perf_counter() - began) / len(batch.requests)
    unsafe = [bool(each) for each in getattr(output, "nsfw_content_detected", None) or [False] * len(rows)]
    made = decoded_images(_tensor(images[: len(batch.requests)]), unsafe)
    return [
        ImageDone(
            request_id=request.id, pixels=image.pixels, batch=progress.batch, row=row, seconds=seconds,
            environment=progress.environment, peak_memory=peak.bytes, flag=image.flag,
            decoded_in="float32" if decodings.of(row, len(rows)) else None,
        )
        for row, (request, image) in enumerate(zip(batch.requests, made, strict=True))
    ]  # fmt: skip


def _tensor(images: Sequence[NDArray[np.floating]]) -> torch.Tensor:
    """Return ``[rows, 3, height, width]`` of images that are ``[height, width, 3]`` each."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _arguments(
    pipeline: Any,
    batch: StaticBatch,
    texts: Texts,
    generators: list[torch.Generator],
    progress: BatchProgress,
    report: _Report,
) -> dict[str, Any]:
    rows, first, call = batch.rows, batch.requests[0], batch.requests[0].call
    parameters: Mapping[str, Any] = call_parameters(type(pipeline))
    given: dict[str, Any] = {
        "num_inference_steps": call.num_inference_steps,
        "guidance_scale": call.guidance_scale,
        "height": call.height,
        "width": call.width,
        "clip_skip": None if needs_prompt_embeds(pipeline, call) else call.clip_skip,
        **setting_arguments(call),
        **dict(call.arguments),
    }
    given = {name: value for name, value in given.items() if value is not None or name in dict(call.arguments)}
    if "guidance_schedule" in parameters and call.guidance_scale is not None:
        given["guidance_schedule"] = None  # it takes one number or one a step, never both
    for name in ("callback_on_step_end", "prior_callback_on_step_end"):
        if name in parameters:
            given[name] = _step_callback(batch, progress, report)
    if "callback" in parameters and "callback_on_step_end" not in parameters:  # older families have no other
        given["callback"] = _old_step_callback(pipeline, progress, report)
    return {
        **given, **unguided(first), **tensors_wanted(pipeline, first),
        **texts.arguments(rows), **with_noise(pipeline, rows, generators),
        "generator": generators, "output_type": "np",
    }  # fmt: skip


def _step_callback(batch: StaticBatch, progress: BatchProgress, report: _Report) -> Any:
    def done(pipeline: Any, step: int, timestep: object, tensors: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
        steps = _steps(pipeline, step + 1)
        report(progress.step(step + 1, steps))
        return drop_when_due(pipeline, batch.requests[0], step, steps, tensors)

    return done


def _old_step_callback(pipeline: Any, progress: BatchProgress, report: _Report) -> Any:
    def done(step: int, timestep: object, latents: object) -> None:  # noqa: ARG001
        report(progress.step(step + 1, _steps(pipeline, step + 1)))

    return done


def _steps(pipeline: Any, at_least: int) -> int:
    """Return the steps of a call: schedulers may take more than asked for, Heun almost twice as many."""
    steps = getattr(pipeline, "num_timesteps", None) or len(getattr(pipeline.scheduler, "timesteps", ()))
    return max(int(steps), at_least)


def _fresh_schedulers(
    pipeline: Any, batch: StaticBatch, generators: Sequence[torch.Generator]
) -> AbstractContextManager[None]:
    """Put schedulers of this batch's own into the pipeline: the chosen one, and a prior's.

    What noise they draw comes from the images' generators, whoever calls them.
    """
    chosen, seeds = batch.requests[0].pipeline.scheduler, [request.seed for request in batch.rows]

    def fresh(name: str, own: Any) -> Any:
        spec = chosen if chosen is not None and name == "scheduler" else SchedulerSpec(name=type(own).__name__)
        built = draw_on_device(build_scheduler(spec, own.config, seeds), batch.requests[0].generator_device)
        return draw_from_generators(built, generators)

    return replaced_schedulers(pipeline, fresh)
