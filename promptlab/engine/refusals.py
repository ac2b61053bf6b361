"""Refuses what can be told without importing torch, before torch or a server is started.

The resolver (:mod:`promptlab.engine.resolver`) is the one that knows: it imports torch and diffusers, which takes
seconds. What is asked here are its own questions, by its own functions: configuration files are read as they are there,
and in place of diffusers' classes stand their sources (:mod:`promptlab.engine.sources.class_source`).

Invariant: what is refused here the resolver refuses in the same words; what cannot be told here is left to it. No
weights are read, but those of bundled models, and nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptlab.engine.loading.quantization import check_package, stored_methods
from promptlab.engine.loading.vae import VaeSource, resolve_vae
from promptlab.engine.machine.devices import choose_device, choose_generator_device, devices_without_torch
from promptlab.engine.pipelines.calls import pipeline_source, resolve_call
from promptlab.engine.pipelines.meta_pipeline import build_meta_pipeline
from promptlab.engine.pipelines.optional_features import resolve_optional_features
from promptlab.engine.schedulers.config_options import scheduler_source
from promptlab.engine.schedulers.registry import check_scheduler, no_scheduler
from promptlab.engine.sources import hub
from promptlab.engine.sources.adapters import LORA
from promptlab.engine.sources.class_source import ClassSource, NotTold
from promptlab.engine.sources.configuration import Configuration, read_configuration
from promptlab.engine.sources.files import read_header
from promptlab.engine.sources.finder import SourceFinder
from promptlab.engine.sources.glance import configuration_folder
from promptlab.engine.sources.lora_family import check_family
from promptlab.models import bundled
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec

__all__ = ["EarlyChecks", "EarlyModel", "refuse_early"]

_MOST: Final = 100
"""Settings of a sweep that are looked at: what is wrong is mostly wrong with all of them."""


def refuse_early(specs: Iterable[RunSpec], *, allow_pickle: bool = False) -> None:
    """Refuse the first of ``specs`` that cannot be, as far as that is told without torch.

    Args:
        allow_pickle: whether pickled weights may be read.

    Raises:
        InputError: as the resolver would; see :meth:`promptlab.engine.Engine.resolve`.
    """
    early = EarlyChecks(allow_pickle=allow_pickle)
    looked_at: set[tuple[object, ...]] = set()
    for spec in specs:
        parts = (id(spec.pipeline), id(spec.call), id(spec.variants), spec.device, spec.generator_device)
        if parts in looked_at:
            continue
        if len(looked_at) == _MOST:
            return
        looked_at.add(parts)
        early.check(spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyModel:
    """Holds what is told of a pipeline without torch: configuration, folder, another VAE, the class.

    Args:
        stored: how parts are quantised that are stored so, by their names.
    """

    config: Configuration
    folder: Path
    vae: VaeSource | None
    kind: ClassSource
    stored: Mapping[str, str]


class EarlyChecks:
    """Checks specs one after the other, and looks once at each of their models.

    Args:
        allow_pickle: whether pickled weights may be read.
        finder: finds models; one of its own by default.

    Attributes:
        devices: those of this machine; ``None`` where only torch knows.
    """

    def __init__(self, *, allow_pickle: bool = False, finder: SourceFinder | None = None) -> None:
        self._allow_pickle = allow_pickle
        self._finder = finder or SourceFinder(allow_pickle=allow_pickle)
        self.devices = devices_without_torch()
        self._models: dict[tuple[str | None, ...], EarlyModel | None] = {}
        self._metas: dict[int, Any] = {}
        self._fitting: set[tuple[int, tuple[str, ...]]] = set()

    def check(self, spec: RunSpec) -> None:
        """Refuse a spec in the resolver's order: device, model, VAE, scheduler, LoRAs, call."""
        if self.devices is not None:
            device = choose_device(spec.device, self.devices)
            choose_generator_device(spec.generator_device, device)
            check_package(spec.pipeline, device)
        with suppress(NotTold):
            model = self.model(spec.pipeline)
            with suppress(NotTold):
                _check_scheduler(spec.pipeline.scheduler, model.config)
            self._check_loras(spec.pipeline, model)
            with suppress(OSError):
                self.call(spec, model)

    def _check_loras(self, pipeline: PipelineSpec, model: EarlyModel) -> None:
        """Check those of a pipeline once for each model: a sweep has them in thousands of specs."""
        key = id(model), tuple(each.name for each in pipeline.loras)
        if key not in self._fitting:
            _check_loras(pipeline, model.config)
            self._fitting.add(key)

    def model(self, pipeline: PipelineSpec) -> EarlyModel:
        """Return what is told of a pipeline.

        Raises:
            NotTold: when that is not all.
            InputError: as the resolver would.
        """
        names = (pipeline.model, pipeline.revision, pipeline.variant, pipeline.config, pipeline.vae)
        if names not in self._models:
            self._models[names] = None
            with suppress(NotTold, OSError):  # a folder that may not be read: the resolver says so
                self._models[names] = self._look_up(pipeline)
        found = self._models[names]
        if found is None:
            raise NotTold(pipeline.model)
        return found

    def call(self, spec: RunSpec, model: EarlyModel) -> CallSpec:
        """Return the call of a spec as the resolver completes it.

        Raises:
            NotTold: when the pipeline itself has to be asked.
            InputError: as the resolver would.
        """
        vae = None if model.vae is None else model.vae.config
        call = resolve_call(spec, model.kind, model.config, vae, self._meta(model))
        if call.weighting:  # whose parser imports torch
            raise NotTold("weighting")
        return resolve_optional_features(call, spec.variants, model.kind, model.config, model.folder)

    def _look_up(self, pipeline: PipelineSpec) -> EarlyModel:
        name = pipeline.model
        if _is_quick(name):
            source = self._finder.model(name, pipeline.revision, pipeline.variant, pipeline.config)
            folder, name = source.folder, source.name
        else:
            folder, name = configuration_folder(pipeline, allow_pickle=self._allow_pickle)
        config = read_configuration(folder, name)
        _check_whole(config)
        vae = None
        if pipeline.vae is not None:
            if not _is_quick(pipeline.vae):
                raise NotTold(pipeline.vae)
            vae = resolve_vae(pipeline.vae, config, self._finder)
        stored = stored_methods(folder, config.parts)
        return EarlyModel(config=config, folder=folder, vae=vae, kind=pipeline_source(config, name), stored=stored)

    def _meta(self, model: EarlyModel) -> Any:
        """Return the pipeline without weights, as the resolver has it; UNets' configurations tell all of it."""
        if "unet" in model.config.parts:
            return None
        if id(model) not in self._metas:
            self._metas[id(model)] = build_meta_pipeline(model.kind, model.folder, model.config.parts)
        return self._metas[id(model)]


