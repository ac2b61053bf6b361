"""Completes and checks specs: fills in every default, refuses what can be found wrong without weights.

A sweep's specs share their models, VAEs and schedulers, and looking at one takes milliseconds: files are hashed,
classes inspected. So a :class:`Resolver` looks once at each, and lives for one call: a folder may change between two.

Invariant: what a spec resolves to does not depend on the specs resolved before it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from promptlab.engine.errors import translate_errors
from promptlab.engine.loading.few_steps import FewSteps, find_few_steps, with_few_steps
from promptlab.engine.loading.lora import resolve_loras
from promptlab.engine.loading.quantization import (
    Quantization,
    check_offload,
    check_package,
    check_quantization,
    packages_of,
    packed_method,
)
from promptlab.engine.machine.devices import choose_device, choose_generator_device
from promptlab.engine.machine.environment import environment
from promptlab.engine.model_files import ModelFiles, look_up
from promptlab.engine.pipelines.batch_sizes import default_batch_size
from promptlab.engine.pipelines.calls import pipeline_class, resolve_call
from promptlab.engine.pipelines.capabilities import check_machine
from promptlab.engine.pipelines.denoising_steps import denoising_steps
from promptlab.engine.pipelines.meta_pipeline import build_meta_pipeline
from promptlab.engine.pipelines.optional_features import resolve_optional_features
from promptlab.engine.pipelines.required_packages import check_arguments, check_packages
from promptlab.engine.pipelines.traits import call_parameters
from promptlab.engine.schedulers.registry import no_scheduler, resolve_scheduler
from promptlab.engine.schedulers.training_marks import as_marked
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.engine.sources.remote_files import check_room
from promptlab.engine.sources.stored_dtype import chosen_dtype
from promptlab.engine.text.textual_inversion import resolve_embeddings
from promptlab.engine.text.truncation import count_chunks
from promptlab.errors import InputError, UnknownValue, ref, ref_value
from promptlab.plan import ResolvedSpec, chosen_batch_size
from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.records import Environment
from promptlab.specs import (
    AUTO,
    DTYPES,
    GGUF,
    CallSpec,
    Embedding,
    Lora,
    MachineSpec,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
)

__all__ = ["Resolver", "resolved_spec"]


class Resolver:
    """Resolves specs one after the other, which must stay alive between them.

    Parts that specs share are known again by their identity: equal ones may be spelled differently (``1`` and ``True``
    are equal), and what is refused depends on the spelling.
    """

    def __init__(self, finder: SourceFinder) -> None:
        self._finder = finder
        self._devices: dict[tuple[str | None, str], tuple[str, str]] = {}
        self._models: dict[tuple[str | None, ...], tuple[ModelFiles, Any]] = {}
        self._schedulers: dict[tuple[int, str, int | None], SchedulerSpec | None] = {}
        self._pipelines: dict[tuple[int, str, int | None], tuple[PipelineSpec, ModelFiles, Any]] = {}
        self._loras_found: dict[tuple[int, tuple[Lora, ...], str | None], tuple[Lora, ...]] = {}
        self._embeddings_found: dict[tuple[int, tuple[Embedding, ...]], tuple[Embedding, ...]] = {}
        self._calls: dict[tuple[int, int, int], CallSpec] = {}
        self._told: dict[tuple[tuple[Lora, str | None], ...], tuple[tuple[Lora, FewSteps], ...]] = {}
        self._few_steps: dict[tuple[int, int, int], tuple[PipelineSpec, CallSpec, str | None]] = {}
        self._checked: set[tuple[object, ...]] = set()
        self._meta_pipelines: dict[int, Any] = {}
        self._steps: dict[tuple[int, int, int], DenoisingSteps | None] = {}
        self._environments: dict[tuple[str, str, str | None, MachineSpec, tuple[str, ...]], Environment] = {}
        self._chunks_found: dict[tuple[int, int, tuple[Embedding, ...]], tuple[int, ...]] = {}

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """Fill in every default of ``spec``. Resolving what is resolved changes nothing.

        Raises:
            InputError: for everything that can be found wrong before weights are loaded.
            EngineError: when a configuration cannot be downloaded or is damaged in a way that has no name.
        """
        with translate_errors(f"{spec.pipeline.model} cannot be used", spec.pipeline.model):
            device, generator_device = self._placed(spec)
            spec, remarks = self._with_few_steps(spec)
            pipeline, model, kind = self._pipeline(spec, device)
            if pipeline != spec.pipeline:  # what was resolved before says it no more
                remarks = (*_taken_from_beside(model.source), *remarks)
            self._check(spec.machine, pipeline, model, kind, device)
            call = self._call(spec, model, kind)
            return resolved_spec(
                spec, model.config, pipeline=pipeline, call=call, device=device, generator_device=generator_device,
                model_identity=model.source.identity,
                vae_identity=None if model.vae is None else model.vae.source.identity,
                environment=self._environment(device, generator_device, pipeline, spec.machine, model),
                steps=self._denoising_steps(model, kind, pipeline, call),
                pieces=self._chunks(spec, pipeline, model) if spec.call.weighting else (), remarks=remarks,
            )  # fmt: skip

    def _with_few_steps(self, spec: RunSpec) -> tuple[RunSpec, tuple[str, ...]]:
        """Return ``spec`` with the steps and guidance of a distilled LoRA, and the lines that say so."""
        if all(each.weight == 0 for each in spec.pipeline.loras):
            return spec, ()
        key = id(spec.pipeline), id(spec.call), id(spec.variants)
        if key not in self._few_steps:
            model, kind = self._model(spec.pipeline)
            loras = tuple((each, each.identity) for each in spec.pipeline.loras)
            if loras not in self._told:
                self._told[loras] = find_few_steps(spec.pipeline.loras, self._finder)
            self._few_steps[key] = with_few_steps(spec, self._told[loras], model.config, call_parameters(kind))
        pipeline, call, line = self._few_steps[key]
        return replace(spec, pipeline=pipeline, call=call), () if line is None else (line,)

    def _environment(
        self, device: str, generator_device: str, pipeline: PipelineSpec, machine: MachineSpec, model: ModelFiles
    ) -> Environment:
        packages = packages_of(Quantization.of(pipeline), model.config.parts, model.stored)
        key = device, generator_device, pipeline.dtype, replace(machine, exact=False), packages
        if key not in self._environments:
            self._environments[key] = environment(*key)
        return self._environments[key]

    def _denoising_steps(
        self, model: ModelFiles, kind: Any, pipeline: PipelineSpec, call: CallSpec
    ) -> DenoisingSteps | None:
        key = id(model), id(pipeline), id(call)
        if key not in self._steps:
            self._steps[key] = denoising_steps(model.config, kind, pipeline, call)
        return self._steps[key]

    def _check(self, machine: MachineSpec, pipeline: PipelineSpec, model: ModelFiles, kind: Any, device: str) -> None:
        key = machine, id(model), device, pipeline.dtype, bool(pipeline.embeddings), Quantization.of(pipeline)
        if not machine.said or key in self._checked:
            return
        vae = None if model.vae is None else model.vae.config
        check_machine(machine, model.config, vae, kind, device, str(pipeline.dtype))
        check_offload(pipeline, machine)
        if pipeline.embeddings and machine.offload in ("sequential", "group"):
            raise InputError(
                "offload", machine.offload, problem=f"cannot be used with {ref('embeddings')}, whose words are put "
                "into weights that are not there yet", allowed="model", hint=ref_value("offload", "model"),
            )  # fmt: skip
        self._checked.add(key)

    def _placed(self, spec: RunSpec) -> tuple[str, str]:
        asked = (spec.device, spec.generator_device)
        found = self._devices.get(asked)
        if found is None:
            device = choose_device(spec.device)
            found = self._devices[asked] = device, choose_generator_device(spec.generator_device, device)
        return found

    def _pipeline(self, spec: RunSpec, device: str) -> tuple[PipelineSpec, ModelFiles, Any]:
        asked, steps = spec.pipeline, spec.call.num_inference_steps
        found = self._pipelines.get((id(asked), device, steps))
        if found is None:
            if asked.dtype not in (None, AUTO, *DTYPES):
                raise UnknownValue("dtype", str(asked.dtype), (*DTYPES, AUTO), hint=ref_value("dtype", "float32"))
            check_package(asked, device)
            model, kind = self._model(asked)
            pipeline = replace(
                asked,
                model=model.source.name,
                revision=model.source.revision,
                variant=model.source.variant,
                config=model.source.config,
                vae=None if model.vae is None else model.vae.source.name,
                dtype=chosen_dtype(asked.dtype, device, model.source, model.config),
                quantization=asked.quantization if model.source.gguf is None else f"{GGUF}{model.source.gguf}",
                scheduler=self._scheduler(asked.scheduler, model, steps),
                loras=self._loras(asked, model, kind),
                embeddings=self._embeddings(asked, model),
            )
            check_quantization(pipeline, model.source, model.config, model.stored, device)
            found = self._pipelines[id(asked), device, steps] = pipeline, model, kind
        return found

    def _model(self, asked: PipelineSpec) -> tuple[ModelFiles, Any]:
        names = (asked.model, asked.revision, asked.variant, asked.config, asked.vae, asked.quantization)
        found = self._models.get(names)
        if found is None:
            model = look_up(asked, self._finder)
            check_room(model.source)
            kind = pipeline_class(model.config, model.source.name)
            check_packages(model.source.name, model.config, kind, model.source.folder)
            found = self._models[names] = model, kind
        return found

    def _scheduler(self, asked: SchedulerSpec | None, model: ModelFiles, steps: int | None) -> SchedulerSpec | None:
        key = id(model), repr(asked), steps
        if key not in self._schedulers:
            marked = _as_marked(asked, model)
            self._schedulers[key] = _resolve_scheduler(marked, model.config, steps)
        return self._schedulers[key]

    def _loras(self, asked: PipelineSpec, model: ModelFiles, kind: Any) -> tuple[Lora, ...]:
        packed = packed_method(asked.quantization, model.stored)
        key = id(model), asked.loras, packed
        if key not in self._loras_found:
            found = resolve_loras(asked.loras, model.config, model.source, kind, self._finder, packed)
            self._loras_found[key] = found
        return self._loras_found[key]

    def _embeddings(self, asked: PipelineSpec, model: ModelFiles) -> tuple[Embedding, ...]:
        key = id(model), asked.embeddings
        if key not in self._embeddings_found:
            self._embeddings_found[key] = resolve_embeddings(asked.embeddings, model.config, model.source, self._finder)
        return self._embeddings_found[key]

    def _call(self, spec: RunSpec, model: ModelFiles, kind: Any) -> CallSpec:
        key = id(spec.call), id(spec.variants), id(model)  # a pipeline may take no negative prompt
        found = self._calls.get(key)
        if found is None:
            vae = model.vae and model.vae.config
            check_arguments(model.source.name, kind, spec.call.arguments)
            call = resolve_call(spec, kind, model.config, vae, self._meta_pipeline(model, kind))
            found = self._calls[key] = resolve_optional_features(
                call, spec.variants, kind, model.config, model.source.folder
            )
        return found

    def _chunks(self, spec: RunSpec, pipeline: PipelineSpec, model: ModelFiles) -> tuple[int, ...]:
        key = id(spec.variants), id(model), pipeline.embeddings
        if key not in self._chunks_found:
            pieces = count_chunks(spec.variants, model.config, model.source, pipeline.embeddings, self._finder)
            self._chunks_found[key] = pieces if len(set(pieces)) > 1 else ()
        return self._chunks_found[key]

    def _meta_pipeline(self, model: ModelFiles, kind: Any) -> Any:
        """Return the pipeline without weights. UNets' configurations tell all that it would."""
        if "unet" in model.config.parts:
            return None
        if id(model) not in self._meta_pipelines:
            self._meta_pipelines[id(model)] = build_meta_pipeline(kind, model.source.folder, model.config.parts)
        return self._meta_pipelines[id(model)]


