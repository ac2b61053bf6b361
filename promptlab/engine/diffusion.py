"""The engine that paints with diffusers: specs are completed and checked, tasks become batches, batches pictures.

Invariant: what an image looks like is decided by its task alone. Every forward on one device has one shape, see
:mod:`promptlab.engine.painting.batches`; every row has a generator of its own, made anew from its seed; every batch
has a scheduler of its own; and tasks with and without a negative prompt never share a batch, because some pipelines
treat "none" and an empty text differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from promptlab.engine import Picture, Watch
from promptlab.engine.finding.adapters import EMBEDDING, LORA
from promptlab.engine.finding.sources import Finder
from promptlab.engine.loading.pipelines import Pipelines, Setting, in_one_line
from promptlab.engine.loading.placing import placement
from promptlab.engine.machine.devices import default_dtype, torch_dtype
from promptlab.engine.machine.environment import environment
from promptlab.engine.machine.libraries import prepare
from promptlab.engine.machine.memory import available_memory, release
from promptlab.engine.painting.batches import Batch, batches_of, images_per_forward, paint
from promptlab.engine.resolving import Resolver, look_up
from promptlab.engine.words.cut import Tokenizers
from promptlab.expand.uncollected import uncollected
from promptlab.plan import CutPrompt, ImageTask, ResolvedSpec
from promptlab.records import Environment
from promptlab.spec import RunSpec

__all__ = ["DiffusersEngine"]


def _nobody(event: object) -> None:
    """Watch nothing."""


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
        self._pipelines = Pipelines()
        self._tokenizers = Tokenizers()
        self._finder = Finder(allow_pickle=allow_pickle)

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """``spec`` with every default filled in. Resolving what is resolved changes nothing.

        Raises:
            InputError: for everything that can be found wrong before weights are loaded.
            EngineError: when a configuration cannot be downloaded or is damaged in a way that has no name.
        """
        return self.resolve_all((spec,))[0]

    def resolve_all(self, specs: Sequence[RunSpec]) -> tuple[ResolvedSpec, ...]:
        """See :class:`promptlab.engine.resolving.Resolver`."""
        self._finder.forget()
        resolver = Resolver(self._finder)
        with uncollected():
            return tuple([resolver.resolve(spec) for spec in specs])

    def cut_words(self, resolved: Sequence[ResolvedSpec]) -> tuple[CutPrompt, ...]:
        """See :mod:`promptlab.engine.words.cut`.

        Raises:
            EngineError: when a tokenizer will not load.
        """
        return self._tokenizers.cut_words(resolved, self._finder)

    def environment(self, resolved: ResolvedSpec) -> Environment:
        """See :func:`promptlab.engine.machine.environment.environment`."""
        return environment(resolved)

    def images_per_forward(self, resolved: ResolvedSpec) -> int:
        """See :func:`promptlab.engine.painting.batches.images_per_forward`."""
        return images_per_forward(resolved.device, resolved.batch_size, compiled=resolved.spec.machine.compile)

    def room(self, resolved: ResolvedSpec) -> int:
        """See :mod:`promptlab.engine.machine.memory`."""
        release(resolved.device)
        return available_memory(resolved.device)

    def generate(self, tasks: Sequence[ImageTask], watch: Watch = _nobody) -> Iterator[Picture]:
        """Make the images, batch by batch, in order of first appearance of each setting.

        Raises:
            OutOfMemory: when a batch does not fit.
            EngineError: when weights will not load or an image cannot be made.
        """
        batches = batches_of(tasks)
        for batch in batches:
            with in_one_line("the images could not be made"):
                pipeline = self._pipelines.ready(self._setting(batch), watch)
                pictures = paint(pipeline, batch, len(batches), watch, most_rows=self.most_rows)
            yield from pictures

    def free(self) -> None:
        """Let go of every weight; the next batch loads them again."""
        self._pipelines.free()

    def _setting(self, batch: Batch) -> Setting:
        task, pipeline = batch.tasks[0], batch.tasks[0].pipeline
        model = look_up(pipeline, self._finder)
        torch_dtype(pipeline.dtype)
        files = {each.name: self._finder.adapter(each.name, LORA).path for each in pipeline.loras}
        files |= {each.name: self._finder.adapter(each.name, EMBEDDING).path for each in pipeline.embeddings}
        return Setting(
            model=model.source, vae=model.vae, dtype=pipeline.dtype or default_dtype(task.device), device=task.device,
            machine=placement(task.machine), loras=pipeline.loras, embeddings=pipeline.embeddings, files=files,
        )  # fmt: skip