def _check_scheduler(asked: SchedulerSpec | None, config: Configuration) -> None:
    own = config.parts.get("scheduler")
    if asked is None:
        return
    if own is None:
        raise no_scheduler(asked, config.pipeline_class)
    if asked != SchedulerSpec(name=own):
        check_scheduler(asked, own, config.scheduler or {}, config.pipeline_class, scheduler_source)


def _check_loras(pipeline: PipelineSpec, config: Configuration) -> None:
    """Refuse LoRAs for another family, as far as their files can be looked at without hashing them."""
    paths = [Path(each.name).expanduser() for each in pipeline.loras]
    if not all(path.is_file() and path.suffix == ".safetensors" for path in paths):
        return  # the resolver says first what is wrong with a name
    for path in paths:
        check_family(os.path.normpath(path.absolute()), read_header(path, LORA.field), config)


def _check_whole(config: Configuration) -> None:
    """Take a configuration only where it is whole: what a cache lacks is downloaded by the resolver."""
    parts = {"unet": config.denoiser, "transformer": config.denoiser, "vae": config.vae, "scheduler": config.scheduler}
    if lacking := next((part for part, found in parts.items() if part in config.parts and found is None), None):
        raise NotTold(lacking)


def _is_quick(name: str) -> bool:
    """Tell whether a name is looked up in a moment: bundled, or one of nothing; other weights are hashed."""
    return bundled(name) is not None or not (hub.is_id(name) or Path(name).expanduser().exists())
