"""One batch: which tasks share a forward, the one call of the pipeline that makes it, and what comes out.

Invariant: kernels see one shape, whatever company an image is in, so every forward has as many rows, short ones padded.
How many that are, :func:`images_per_forward` says: on a CPU kernels share their work out among threads, and where a
share ends inside an image, in another place for each slot, bytes depend on the slot.

The conversion to bytes is diffusers' own (``VaeImageProcessor.numpy_to_pil``: times 255, rounded); it is done here
because numbers that are none (NaN) are only visible before it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from promptlab.engine import Begun, Denoising, GeneratedImage, Watch
from promptlab.engine.machine.memory import check_rows, measure_peak_memory, out_of_memory
from promptlab.engine.machine.options import apply_options
from promptlab.engine.machine.torch_setup import deterministic, half_on_cpu, quietly
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
from promptlab.engine.sampling.fp32_fallback import BLACK, looking_at_decodings
from promptlab.engine.sampling.progress import SamplingProgress
from promptlab.engine.schedulers.dry_run import draw_from_generators
from promptlab.engine.schedulers.noise_sampler import draw_on_device
from promptlab.engine.schedulers.registry import build_scheduler
from promptlab.engine.text.prompt_encoding import needs_prompt_embeds
from promptlab.plan import ImageRequest
from promptlab.specs import SchedulerSpec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["Batch", "batches_of", "images_per_forward", "paint", "paint_all", "rows_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tasks that are made in one forward.

    Args:
        number: of the batch within its call of ``generate``, from 0.
        tasks: one or more, all of one setting, at most as many as share a forward there.
    """

    number: int
    tasks: tuple[ImageRequest, ...]

    @property
    def rows(self) -> tuple[ImageRequest, ...]:
        """The tasks, the last one repeated until the forward has its shape."""
        first = self.tasks[0]
        missing = rows_of(first) - len(self.tasks)
        return (*self.tasks, *(self.tasks[-1],) * missing)


def batches_of(tasks: Sequence[ImageRequest]) -> tuple[Batch, ...]:
    """Batches of equal setting and length of text, and of equal words where no others mix, in order of appearance."""
    groups: dict[object, list[ImageRequest]] = {}
    for task in tasks:
        setting = (task.pipeline, task.call, task.batch_size, task.device, task.generator_device, task.machine)
        words = bool(task.negative_prompt) if task.mixes_words else (task.prompt, task.negative_prompt)
        groups.setdefault((*setting, words, task.pieces), []).append(task)
    packed = []
    for group in groups.values():
        rows = rows_of(group[0])
        packed += [tuple(group[at : at + rows]) for at in range(0, len(group), rows)]
    return tuple(Batch(number=number, tasks=some) for number, some in enumerate(packed))


def rows_of(task: ImageRequest) -> int:
    """Rows of the forwards that ``task`` is made in."""
    return images_per_forward(task.device, task.batch_size, compiled=task.machine.compile)


def images_per_forward(device: str, batch_size: int, *, compiled: bool = False) -> int:
    """How many images share a forward: ``batch_size``, or one where their bytes would depend on their slots.

    On a CPU that is where the threads do not get equal shares of whole images, a power of two each. Linear layers of a
    few rows, and the last numbers of functions that are computed as vectors (GELU), then round otherwise. Measured with
    the bundled model in three dtypes, with and without guidance, at 64 and 128 pixels: 3 images on 2 threads, 4 on 3, 5
    on 2 and 6 on 2 differ from slot to slot; 2, 4 and 8 on 2, 3 on 3, 4 and 8 on 4 never did, nor any on 1. Compiled
    loops run over whole batches and end in numbers that are computed one by one, so a compiled image is always alone.

    Args:
        compiled: whether the denoiser is compiled.
    """
    if device != "cpu":
        return batch_size
    if compiled:
        return 1
    import torch

    threads = torch.get_num_threads()
    share, rest = divmod(batch_size, threads)
    even = rest == 0 and share & (share - 1) == 0
    return batch_size if threads == 1 or even else 1


def paint_all(pipeline: Any, tasks: Sequence[ImageRequest], progress: SamplingProgress) -> Iterator[GeneratedImage]:
    """Make the images of ``tasks``, a batch of equal setting at a time.

    Raises:
        OutOfMemory: when a forward does not fit; what it took is free again.
    """
    for batch in batches_of(tasks):
        if not progress.going():
            return
        for task in batch.tasks:
            progress.watch(Begun(task=task))
        numbered = replace(batch, number=progress.first + batch.number)
        yield from paint(pipeline, numbered, progress.batches, progress.watch, most_rows=progress.most_rows)


def paint(
    pipeline: Any, batch: Batch, batches: int, watch: Watch, *, most_rows: int | None = None
) -> list[GeneratedImage]:
    """Make the images of one batch.

    Args:
        pipeline: loaded for the batch's setting. Its scheduler is replaced for the time of the call.
        batches: how many there are in all, for the progress told to ``watch``.
        most_rows: see :func:`promptlab.engine.machine.memory.check_rows`.

    Raises:
        OutOfMemory: when the forward does not fit; what it took is free again.
    """
    import torch

    texts = Texts(pipeline)
    with (
        quietly(),
        deterministic(),
        torch.inference_mode(),
        half_on_cpu(batch.tasks[0].device, batch.tasks[0].pipeline.dtype),
    ):
        alike = by_length(texts, batch.tasks)
    if len(alike) == 1:
        return _paint(pipeline, batch, texts, batches, watch, most_rows)
    made: dict[int, GeneratedImage] = {}
    for places in alike:
        part = replace(batch, tasks=tuple(batch.tasks[place] for place in places))
        for place, picture in zip(places, _paint(pipeline, part, texts, batches, watch, most_rows), strict=True):
            made[place] = replace(picture, slot=place)
    return [made[place] for place in sorted(made)]


