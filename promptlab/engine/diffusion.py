"""The engine that paints with diffusers: specs are completed and checked, tasks become batches, batches pictures.

Invariant: what an image looks like is decided by its task alone. Every batch has exactly ``batch_size`` rows, a short
one repeats its last task to get there; every row has a generator of its own, made anew from its seed; every batch has a
scheduler of its own; and tasks with and without a negative prompt never share a batch, because some pipelines treat
"none" and an empty text differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from promptlab.engine import Picture, Watch
from promptlab.engine.batches import Batch, batches_of, paint
from promptlab.engine.calls import pipeline_class, resolve_call
from promptlab.engine.configuration import Configuration, read_configuration
from promptlab.engine.devices import choose_device, choose_generator_device, default_dtype, torch_dtype
from promptlab.engine.environment import environment
from promptlab.engine.libraries import prepare
from promptlab.engine.pipelines import Pipelines, Setting, in_one_line
from promptlab.engine.scheduling import resolve_scheduler
from promptlab.engine.sources import Source, find_model
from promptlab.engine.vaes import VaeSource, resolve_vae
from promptlab.errors import InputError, UnknownValue
from promptlab.plan import ImageTask, ResolvedSpec, default_batch_size
from promptlab.records import Environment
from promptlab.spec import DTYPES, PipelineSpec, RunSpec, SchedulerSpec

__all__ = ["DiffusersEngine"]


def _nobody(event: object) -> None:
    """Watch nothing."""


class DiffusersEngine:
    """See :class:`promptlab.engine.Engine`. Keeps one model in memory between calls."""

    def __init__(self) -> None:
        prepare()
        self._pipelines = Pipelines()
        self._find_model = lru_cache(maxsize=16)(find_model)

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """``spec`` with every default filled in. Resolving what is resolved changes nothing.

        Raises:
            InputError: for everything that can be found wrong before weights are loaded.
            EngineError: when a configuration cannot be downloaded or is damaged in a way that has no name.
        """
        asked = spec.pipeline
        with in_one_line(f"{asked.model} cannot be used"):
            self._find_model.cache_clear()  # a folder may have changed since it was last looked at
            device = choose_device(spec.device)
            if asked.dtype is not None and asked.dtype not in DTYPES:
                raise UnknownValue("--dtype", asked.dtype, DTYPES, hint="--dtype float32")
            source, config, vae = self._look_up(asked)
            kind = pipeline_class(config, source.name)
            pipeline = replace(
                asked,
                model=source.name,
                revision=source.revision,
                variant=source.variant,
                vae=None if vae is None else vae.source.name,
                dtype=asked.dtype or default_dtype(device),
                scheduler=_resolve_scheduler(asked.scheduler, config),
            )
            resolved = replace(
                spec,
                pipeline=pipeline,
                call=resolve_call(spec, kind, config, vae and vae.config),
                batch_size=spec.batch_size or default_batch_size(spec.image_count),
                # The device stays as it was asked for: a rerun on another machine takes what is there.
                generator_device=choose_generator_device(spec.generator_device, device),
            )
            return ResolvedSpec(
                spec=resolved,
                device=device,
                model_identity=source.identity,
                vae_identity=None if vae is None else vae.source.identity,
            )

    def environment(self, resolved: ResolvedSpec) -> Environment:
        """See :func:`promptlab.engine.environment.environment`."""
        return environment(resolved)

    def generate(self, tasks: Sequence[ImageTask], watch: Watch = _nobody) -> Iterator[Picture]:
        """Make the images, batch by batch, in order of first appearance of each setting.

        Raises:
            EngineError: when weights will not load or an image cannot be made.
        """
        batches = batches_of(tasks)
        for batch in batches:
            with in_one_line("the images could not be made"):
                pipeline = self._pipelines.ready(self._setting(batch), watch)
                pictures = paint(pipeline, batch, len(batches), watch)
            yield from pictures

    def free(self) -> None:
        """Let go of every weight; the next batch loads them again."""
        self._pipelines.free()

    def _look_up(self, spec: PipelineSpec) -> tuple[Source, Configuration, VaeSource | None]:
        source = self._find_model(spec.model, spec.revision, spec.variant)
        config = read_configuration(source.folder, source.name)
        return source, config, None if spec.vae is None else resolve_vae(spec.vae, config)

    def _setting(self, batch: Batch) -> Setting:
        task = batch.tasks[0]
        source, _, vae = self._look_up(task.pipeline)
        torch_dtype(task.pipeline.dtype)
        return Setting(
            model=source, vae=vae, dtype=task.pipeline.dtype or default_dtype(task.device), device=task.device
        )


def _resolve_scheduler(asked: SchedulerSpec | None, config: Configuration) -> SchedulerSpec | None:
    own = config.parts.get("scheduler")
    if own is None or config.scheduler is None:
        if asked is not None:
            raise InputError(
                "--scheduler", str(asked),
                problem=f"means nothing to {config.pipeline_class}, which has several or none",
                allowed="the model's own", hint="the command without --scheduler",
            )  # fmt: skip
        return None
    return resolve_scheduler(asked, own, config.scheduler)
