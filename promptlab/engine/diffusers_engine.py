"""Generates images with diffusers: checks specs, makes streams of requests, and images of streams.

Every image is made by its pipeline's own call (:mod:`promptlab.engine.sampling.pipeline_call`), and the calls of a
stream share forwards (:mod:`promptlab.engine.sampling.call_hub`), whatever the family.

Invariant: what an image looks like is decided by its request alone. Every forward of a batch key has one shape; every
image has a generator of its own, made anew from its seed, and a scheduler.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from promptlab._gc import collect_as_usual, gc_paused
from promptlab.engine import NO_PERMISSIONS, ClipEmbeddings, GeneratorGeneration, Permissions
from promptlab.engine.errors import translate_errors
from promptlab.engine.events import EngineEvent, ImageFailed
from promptlab.engine.loading.pipeline_cache import PipelineCache, PipelineSetting
from promptlab.engine.loading.placement import placement
from promptlab.engine.loading.quantization import Quantization, packages_of
from promptlab.engine.machine.devices import torch_dtype
from promptlab.engine.machine.environment import EXTRAS, environment
from promptlab.engine.machine.idle_threads import idle_threads_by_load
from promptlab.engine.machine.memory import available_memory, release
from promptlab.engine.machine.torch_setup import prepare
from promptlab.engine.model_files import look_up
from promptlab.engine.refusals import refuse_early
from promptlab.engine.resolver import Resolver
from promptlab.engine.sampling.call_hub import Known
from promptlab.engine.sampling.callback_events import reported
from promptlab.engine.sampling.image_stream import ImageStream, rows_of
from promptlab.engine.sampling.progress import BatchProgress
from promptlab.engine.sources.adapters import EMBEDDING, LORA
from promptlab.engine.sources.environment_memory import remember_environment
from promptlab.engine.sources.finder import SourceFinder
from promptlab.engine.sources.stored_dtype import chosen_dtype
from promptlab.engine.text.truncation import Tokenizers
from promptlab.engine.weights import check_identities
from promptlab.errors import PromptLabError
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt
from promptlab.records import Environment
from promptlab.specs import MachineSpec, RunSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DiffusersEngine"]


class DiffusersEngine:
    """Implements :class:`promptlab.engine.Engine`. Keeps one model in memory between calls.

    Args:
        most_rows: rows of a forward above which it is out of memory whatever there is; to try that out.
    """

    def __init__(self, *, most_rows: int | None = None) -> None:
        prepare()
        self.most_rows = most_rows
        self._pipelines = PipelineCache()
        self._known = Known()
        self._tokenizers = Tokenizers()
        self._finders: dict[Permissions, SourceFinder] = {}

    def resolve(
        self, specs: Sequence[RunSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[ResolvedSpec, ...]:
        """Complete and check specs; see :class:`promptlab.engine.resolver.Resolver`.

        Raises:
            InputError: for everything that can be found wrong before weights are loaded.
            EngineError: when a configuration cannot be downloaded or is damaged in a way that has no name.
        """
        finder = self._finder(permissions)
        finder.forget()
        fresh = "torch" not in sys.modules
        if fresh:  # which takes seconds of one core; where it is there, nothing would be gained
            refuse_early(specs, allow_pickle=permissions.allow_pickle)
            for model, variant in {(spec.pipeline.model, spec.pipeline.variant) for spec in specs}:
                finder.hash_ahead(model, variant)
        resolver = Resolver(finder)
        with gc_paused():
            resolved = tuple([resolver.resolve(spec) for spec in specs])
        if fresh:  # else torch may have been set up by somebody else
            _remember_environments(resolved)
        return resolved

    def truncated_prompts(
        self, resolved: Sequence[ResolvedSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[TruncatedPrompt, ...]:
        """Find truncated prompts by their tokenizers; see :mod:`promptlab.engine.text.truncation`.

        Raises:
            EngineError: when a tokenizer will not load.
        """
        return self._tokenizers.truncated_prompts(resolved, self._finder(permissions))

    def generate(
        self, requests: Sequence[ImageRequest], *, permissions: Permissions = NO_PERMISSIONS
    ) -> GeneratorGeneration:
        """Make the images, batch key by batch key, in order of first appearance of each.

        Raises:
            ValueError: when two requests have one id.
        """
        if len({request.id for request in requests}) < len(requests):
            raise ValueError("two requests have one id")
        return GeneratorGeneration(lambda going: self._generate(requests, self._finder(permissions), going))

    def available_memory(self, device: str) -> int:
        """Give back what is not used, and measure; see :mod:`promptlab.engine.machine.memory`."""
        release(device)
        return available_memory(device)

    def clip(
        self,
        model: str,
        *,
        images: Sequence[NDArray[np.uint8]],
        prompts: Sequence[str] = (),
        device: str | None = None,
    ) -> ClipEmbeddings:
        """Embed images and prompts; see :mod:`promptlab.engine.clip`.

        Raises:
            NotFound, InputError: when there is no CLIP model of that name, or none without pickles.
            EngineError: when it would not load.
        """
        from promptlab.engine.clip import embed

        return embed(model, images, prompts, device)

    def close(self) -> None:
        """Let go of every weight; the next generation loads them again."""
        self._pipelines.free()
        self._known.texts.clear()
        self._known.graphs.drop()

    def _finder(self, permissions: Permissions) -> SourceFinder:
        if permissions not in self._finders:
            self._finders[permissions] = SourceFinder(allow_pickle=permissions.allow_pickle)
        return self._finders[permissions]

    def _generate(
        self, requests: Sequence[ImageRequest], finder: SourceFinder, going: Callable[[], bool]
    ) -> Iterator[EngineEvent]:
        finder.forget()
        groups: dict[str, list[ImageRequest]] = {}
        for request in requests:
            groups.setdefault(request.batch_key, []).append(request)
        batches = sum(-(-len(group) // rows_of(group[0])) for group in groups.values())
        progress = BatchProgress(batches=batches, going=going, environment=_NOWHERE, most_rows=self.most_rows)
        for group in groups.values():
            if not going():
                return
            yield from self._generate_group(group, finder, progress)

    def _generate_group(
        self, group: Sequence[ImageRequest], finder: SourceFinder, progress: BatchProgress
    ) -> Iterator[EngineEvent]:
        """Make the images of one batch key."""
        first = group[0]
        try:
            with translate_errors("the images could not be made", first.pipeline.model):
                setting = _setting(first, finder)
                progress.environment = environment(
                    first.device, first.generator_device, first.pipeline.dtype, first.machine, setting.packages
                )
                pipeline: Any = yield from reported(partial(self._pipelines.ready, setting))
                collect_as_usual()
        except PromptLabError as error:
            yield from (ImageFailed.because(error, request.id) for request in group)
            return

        with idle_threads_by_load(first.device):
            yield from ImageStream(pipeline, group, progress, self._known, _weights_key(setting, first)).events()


def _remember_environments(resolved: Sequence[ResolvedSpec]) -> None:
    """Remember how this machine's CPU computes by default, for plans without torch."""
    found = {
        (each.spec.generator_device, each.spec.pipeline.dtype): each.environment
        for each in resolved
        if each.device == "cpu" and each.spec.machine == MachineSpec()
        if EXTRAS.isdisjoint(each.environment.facts)
    }
    for (generator_device, dtype), measured in found.items():
        if dtype is not None:
            remember_environment(measured, generator_device, dtype)