def resolved_spec(
    spec: RunSpec,
    config: Configuration,
    *,
    pipeline: PipelineSpec,
    call: CallSpec,
    device: str,
    generator_device: str,
    model_identity: str,
    vae_identity: str | None,
    environment: Environment,
    steps: DenoisingSteps | None,
    pieces: tuple[int, ...] = (),
    remarks: tuple[str, ...] = (),
) -> ResolvedSpec:
    """Complete ``spec`` by what was found out of its parts, and its batch size by its configuration.

    The device stays as it was asked for: a rerun on another machine takes what is there.
    """
    default = default_batch_size(config, call, device)
    completed = replace(
        spec, pipeline=pipeline, call=call, batch_size=chosen_batch_size(spec, default),
        generator_device=generator_device,
    )  # fmt: skip
    return ResolvedSpec(
        spec=completed, device=device, model_identity=model_identity, vae_identity=vae_identity,
        environment=environment, steps=steps, pieces=pieces, default_batch_size=default,
        alone=config.routes_to_experts, remarks=remarks,
    )  # fmt: skip


def _taken_from_beside(source: ModelSource) -> tuple[str, ...]:
    """Return a line for each part that a file beside a denoiser's is taken for.

    Their sizes alone were compared: Stable Diffusion's VAE fits in the place of SDXL's.
    """
    name = Path(source.name).name
    return tuple(f"{file} is taken for the {part} of {name}, because it fits" for part, file in source.beside.items())


def _as_marked(asked: SchedulerSpec | None, model: ModelFiles) -> SchedulerSpec | None:
    """Return ``asked`` with what a single file says of how it was trained."""
    own, file = model.config.parts.get("scheduler"), model.source.file
    if file is None or model.source.pickled or own is None or model.config.scheduler is None:
        return asked
    return as_marked(asked, file, own)


def _resolve_scheduler(asked: SchedulerSpec | None, config: Configuration, steps: int | None) -> SchedulerSpec | None:
    own = config.parts.get("scheduler")
    if own is None or config.scheduler is None:
        if asked is not None:
            raise no_scheduler(asked, config.pipeline_class)
        return None
    return resolve_scheduler(asked, own, config.scheduler, config.denoiser, config.pipeline_class, steps)
