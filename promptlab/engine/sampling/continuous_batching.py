"""Makes images by continuous batching: schedulers, steps and words differ, forwards are shared.

Each turn (:mod:`promptlab.plan.step_scheduler`) takes the images whose turn it is, has the denoiser look at them in one
forward, their timesteps a vector, and lets each take its step. Who is finished makes room for the next at once; latents
that are finished wait until enough of them are there to be decoded, and images come out in the order in which they were
finished.

Invariants: every forward has the rows of a full one, those of the last image repeated where there are too few, so that
an image's bytes do not depend on what else is in the stream. An image that cannot be made costs only itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from promptlab.engine.errors import is_out_of_memory
from promptlab.engine.events import EngineEvent, ImageDone, ImageFailed, ImageStarted
from promptlab.engine.machine.memory import check_rows, measure_peak_memory, out_of_memory
from promptlab.engine.machine.options import apply_options
from promptlab.engine.sampling.decoders import LatentBatch
from promptlab.engine.sampling.denoise import ActiveImage
from promptlab.engine.sampling.encoders import PromptEncoder
from promptlab.engine.sampling.fp32_fallback import DecodeRecord, looking_at_decodings
from promptlab.engine.sampling.inference_context import inference_context
from promptlab.engine.sampling.progress import BatchProgress
from promptlab.engine.sampling.static_batching import rows_of
from promptlab.plan import ImageRequest
from promptlab.plan.step_scheduler import StepBatch, StepScheduler, forwards

if TYPE_CHECKING:
    import torch

__all__ = ["ContinuousBatching"]


class ContinuousBatching:
    """Makes the images of one stream; see the module.

    Args:
        pipeline: loaded; its scheduler and its progress are not touched.
        requests: all of one batch key, their ``steps`` known.
        progress: of the generation that it is a part of.
    """

    def __init__(self, pipeline: Any, requests: Sequence[ImageRequest], progress: BatchProgress) -> None:
        first = requests[0]
        steps = [each.steps or (0, 0) for each in requests]
        self._pipeline, self._requests, self._progress = pipeline, requests, progress
        self._size = rows_of(first)
        self._turns, self._forwards = StepScheduler(self._size, steps), forwards(self._size, steps)
        self._encoder = PromptEncoder(pipeline, self._size, [requests[place] for place in self._turns.order])
        self._active: dict[int, ActiveImage] = {}
        self._finished: list[ActiveImage] = []
        self._decoding: list[tuple[list[ActiveImage], LatentBatch, DecodeRecord]] = []
        self._happened: list[EngineEvent] = []
        self._device, self._dtype, self._machine = first.device, first.pipeline.dtype, first.machine
        self._beside = self._second_stream()
        self._peak: int | None = None

    def events(self) -> Iterator[EngineEvent]:
        """Yield each image as soon as it is there, and what happens on the way.

        Raises:
            OutOfMemory: when a forward does not fit; what has not come out yet was not made.
        """
        made = 0
        turns = iter(self._turns)
        while True:
            if not self._progress.going():
                self._turns.stop()
            turn = next(turns, None)
            if turn is None:
                break
            yield from self._begun(turn)
            with self._working():
                self._carry_out(turn)
                while len(self._finished) >= self._size:
                    self._decode(self._size)
            made += 1
            yield from self._told()
            yield self._progress.step(made, max(made, self._forwards))
            yield from self._ready()
        with self._working():
            while self._finished:
                self._decode(min(self._size, len(self._finished)))
        yield from self._ready(wait=True)

    def _begun(self, turn: StepBatch) -> Iterator[EngineEvent]:
        """Make the images ready whose first turn it is."""
        new = [place for place in turn.images if place not in self._active]
        for place in new:
            request, began = self._requests[place], time.perf_counter()
            yield ImageStarted(request_id=request.id)
            with self._working(), self._alone(place):
                conditions = self._encoder.conditions(request)
                self._active[place] = ActiveImage(place, request, self._pipeline, conditions)
                self._active[place].seconds += time.perf_counter() - began

    def _told(self) -> Iterator[EngineEvent]:
        happened, self._happened = self._happened, []
        yield from happened

    def _carry_out(self, turn: StepBatch) -> None:
        began = time.perf_counter()
        active = [self._active[place] for place in turn.images if place in self._active]
        if not active:
            return
        noise = self._predictions(active, guided=turn.guided)
        for row, image in enumerate(active):
            unguided = noise[row : row + 1] if turn.guided else None
            at = row + self._size if turn.guided else row
            with self._alone(image.place):
                image.advance(noise[at : at + 1], unguided)
        share = (time.perf_counter() - began) / len(active)
        for image in active:
            image.seconds += share
            if image.place in self._active and image.done:
                self._finished.append(self._active.pop(image.place))

    @contextmanager
    def _alone(self, place: int) -> Iterator[None]:
        """Let what goes wrong in the block cost this image only, unless there is no memory left for any."""
        try:
            yield
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._turns.drop(place)
            self._active.pop(place, None)
            self._happened.append(ImageFailed.because(error, self._requests[place].id))

    def _predictions(self, images: Sequence[ActiveImage], *, guided: bool) -> torch.Tensor:
        """Run one forward: predictions for negative prompts, where it is guided, then those for the prompts."""
        import torch

        rows = [*images, *[images[-1]] * (self._size - len(images))]
        inputs = {image.place: image.model_input() for image in images}
        sample = torch.cat([inputs[image.place] for image in rows])
        timesteps = torch.stack([image.timestep.to(sample.device, torch.float32) for image in rows])
        conditions = [image.conditions for image in rows]
        embeds = [each.embeds for each in conditions]
        added = [each.added for each in conditions]
        told = [each.timestep_cond for each in conditions if each.timestep_cond is not None]
        if guided:
            sample, timesteps = torch.cat([sample] * 2), torch.cat([timesteps] * 2)
            embeds = [*(each.negative for each in conditions if each.negative is not None), *embeds]
            added = [*(each.negative_added for each in conditions), *added]
        predicted: torch.Tensor = self._pipeline.unet(
            sample,
            timesteps,
            encoder_hidden_states=torch.cat(embeds),
            timestep_cond=torch.cat(told) if told else None,
            added_cond_kwargs=_together(added),
            return_dict=False,
        )[0]
        return predicted

    def _decode(self, count: int) -> None:
        began = time.perf_counter()
        some, self._finished = self._finished[:count], self._finished[count:]
        latents = [image.latents for image in (*some, *[some[-1]] * (self._size - count))]
        with looking_at_decodings(self._pipeline) as record:
            decoding = LatentBatch(self._pipeline, latents, self._beside)
        self._decoding.append((some, decoding, record))
        share = (time.perf_counter() - began) / count
        for image in some:
            image.seconds += share

    def _ready(self, *, wait: bool = False) -> Iterator[EngineEvent]:
        while self._decoding and (wait or self._decoding[0][1].ready):
            images, decoding, record = self._decoding.pop(0)
            memory = self._peak
            if not self._decoding:
                self._peak = None
            for image, (row, made) in zip(images, enumerate(decoding.images()), strict=False):
                yield ImageDone(
                    request_id=image.request.id, pixels=made.pixels, batch=self._progress.batch, row=row,
                    seconds=image.seconds, environment=self._progress.environment, peak_memory=memory, flag=made.flag,
                    decoded_in="float32" if record.of(row, self._size) else None,
                )  # fmt: skip
            self._progress.batch += 1

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Compute in the block, which is left before an event is handed out: settings are the process's."""
        with (
            out_of_memory(self._size, self._device), measure_peak_memory(self._device) as peak,
            inference_context(self._device, self._dtype), apply_options(self._pipeline, self._machine),
        ):  # fmt: skip
            check_rows(self._size, self._progress.most_rows)
            yield
        self._peak = max(self._peak or 0, peak.bytes) if peak.bytes is not None else self._peak

    def _second_stream(self) -> Any:
        if not self._device.startswith("cuda"):
            return None
        import torch

        return torch.cuda.Stream(self._device)


def _together(added: Sequence[dict[str, torch.Tensor] | None]) -> dict[str, torch.Tensor] | None:
    """Join what Stable Diffusion XL is told beside the words, a row each."""
    import torch

    if added[0] is None:
        return None
    return {name: torch.cat([each[name] for each in added if each is not None]) for name in added[0]}
