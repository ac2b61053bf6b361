"""Paints instead of an engine: the same protocol, images in a millisecond, the same bytes every time.

For tests of whatever is built on PromptLab, and for trying commands without a model. It keeps the engine's promises (a
contract test holds both to them) and none of its beauty: an image is drawn from its request's recipe key alone. ::

    lab = Lab(folder, engine=Painter())

or, for a whole command, ``PROMPTLAB_ENGINE=painter promptlab run "…"``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from promptlab.engine import NO_PERMISSIONS, ClipEmbeddings, GeneratorGeneration, Permissions
from promptlab.engine.events import (
    EngineEvent,
    ForwardOutOfMemory,
    ImageDone,
    ImageFailed,
    ImageStarted,
    ModelLoaded,
    ModelLoading,
    StepDone,
)
from promptlab.errors import EngineError, UnknownValue, ref_value
from promptlab.expand.settings_text import short_source
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt, chosen_batch_size
from promptlab.records import Environment
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Scalar, SchedulerSpec, options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Painter"]

_WORDS_READ: Final = 75


class Painter:
    """Implements :class:`promptlab.engine.Engine` without a model.

    Args:
        seconds: how long one batch takes; for tests of progress and interruption.
        fail_on: a text; images whose prompts have it in them fail, as an engine's would.
        most_rows: images of a batch above which it does not fit, likewise.
        facts: of its environment beside that it is a painter: as if it stood on another machine.
        memory: bytes that are available on its device.

    Attributes:
        painted: the requests of all images that were made, in order.
    """

    def __init__(
        self,
        *,
        seconds: float = 0.0,
        fail_on: str | None = None,
        most_rows: int | None = None,
        facts: Mapping[str, Scalar] | None = None,
        memory: int = 2**34,
    ) -> None:
        self.seconds, self.fail_on, self.most_rows = seconds, fail_on, most_rows
        self.facts, self.memory = dict(facts or {}), memory
        self.painted: list[ImageRequest] = []

    def resolve(
        self, specs: Sequence[RunSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[ResolvedSpec, ...]:
        """Complete specs. Everything is known here but devices other than the CPU.

        Raises:
            UnknownValue: for another device.
        """
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
            environment=self._environment(),
        )  # fmt: skip

    def truncated_prompts(
        self, resolved: Sequence[ResolvedSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[TruncatedPrompt, ...]:
        """Read 75 words of a prompt, told by the blanks between them, and no more."""
        prompts = dict.fromkeys(
            text for each in resolved for variant in each.spec.variants
            for text in (variant.prompt, variant.negative_prompt)
        )  # fmt: skip
        cut = ((prompt, " ".join(prompt.split()[_WORDS_READ:])) for prompt in prompts)
        return tuple(TruncatedPrompt(prompt=prompt, encoder="tokenizer", words=words) for prompt, words in cut if words)

    def generate(
        self, requests: Sequence[ImageRequest], *, permissions: Permissions = NO_PERMISSIONS
    ) -> GeneratorGeneration:
        """Paint, in batches of equal batch keys.

        Raises:
            ValueError: when two requests have one id.
        """
        if len({request.id for request in requests}) < len(requests):
            raise ValueError("two requests have one id")
        return GeneratorGeneration(lambda going: self._generate(requests, going))

    def available_memory(self, device: str) -> int:
        """Return what it was made with."""
        return self.memory

    def clip(
        self,
        model: str,
        *,
        images: Sequence[NDArray[np.uint8]],
        prompts: Sequence[str] = (),
        device: str | None = None,
    ) -> ClipEmbeddings:
        """Embed images and prompts by the real model: there is nothing to paint."""
        from promptlab.engine.clip import embed

        return embed(model, images, prompts, device)

    def close(self) -> None:
        """Hold nothing."""

    def _environment(self) -> Environment:
        return Environment(facts={"engine": "painter", "device": "cpu", **self.facts})

    def _generate(self, requests: Sequence[ImageRequest], going: Callable[[], bool]) -> Iterator[EngineEvent]:
        if not requests:
            return
        yield ModelLoading(what="the painter's brushes")
        yield ModelLoaded(seconds=0.0)
        groups: dict[str, list[ImageRequest]] = {}
        for request in requests:
            groups.setdefault(request.batch_key, []).append(request)
        batches = [(key, batch) for key, group in groups.items() for batch in _batches(group)]
        number, too_large = 0, set[str]()
        for at, (key, batch) in enumerate(batches):
            if not going():
                return
            if key in too_large:
                continue
            refused = {request.id: reason for request in batch if (reason := _other_weights(request)) is not None}
            yield from (ImageFailed(request_id=one, reason=reason) for one, reason in refused.items())
            batch = [request for request in batch if request.id not in refused]  # noqa: PLW2901 - what can be made
            if not batch:
                continue
            yield from (ImageStarted(request_id=request.id) for request in batch)
            time.sleep(self.seconds)
            if self.most_rows is not None and batch[0].batch_size > self.most_rows:
                too_large.add(key)
                unmade = tuple(
                    one.id for other, some in ((key, batch), *batches[at + 1 :]) if other == key for one in some
                )
                yield ForwardOutOfMemory(request_ids=unmade, rows=batch[0].batch_size)
                continue
            yield StepDone(batch=number, batches=len(batches), step=1, steps=1)
            for row, request in enumerate(batch):
                try:
                    yield self._paint(request, batch=number, row=row)
                except EngineError as error:
                    yield ImageFailed.because(error, request.id)
            number += 1

    def _paint(self, request: ImageRequest, *, batch: int, row: int) -> ImageDone:
        if self.fail_on is not None and self.fail_on in request.prompt:
            raise EngineError(f"the painter will not paint '{request.prompt}'")
        self.painted.append(request)
        return ImageDone(
            request_id=request.id, pixels=_painting(request), batch=batch, row=row,
            seconds=self.seconds / request.batch_size, environment=self._environment(), peak_memory=0,
        )  # fmt: skip


def _other_weights(request: ImageRequest) -> str | None:
    """Return why the weights under a request's names are not those of its recipe; None where they are."""
    for name, wanted in (
        (request.pipeline.model, request.model_identity),
        (request.pipeline.vae, request.vae_identity),
        *((each.name, each.identity) for each in request.pipeline.loras),
        *((each.name, each.identity) for each in request.pipeline.embeddings),
    ):
        if name is not None and wanted != _identity(name):
            return f"{name} is not what the image is to be made by"
    return None


def _painting(request: ImageRequest) -> NDArray[np.uint8]:
    """Draw a sun before a sky, in colours and at a place that follow from the recipe key."""
    import numpy as np

    height, width = request.call.height or 32, request.call.width or 32
    ink = np.frombuffer(_digest(request.recipe_key), dtype=np.uint8)
    sky, ground = ink[:3], ink[3:6]
    rows = np.linspace(0.0, 1.0, height)[:, None, None]
    pixels = np.repeat(sky * (1 - rows) + ground * rows, width, axis=1)
    y, x = np.ogrid[:height, :width]
    centre_y, centre_x, radius = (float(part) / 255 for part in ink[6:9])
    sun = (y - centre_y * height) ** 2 + (x - centre_x * width) ** 2 <= ((0.1 + radius / 4) * min(height, width)) ** 2
    pixels[sun] = ink[9:12]
    return np.ascontiguousarray(pixels.round(), dtype=np.uint8)


def _batches(requests: Sequence[ImageRequest]) -> Iterator[Sequence[ImageRequest]]:
    size = requests[0].batch_size
    return (requests[start : start + size] for start in range(0, len(requests), size))


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
