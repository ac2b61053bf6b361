"""The engine that paints with diffusers: specs are completed and checked, tasks become batches, batches pictures.

Stable Diffusion's pipelines are fed as streams (:mod:`promptlab.engine.sampling.continuous_batching`), all others, and
calls that ask
for what a pool does not know, a batch of one setting at a time (:mod:`promptlab.engine.sampling.static_batching`).

Invariant: what an image looks like is decided by its task alone. Every forward of a stream has one shape; every image
has a generator of its own, made anew from its seed, and every image of a pool, every batch elsewhere, a scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from promptlab._gc import gc_paused
from promptlab.engine import GeneratedImage, Watch
from promptlab.engine.errors import translate_errors
from promptlab.engine.loading.pipeline_cache import PipelineCache, PipelineSetting
from promptlab.engine.loading.placement import placement
from promptlab.engine.machine.devices import default_dtype, torch_dtype
from promptlab.engine.machine.environment import environment
from promptlab.engine.machine.memory import available_memory, release
from promptlab.engine.machine.torch_setup import prepare
from promptlab.engine.pipelines.calls import pipeline_class
from promptlab.engine.resolver import Resolver, look_up
from promptlab.engine.sampling.batch_streams import batches_in, poolable, streams_of, work_of
from promptlab.engine.sampling.continuous_batching import ContinuousBatching
from promptlab.engine.sampling.progress import SamplingProgress
from promptlab.engine.sampling.static_batching import images_per_forward, paint_all
from promptlab.engine.sources.adapters import EMBEDDING, LORA
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.finder import SourceFinder
from promptlab.engine.text.truncation import Tokenizers
from promptlab.errors import SomeImagesFailed
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt
from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.records import Environment
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, RunSpec

__all__ = ["DiffusersEngine"]


def _nobody(event: object) -> None:
    """Watch nothing."""


def _always() -> bool:
    """Stop for nobody."""
    return True


class DiffusersEngine:
    """See :class:`promptlab.engine.Engine`. Keeps one model in memory between calls.

    Args:
        allow_pickle: whether pickled weights are read, where a model has no others. Not part of any spec: a run that
            needed it says so again when it is run again.
        most_rows: rows of a forward above which it is out of memory whatever there is; to try that out.
    """

    def __init__(self, *, allow_pickle: bool = False, most_rows: int | None = None) -> None:
        prepare()
        self.most_rows = most_rows
        self._pipelines = PipelineCache()
        self._tokenizers = Tokenizers()
        self._finder = SourceFinder(allow_pickle=allow_pickle)
        self._known = _Known(self._finder)

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """``spec`` with every default filled in. Resolving what is resolved changes nothing.

        Raises:
            InputError: for everything that can be found wrong before weights are loaded.
            EngineError: when a configuration cannot be downloaded or is damaged in a way that has no name.
        """
        return self.resolve_all((spec,))[0]

    def resolve_all(self, specs: Sequence[RunSpec]) -> tuple[ResolvedSpec, ...]:
        """See :class:`promptlab.engine.resolver.Resolver`."""
        self._finder.forget()
        self._known = _Known(self._finder)
        resolver = Resolver(self._finder)
        with gc_paused():
            return tuple([resolver.resolve(spec) for spec in specs])

    def cut_words(self, resolved: Sequence[ResolvedSpec]) -> tuple[TruncatedPrompt, ...]:
        """See :mod:`promptlab.engine.text.truncation`.

        Raises:
            EngineError: when a tokenizer will not load.
        """
        return self._tokenizers.truncated_prompts(resolved, self._finder)

    def environment(self, resolved: ResolvedSpec) -> Environment:
        """See :func:`promptlab.engine.machine.environment.environment`."""
        return environment(resolved)

    def images_per_forward(self, resolved: ResolvedSpec) -> int:
        """See :func:`promptlab.engine.sampling.static_batching.images_per_forward`."""
        return images_per_forward(resolved.device, resolved.batch_size, compiled=resolved.spec.machine.compile)

    def room(self, resolved: ResolvedSpec) -> int:
        """See :mod:`promptlab.engine.machine.memory`."""
        release(resolved.device)
        return available_memory(resolved.device)

    def work(self, resolved: ResolvedSpec) -> DenoisingSteps | None:
        """See :func:`promptlab.engine.sampling.batch_streams.work_of`."""
        return self._known.work_of(resolved.spec.pipeline, resolved.spec.call, resolved.spec.machine)

    def generate(
        self, tasks: Sequence[ImageRequest], watch: Watch = _nobody, *, going: Callable[[], bool] = _always
    ) -> Iterator[GeneratedImage]:
        """Make the images, stream by stream, in order of first appearance of each.

        Raises:
            OutOfMemory: when a forward does not fit.
            SomeImagesFailed: at the end, when the others were made.
            EngineError: when weights will not load or no image can be made.
        """
        known = self._known = _Known(self._finder)
        streams = streams_of(tasks, known.pooled)
        counts = [batches_in(stream) for stream in streams]
        first, unmade = 0, dict[Any, str]()
        for stream, count in zip(streams, counts, strict=True):
            if not going():
                break
            model = stream.tasks[0].pipeline.model
            with translate_errors("the images could not be made", model):
                pipeline = self._pipelines.ready(self._setting(stream.tasks[0]), watch)
                progress = SamplingProgress(
                    first=first, batches=sum(counts), watch=watch, going=going, most_rows=self.most_rows
                )
                if stream.pooled:
                    pictures = ContinuousBatching(pipeline, stream.tasks, known.work(stream.tasks), progress).pictures()
                else:
                    pictures = paint_all(pipeline, stream.tasks, progress)
            try:
                yield from _in_one_line(pictures, model)
            except SomeImagesFailed as error:
                unmade |= error.reasons
            first += count
        if unmade:
            raise SomeImagesFailed(unmade, of=len(tasks))

    def free(self) -> None:
        """Let go of every weight; the next batch loads them again."""
        self._pipelines.free()

    def _setting(self, task: ImageRequest) -> PipelineSetting:
        pipeline = task.pipeline
        model = look_up(pipeline, self._finder)
        torch_dtype(pipeline.dtype)
        files = {each.name: self._finder.adapter(each.name, LORA).path for each in pipeline.loras}
        files |= {each.name: self._finder.adapter(each.name, EMBEDDING).path for each in pipeline.embeddings}
        return PipelineSetting(
            model=model.source, vae=model.vae, dtype=pipeline.dtype or default_dtype(task.device), device=task.device,
            machine=placement(task.machine), loras=pipeline.loras, embeddings=pipeline.embeddings, files=files,
        )  # fmt: skip


class _Known:
    """What the configurations say of tasks' pipelines, each looked at once."""

    def __init__(self, finder: SourceFinder) -> None:
        self._finder = finder
        self._configurations: dict[tuple[str | None, ...], tuple[Configuration, Any]] = {}
        self._work: dict[tuple[PipelineSpec, CallSpec, MachineSpec], DenoisingSteps | None] = {}

    def pooled(self, task: ImageRequest) -> bool:
        """Whether a pool can make it."""
        return self.work_of(task.pipeline, task.call, task.machine) is not None

    def work(self, tasks: Sequence[ImageRequest]) -> list[DenoisingSteps]:
        """How often each asks the model; all can be made by a pool."""
        return [work for task in tasks if (work := self.work_of(task.pipeline, task.call, task.machine)) is not None]

    def work_of(self, pipeline: PipelineSpec, call: CallSpec, machine: MachineSpec) -> DenoisingSteps | None:
        """How often such an image asks the model; ``None`` where a pool cannot make it."""
        key = pipeline, call, machine
        if key not in self._work:
            config, kind = self._of(pipeline)
            pooled = poolable(config, kind, pipeline, call, machine)
            self._work[key] = work_of(config, pipeline, call) if pooled else None
        return self._work[key]

    def _of(self, pipeline: PipelineSpec) -> tuple[Configuration, Any]:
        names = (pipeline.model, pipeline.revision, pipeline.variant, pipeline.config)
        if names not in self._configurations:
            model, revision, variant, file_config = names
            named = PipelineSpec(model=model, revision=revision, variant=variant, config=file_config)
            config = look_up(named, self._finder).config
            self._configurations[names] = config, pipeline_class(config, pipeline.model)
        return self._configurations[names]


def _in_one_line(pictures: Iterator[GeneratedImage], model: str) -> Iterator[GeneratedImage]:
    """The same, and no foreign exception."""
    while True:
        with translate_errors("the images could not be made", model):
            picture = next(pictures, None)
        if picture is None:
            return
        yield picture