def _paint(
    pipeline: Any, batch: Batch, texts: Texts, batches: int, watch: Watch, most_rows: int | None
) -> list[GeneratedImage]:
    import torch

    first, rows = batch.tasks[0], len(batch.rows)
    generators = [generator_of(task) for task in batch.rows]
    began = time.perf_counter()
    half = half_on_cpu(first.device, first.pipeline.dtype)
    with out_of_memory(rows, first.device), measure_peak_memory(first.device) as peak:
        check_rows(rows, most_rows)
        with (
            quietly(), deterministic(), torch.inference_mode(), half, _fresh_schedulers(pipeline, batch, generators),
            varied_noise(pipeline, batch.rows), apply_options(pipeline, first.machine),
            looking_at_decodings(pipeline) as decodings,
        ):  # fmt: skip
            output = pipeline(**_arguments(pipeline, batch, texts, generators, batches, watch))
            images = images_of(output, rows)
    check_image_size(first.call, images[0].shape, type(pipeline))
    seconds = time.perf_counter() - began
    unsafe = getattr(output, "nsfw_content_detected", None) or []
    return [
        GeneratedImage(
            task=task, pixels=_pixels(images[slot]), batch=batch.number, slot=slot,
            seconds=seconds / len(batch.tasks), peak_memory=peak.bytes,
            flag=_flag(images[slot], unsafe=slot < len(unsafe) and bool(unsafe[slot])),
            decoded_in="float32" if decodings.of(slot, rows) else None,
        )
        for slot, task in enumerate(batch.tasks)
    ]  # fmt: skip


def _arguments(
    pipeline: Any, batch: Batch, texts: Texts, generators: list[torch.Generator], batches: int, watch: Watch
) -> dict[str, Any]:
    rows, first, call = batch.rows, batch.tasks[0], batch.tasks[0].call
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
            given[name] = _reporter(batch, batches, watch)
    if "callback" in parameters and "callback_on_step_end" not in parameters:  # older families have no other
        given["callback"] = _old_reporter(pipeline, batch, batches, watch)
    return {
        **given, **unguided(first), **tensors_wanted(pipeline, first),
        **texts.arguments(rows), **with_noise(pipeline, rows, generators),
        "generator": generators, "output_type": "np",
    }  # fmt: skip


def _reporter(batch: Batch, batches: int, watch: Watch) -> Any:
    def tell(pipeline: Any, step: int, timestep: object, tensors: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
        steps = _steps(pipeline, step + 1)
        watch(Denoising(batch=batch.number, batches=batches, step=step + 1, steps=steps))
        return drop_when_due(pipeline, batch.tasks[0], step, steps, tensors)

    return tell


def _old_reporter(pipeline: Any, batch: Batch, batches: int, watch: Watch) -> Any:
    def tell(step: int, timestep: object, latents: object) -> None:  # noqa: ARG001
        watch(Denoising(batch=batch.number, batches=batches, step=step + 1, steps=_steps(pipeline, step + 1)))

    return tell


def _steps(pipeline: Any, at_least: int) -> int:
    """A scheduler may evaluate the model more often than asked for: PNDM once more, Heun almost twice."""
    steps = getattr(pipeline, "num_timesteps", None) or len(getattr(pipeline.scheduler, "timesteps", ()))
    return max(int(steps), at_least)


def _fresh_schedulers(
    pipeline: Any, batch: Batch, generators: Sequence[torch.Generator]
) -> AbstractContextManager[None]:
    """Scheduler objects of this batch's own, the chosen one and those that nobody chooses (a prior's).

    What noise they draw comes from the images' generators, whoever calls them.
    """
    chosen, seeds = batch.tasks[0].pipeline.scheduler, [task.seed for task in batch.rows]

    def fresh(name: str, own: Any) -> Any:
        spec = chosen if chosen is not None and name == "scheduler" else SchedulerSpec(name=type(own).__name__)
        built = draw_on_device(build_scheduler(spec, own.config, seeds), batch.tasks[0].generator_device)
        return draw_from_generators(built, generators)

    return replaced_schedulers(pipeline, fresh)


def _pixels(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """0 … 1 as bytes, ``[height, width, 3]``; what is no number becomes black."""
    import numpy as np

    return np.ascontiguousarray((np.nan_to_num(image) * 255).round().astype(np.uint8))


def _flag(image: NDArray[np.floating], *, unsafe: bool) -> str | None:
    """See :class:`promptlab.engine.GeneratedImage`."""
    import numpy as np

    if not np.isfinite(image).all():
        return "nan"
    if unsafe:
        return "unsafe"
    return "black" if int(_pixels(image).max()) <= BLACK else None