_NOWHERE = Environment(facts={})


def _weights_key(setting: PipelineSetting, request: ImageRequest) -> tuple[object, ...]:
    """Return what tells whose text encoders these are, and how they compute."""
    import torch

    loras = tuple((each, each.identity) for each in setting.loras)
    embeddings = tuple((each, each.identity) for each in setting.embeddings)
    return setting.base, loras, embeddings, request.machine, torch.get_num_threads()


def _setting(request: ImageRequest, finder: SourceFinder) -> PipelineSetting:
    """Find what ``request`` is made by.

    Raises:
        InputError: when it is not there, or is not what the request's recipe is of.
    """
    pipeline = request.pipeline
    model = look_up(pipeline, finder)
    torch_dtype(pipeline.dtype)
    loras = {each.name: finder.adapter(each.name, LORA) for each in pipeline.loras}
    embeddings = {each.name: finder.adapter(each.name, EMBEDDING) for each in pipeline.embeddings}
    check_identities(request, model, loras, embeddings)
    quantization = Quantization.of(pipeline)
    return PipelineSetting(
        model=model.source, vae=model.vae, device=request.device,
        dtype=chosen_dtype(pipeline.dtype, request.device, model.source, model.config),
        machine=placement(request.machine), quantization=quantization,
        packages=packages_of(quantization, model.config.parts, model.stored),
        loras=pipeline.loras, embeddings=pipeline.embeddings,
        files={name: adapter.path for name, adapter in (loras | embeddings).items()},
    )  # fmt: skip
