"""Plans from configuration files alone where these suffice, and imports torch where they do not.

A plan asks an engine for complete specs and for words that are cut; importing torch for that takes seconds, the answer
milliseconds. What configurations, sources and earlier measurements tell is told here; where one of them does not, the
whole question is answered as by :class:`promptlab.engine.diffusers_engine.DiffusersEngine`.

Invariant: what is resolved here is equal to what the resolver resolves, environment included.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from promptlab.engine import NO_PERMISSIONS, Permissions
from promptlab.engine.diffusers_engine import DiffusersEngine
from promptlab.engine.loading.quantization import Quantization
from promptlab.engine.machine.devices import choose_device, choose_generator_device
from promptlab.engine.pipelines.denoising_steps import denoising_steps
from promptlab.engine.refusals import EarlyChecks, EarlyModel, refuse_early
from promptlab.engine.resolver import resolved_spec
from promptlab.engine.schedulers.step_counts import step_count
from promptlab.engine.sources.class_source import NotTold
from promptlab.engine.sources.environment_memory import recall_environment
from promptlab.engine.sources.files import read_json
from promptlab.engine.sources.finder import SourceFinder
from promptlab.engine.sources.stored_dtype import chosen_dtype
from promptlab.engine.text.short_texts import check_short
from promptlab.models import bundled
from promptlab.plan import ResolvedSpec, TruncatedPrompt
from promptlab.specs import AUTO, DTYPES, MachineSpec, PipelineSpec, RunSpec, SchedulerSpec

__all__ = ["PlanningEngine", "resolve_without_torch"]

_PACKAGES: Final = ("PIL", "sentencepiece", "torchvision")
"""Lists what transformers' tokenizers and processors cannot do without, each of some families."""


class PlanningEngine(DiffusersEngine):
    """Resolves and looks for words that are cut without torch, as far as that goes."""

    def resolve(
        self, specs: Sequence[RunSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[ResolvedSpec, ...]:
        """See :meth:`promptlab.engine.diffusers_engine.DiffusersEngine.resolve`."""
        if "torch" not in sys.modules:
            refuse_early(specs, allow_pickle=permissions.allow_pickle)
            finder = self._finder(permissions)
            finder.forget()
            early = EarlyChecks(allow_pickle=permissions.allow_pickle, finder=finder)
            try:
                return tuple([resolve_without_torch(spec, early, finder) for spec in specs])
            except (NotTold, OSError):
                pass
        return super().resolve(specs, permissions=permissions)

    def truncated_prompts(
        self, resolved: Sequence[ResolvedSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[TruncatedPrompt, ...]:
        """See :meth:`promptlab.engine.diffusers_engine.DiffusersEngine.truncated_prompts`."""
        if "torch" not in sys.modules:
            early = EarlyChecks(allow_pickle=permissions.allow_pickle, finder=self._finder(permissions))
            try:
                for each in resolved:
                    model = early.model(each.spec.pipeline)
                    check_short(each.spec, model.config, model.folder, model.kind)
            except (NotTold, OSError):
                return super().truncated_prompts(resolved, permissions=permissions)
            return ()
        return super().truncated_prompts(resolved, permissions=permissions)


def resolve_without_torch(spec: RunSpec, early: EarlyChecks, finder: SourceFinder) -> ResolvedSpec:
    """Complete a spec as :meth:`promptlab.engine.resolver.Resolver.resolve` does.

    Raises:
        NotTold: when torch or diffusers have to be asked.
        InputError: as there.
    """
    asked = spec.pipeline
    if early.devices is None or asked.loras or asked.embeddings or spec.machine != MachineSpec():
        raise NotTold("machine")
    if Quantization.of(asked) != Quantization():
        raise NotTold("quantization")
    if asked.dtype not in (None, AUTO, *DTYPES):
        raise NotTold("dtype")
    device = choose_device(spec.device, early.devices)
    generator_device = choose_generator_device(spec.generator_device, device)
    model = early.model(asked)
    _check_readers(model)
    source = finder.model(asked.model, asked.revision, asked.variant, asked.config)
    if source.file is not None or source.prior is not None:
        raise NotTold(asked.model)
    dtype = chosen_dtype(asked.dtype, device, source, model.config)
    environment = None if model.stored else recall_environment(generator_device, dtype)
    if environment is None:
        raise NotTold("environment")
    pipeline = replace(
        asked, model=source.name, revision=source.revision, variant=source.variant, config=source.config, dtype=dtype,
        vae=None if model.vae is None else model.vae.source.name, scheduler=_scheduler(asked, model),
    )  # fmt: skip
    call = early.call(spec, model)
    return resolved_spec(
        spec, model.config, pipeline=pipeline, call=call, device=device, generator_device=generator_device,
        model_identity=source.identity, vae_identity=None if model.vae is None else model.vae.source.identity,
        environment=environment, steps=denoising_steps(model.config, model.kind, pipeline, call, _count_steps),
    )  # fmt: skip


def _scheduler(asked: PipelineSpec, model: EarlyModel) -> SchedulerSpec | None:
    """Return the model's own scheduler; whether another one runs with a model is tried out, with torch."""
    own = model.config.parts.get("scheduler")
    found = None if own is None or model.config.scheduler is None else SchedulerSpec(name=own)
    if asked.scheduler not in (None, found):
        raise NotTold(str(asked.scheduler))
    return found


def _count_steps(scheduler: SchedulerSpec, config: Any, steps: int) -> int:
    return step_count(scheduler.name, config, steps)


def _check_readers(model: EarlyModel) -> None:
    """Leave models to the resolver whose tokenizers or processors may need a package that is not there."""
    if all(map(find_spec, _PACKAGES)) or bundled(model.folder.name) == model.folder:
        return
    for part, kind in model.config.parts.items():
        about = Path(model.folder, part, "tokenizer_config.json")
        named = about.is_file() and any(key.endswith(("processor_type", "processor_class")) for key in read_json(about))
        if named or ("Tokenizer" in kind and not kind.startswith("CLIP")) or "Processor" in kind or "Extractor" in kind:
            raise NotTold(part)
