"""A painter that stands in for the engine: the same seam, pictures in a millisecond, the same bytes every time.

For tests of whatever is built on PromptLab, and for trying commands without a model. It keeps the engine's promises (a
contract test holds both to them) and none of its beauty: a picture is drawn from its task's recipe key alone. ::

    lab = Lab(folder, engine=Painter())

or, for a whole command, ``PROMPTLAB_ENGINE=painter promptlab run "…"``.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from promptlab.engine import Begun, Denoising, EngineEvent, GeneratedImage, Loaded, Loading, Watch
from promptlab.errors import EngineError, OutOfMemory, UnknownValue, ref_value
from promptlab.expand.settings_text import short_source
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt, chosen_batch_size
from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.records import Environment
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, options

__all__ = ["Painter"]

_WORDS_READ: Final = 75


def _unwatched(_event: EngineEvent) -> None:
    pass


class Painter:
    """An engine without a model.

    Args:
        seconds: how long one batch takes; for tests of progress and interruption.
        fail_on: a prompt that cannot be painted: :class:`EngineError`, as an engine would raise it.
        most_rows: images of a batch above which it does not fit: :class:`OutOfMemory`, likewise.
    """

    def __init__(self, *, seconds: float = 0.0, fail_on: str | None = None, most_rows: int | None = None) -> None:
        self.seconds = seconds
        self.most_rows = most_rows
        self.fail_on = fail_on
        self.painted: list[ImageRequest] = []

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """Everything is known here but devices other than the CPU."""
        return self.resolve_all((spec,))[0]

    def resolve_all(self, specs: Sequence[RunSpec]) -> tuple[ResolvedSpec, ...]:
        """Likewise, for many."""
        pipelines: dict[PipelineSpec, PipelineSpec] = {}
        calls: dict[CallSpec, CallSpec] = {}
        return tuple([self._resolve(spec, pipelines, calls) for spec in specs])

    def _resolve(
        self, spec: RunSpec, pipelines: dict[PipelineSpec, PipelineSpec], calls: dict[CallSpec, CallSpec]
    ) -> ResolvedSpec:
        if spec.device not in (None, "cpu"):
            raise UnknownValue(
                "device", str(spec.device), ["cpu"], problem="is not there", hint=ref_value("device", "cpu")
            )
        pipeline = pipelines.get(spec.pipeline) or pipelines.setdefault(spec.pipeline, _complete(spec.pipeline))
        call = calls.get(spec.call) or calls.setdefault(spec.call, _completed(spec.call))
        return ResolvedSpec(
            spec=replace(
                spec, pipeline=pipeline, call=call,
                batch_size=chosen_batch_size(spec),
            ),
            device="cpu",
            model_identity=_identity(pipeline.model),
            vae_identity=pipeline.vae and _identity(pipeline.vae),
        )  # fmt: skip

    def cut_words(self, resolved: Sequence[ResolvedSpec]) -> tuple[TruncatedPrompt, ...]:
        """More than 75 words, told by the blanks between them, are more than the painter reads."""
        prompts = dict.fromkeys(
            text for each in resolved for variant in each.spec.variants
            for text in (variant.prompt, variant.negative_prompt)
        )  # fmt: skip
        cut = ((prompt, " ".join(prompt.split()[_WORDS_READ:])) for prompt in prompts)
        return tuple(TruncatedPrompt(prompt=prompt, encoder="tokenizer", words=words) for prompt, words in cut if words)

    def environment(self, resolved: ResolvedSpec) -> Environment:
        """One fact: who painted."""
        return Environment(facts={"engine": "painter", "device": resolved.device})

    def images_per_forward(self, resolved: ResolvedSpec) -> int:
        """As many as asked for."""
        return resolved.batch_size

    def room(self, resolved: ResolvedSpec) -> int:  # noqa: ARG002 - the engine's signature
        """More than a painter needs."""
        return 2**34

    def work(self, resolved: ResolvedSpec) -> DenoisingSteps | None:  # noqa: ARG002 - the engine's signature
        """A batch has one setting."""
        return None

    def generate(
        self, tasks: Sequence[ImageRequest], watch: Watch = _unwatched, *, going: Callable[[], bool] = lambda: True
    ) -> Iterator[GeneratedImage]:
        """Paint, in batches of each setting's batch size."""
        watch(Loading(what="the painter's brushes"))
        watch(Loaded(seconds=0.0))
        batches = [
            batch
            for _, group in itertools.groupby(tasks, key=lambda task: (task.pipeline, task.call, task.batch_size))
            for batch in _chunks(list(group))
        ]
        for number, batch in enumerate(batches):
            if not going():
                return
            for task in batch:
                watch(Begun(task=task))
            time.sleep(self.seconds)
            if self.most_rows is not None and batch[0].batch_size > self.most_rows:
                raise OutOfMemory(rows=batch[0].batch_size)
            for slot, task in enumerate(batch):
                if self.fail_on is not None and self.fail_on in task.prompt:
                    raise EngineError(f"the painter will not paint '{task.prompt}'")
                self.painted.append(task)
                yield self._paint(task, batch=number, slot=slot)
            watch(Denoising(batch=number, batches=len(batches), step=1, steps=1))

    def _paint(self, task: ImageRequest, *, batch: int, slot: int) -> GeneratedImage:
        import numpy as np

        height, width = task.call.height or 32, task.call.width or 32
        ink = np.frombuffer(_digest(task.recipe_key), dtype=np.uint8)
        sky, ground = ink[:3], ink[3:6]
        rows = np.linspace(0.0, 1.0, height)[:, None, None]
        pixels = np.repeat(sky * (1 - rows) + ground * rows, width, axis=1)
        y, x = np.ogrid[:height, :width]
        centre_y, centre_x, radius = (float(part) / 255 for part in ink[6:9])
        sun = (y - centre_y * height) ** 2 + (x - centre_x * width) ** 2 <= (
            (0.1 + radius / 4) * min(height, width)
        ) ** 2
        pixels[sun] = ink[9:12]
        return GeneratedImage(
            task=task,
            pixels=np.ascontiguousarray(pixels.round(), dtype=np.uint8),
            batch=batch,
            slot=slot,
            seconds=self.seconds / task.batch_size,
            peak_memory=0,
        )


def _chunks(tasks: list[ImageRequest]) -> Iterator[list[ImageRequest]]:
    size = tasks[0].batch_size
    return (tasks[start : start + size] for start in range(0, len(tasks), size))


@lru_cache(maxsize=1024)
def _identity(name: str) -> str:
    return f"sha256:{_digest(name).hex()}"


def _complete(pipeline: PipelineSpec) -> PipelineSpec:
    scheduler = pipeline.scheduler or SchedulerSpec(name="PNDMScheduler", options=options())
    loras = tuple(replace(each, identity=_identity(each.name)) for each in pipeline.loras)
    embeddings = tuple(
        replace(each, token=each.token or short_source(each.name), identity=_identity(each.name))
        for each in pipeline.embeddings
    )
    return replace(pipeline, dtype=pipeline.dtype or "float32", scheduler=scheduler, loras=loras, embeddings=embeddings)


def _completed(call: CallSpec) -> CallSpec:
    call.check_whole()
    return replace(
        call,
        num_inference_steps=call.num_inference_steps or 50,
        guidance_scale=7.5 if call.guidance_scale is None else call.guidance_scale,
        height=call.height or 32,
        width=call.width or 32,
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
