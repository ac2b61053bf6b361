"""One pool of slots: a stream of images, each with a scheduler, steps, words and guidance of its own, in full forwards.

Each turn (:mod:`promptlab.plan.step_scheduler`) takes the images whose turn it is, has the denoiser look at them in one
forward,
their timesteps a vector, and lets each take its step. Who is finished makes room for the next at once; latents that are
finished wait until enough of them are there to be decoded, and pictures come out in the order in which they were
finished.

Invariants: every forward has the rows of a full one, those of the last image repeated where there are too few, so that
an image's bytes do not depend on what else is in the pool. An image that cannot be made costs only itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from promptlab.engine import Begun, Denoising, GeneratedImage
from promptlab.engine.errors import is_out_of_memory
from promptlab.engine.machine.memory import check_rows, measure_peak_memory, out_of_memory
from promptlab.engine.machine.options import apply_options
from promptlab.engine.machine.torch_setup import deterministic, half_on_cpu, quietly
from promptlab.engine.sampling.decoders import LatentBatch
from promptlab.engine.sampling.denoise import ActiveImage
from promptlab.engine.sampling.encoders import PromptEncoder
from promptlab.engine.sampling.fp32_fallback import BLACK, DecodeRecord, looking_at_decodings
from promptlab.engine.sampling.progress import SamplingProgress
from promptlab.engine.sampling.static_batching import rows_of
from promptlab.errors import SomeImagesFailed, one_line
from promptlab.plan import ImageRequest
from promptlab.plan.step_scheduler import DenoisingSteps, StepBatch, StepScheduler, forwards

if TYPE_CHECKING:
    import torch

__all__ = ["ContinuousBatching"]


class ContinuousBatching:
    """Makes the images of one stream; see the module.

    Args:
        pipeline: loaded; its scheduler and its progress are not touched.
        tasks: all of one shape.
        work: of each, as :class:`promptlab.plan.step_scheduler.StepScheduler` counts it.
        progress: what it is a part of.
    """

    def __init__(
        self, pipeline: Any, tasks: Sequence[ImageRequest], work: Sequence[DenoisingSteps], progress: SamplingProgress
    ) -> None:
        first = tasks[0]
        self._pipeline, self._tasks = pipeline, tasks
        self._size = rows_of(first)
        self._turns, self._forwards = StepScheduler(self._size, work), forwards(self._size, work)
        self._reader = PromptEncoder(pipeline, self._size, [tasks[place] for place in self._turns.order])
        self._progress, self._batch = progress, progress.first
        self._slots: dict[int, ActiveImage] = {}
        self._finished: list[ActiveImage] = []
        self._developing: list[tuple[list[ActiveImage], LatentBatch, DecodeRecord]] = []
        self._unmade: dict[ImageRequest, str] = {}
        self._device, self._dtype, self._machine = first.device, first.pipeline.dtype, first.machine
        self._beside = self._second_stream()
        self._peak: int | None = None

    def pictures(self) -> Iterator[GeneratedImage]:
        """Each as soon as it is there.

        Raises:
            OutOfMemory: when a forward does not fit; what has not come out yet was not made.
            SomeImagesFailed: at the end, when images could not be made.
        """
        made = 0
        turns = iter(self._turns)
        while True:
            if not self._progress.going():
                self._turns.stop()
            turn = next(turns, None)
            if turn is None:
                break
            with self._working():
                self._carry_out(turn)
                while len(self._finished) >= self._size:
                    self._develop(self._size)
            made += 1
            steps = max(made, self._forwards)
            self._progress.watch(Denoising(batch=self._batch, batches=self._progress.batches, step=made, steps=steps))
            yield from self._ready()
        with self._working():
            while self._finished:
                self._develop(min(self._size, len(self._finished)))
        yield from self._ready(wait=True)
        if self._unmade:
            raise SomeImagesFailed(self._unmade, of=len(self._tasks))

    def _carry_out(self, turn: StepBatch) -> None:
        began = time.perf_counter()
        slots = [slot for place in turn.images if (slot := self._slot(place)) is not None]
        if not slots:
            return
        noise = self._looked_at(slots, guided=turn.guided)
        for row, slot in enumerate(slots):
            unguided = noise[row : row + 1] if turn.guided else None
            at = row + self._size if turn.guided else row
            with self._alone(slot.place):
                slot.advance(noise[at : at + 1], unguided)
        share = (time.perf_counter() - began) / len(slots)
        for slot in slots:
            slot.seconds += share
            if slot.place in self._slots and slot.done:
                self._finished.append(self._slots.pop(slot.place))

    def _slot(self, place: int) -> ActiveImage | None:
        """The slot of an image whose turn it is: made when it is its first; ``None`` where it cannot be made."""
        if place not in self._slots:
            task = self._tasks[place]
            self._progress.watch(Begun(task=task))
            with self._alone(place):
                self._slots[place] = ActiveImage(place, task, self._pipeline, self._reader.conditions(task))
        return self._slots.get(place)

    @contextmanager
    def _alone(self, place: int) -> Iterator[None]:
        """What goes wrong in the block is this image's own affair, unless there is no memory left for any."""
        try:
            yield
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._turns.drop(place)
            self._slots.pop(place, None)
            self._unmade[self._tasks[place]] = one_line(error) or type(error).__name__

    def _looked_at(self, slots: Sequence[ActiveImage], *, guided: bool) -> torch.Tensor:
        """One forward: the predictions for what to steer away from, where it is guided, then those for the prompts."""
        import torch

        rows = [*slots, *[slots[-1]] * (self._size - len(slots))]
        inputs = {slot.place: slot.model_input() for slot in slots}
        sample = torch.cat([inputs[slot.place] for slot in rows])
        timesteps = torch.stack([slot.timestep.to(sample.device, torch.float32) for slot in rows])
        conditions = [slot.conditions for slot in rows]
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

    def _develop(self, count: int) -> None:
        began = time.perf_counter()
        some, self._finished = self._finished[:count], self._finished[count:]
        latents = [slot.latents for slot in (*some, *[some[-1]] * (self._size - count))]
        with looking_at_decodings(self._pipeline) as decodings:
            negatives = LatentBatch(self._pipeline, latents, self._beside)
        self._developing.append((some, negatives, decodings))
        share = (time.perf_counter() - began) / count
        for slot in some:
            slot.seconds += share

    def _ready(self, *, wait: bool = False) -> Iterator[GeneratedImage]:
        while self._developing and (wait or self._developing[0][1].ready):
            slots, negatives, decodings = self._developing.pop(0)
            memory = self._peak
            if not self._developing:
                self._peak = None
            for slot, (row, made) in zip(slots, enumerate(negatives.pictures()), strict=False):
                flag = "nan" if not made.finite else "unsafe" if made.unsafe else None
                if flag is None and int(made.pixels.max()) <= BLACK:
                    flag = "black"
                yield GeneratedImage(
                    task=slot.task, pixels=made.pixels, batch=self._batch, slot=row, seconds=slot.seconds,
                    peak_memory=memory, flag=flag,
                    decoded_in="float32" if decodings.of(row, self._size) else None,
                )  # fmt: skip
            self._batch += 1

    @contextmanager
    def _working(self) -> Iterator[None]:
        """As a forward is made: left again before a picture is handed out, for the process has its own settings."""
        import torch

        with out_of_memory(self._size, self._device), measure_peak_memory(self._device) as peak, ExitStack() as entered:
            for context in (
                quietly(), deterministic(), torch.inference_mode(), half_on_cpu(self._device, self._dtype),
                apply_options(self._pipeline, self._machine),
            ):  # fmt: skip
                entered.enter_context(context)
            check_rows(self._size, self._progress.most_rows)
            yield
        self._peak = max(self._peak or 0, peak.bytes) if peak.bytes is not None else self._peak

    def _second_stream(self) -> Any:
        if not self._device.startswith("cuda"):
            return None
        import torch

        return torch.cuda.Stream(self._device)


def _together(added: Sequence[dict[str, torch.Tensor] | None]) -> dict[str, torch.Tensor] | None:
    """What Stable Diffusion XL is told beside the words, a row each."""
    import torch

    if added[0] is None:
        return None
    return {name: torch.cat([each[name] for each in added if each is not None]) for name in added[0]}
