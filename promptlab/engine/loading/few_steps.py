"""Tells LoRAs that distil a model to a few steps: LCM, TCD, DMD2, Lightning, Hyper-SD, Turbo.

They say so in their names, or in what their trainers wrote into the file's metadata (``modelspec.title``,
``ss_output_name``). With the steps and the guidance that a pipeline has by default their pictures are burnt; so the few
that they were trained for are the defaults under them. What is asked for wins.

Sources: the model cards of latent-consistency/lcm-lora-sdv1-5, h1t/TCD-SDXL-LoRA, tianweiy/DMD2,
ByteDance/SDXL-Lightning, ByteDance/Hyper-SD, lightx2v/Qwen-Image-Lightning and alimama-creative/FLUX.1-Turbo-Alpha.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

from promptlab.engine.sources.adapters import LORA
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.files import read_metadata
from promptlab.engine.sources.finder import SourceFinder
from promptlab.errors import PromptLabError
from promptlab.specs import CallSpec, Lora, PipelineSpec, RunSpec, SchedulerSpec
from promptlab.specs.schedulers import parse_scheduler, short_name

__all__ = ["FewSteps", "few_steps_of", "find_few_steps", "with_few_steps"]

_TITLES: Final = ("modelspec.title", "ss_output_name")
_USUAL: Final = re.compile(r"pytorch_lora_weights|adapter_model|model|lora|weights")
_STEPS: Final = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?(?![a-z])")
_CFG: Final = re.compile(r"(?<![a-z])cfg(?![a-z])")
_MOST: Final = 16
_TRAILING: Final = ":timestep_spacing=trailing"


@dataclass(frozen=True, slots=True, kw_only=True)
class FewSteps:
    """Holds what a distilling LoRA was trained for.

    Args:
        kind: as its makers call it.
        steps: of the denoiser.
        guidance_scale: of a UNet; ``None`` where it is guided as usual.
        scheduler: of a UNet, as one types it.
    """

    kind: str
    steps: int
    guidance_scale: float | None
    scheduler: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Describes one kind: the word in its names, and what its model card asks for.

    Args:
        steps: where the name has none; ``None`` for words that mean something else without a number of steps.
    """

    name: str
    word: str
    steps: int | None
    guidance_scale: float
    scheduler: str


_KINDS: Final = (
    _Kind(name="LCM", word="lcm", steps=4, guidance_scale=1.0, scheduler="lcm"),
    _Kind(name="TCD", word="tcd", steps=4, guidance_scale=0.0, scheduler="tcd"),
    _Kind(name="DMD2", word="dmd2", steps=4, guidance_scale=0.0, scheduler="lcm"),
    _Kind(name="Lightning", word="lightning", steps=None, guidance_scale=0.0, scheduler=f"euler{_TRAILING}"),
    _Kind(name="Hyper", word="hyper", steps=None, guidance_scale=0.0, scheduler=f"ddim{_TRAILING}"),
    _Kind(name="Turbo", word="turbo", steps=4, guidance_scale=1.0, scheduler=f"euler{_TRAILING}"),
)
_TURBO_FLUX: Final = 8
_TURBO_MODELS: Final = re.compile(r"(z[-_ ]?image|zit|krea[-_ ]?2?|qwen[-_ ]?image([-_ .]?2[-_ .]?1)?)[-_ ]*(de)?turbo")
"""Names of LoRAs *for* a model that is called Turbo, and that is distilled by itself."""


def few_steps_of(name: str, metadata: Mapping[str, str]) -> FewSteps | None:
    """Return what the LoRA called ``name`` says it was distilled to; ``None`` where it says nothing.

    Args:
        name: as a spec holds it: a file, a folder, or on the Hub ``organisation/repository[@revision][/file]``.
        metadata: of the file's header.
    """
    for said in (_called(name), *(metadata.get(key, "") for key in _TITLES)):
        text = said.lower()
        for kind in _KINDS:
            if re.search(rf"(?<![a-z]){kind.word}(?![a-z])", text) and not _TURBO_MODELS.search(text):
                found = _said(kind, text)
                if found is not None:
                    return found
    return None


def find_few_steps(loras: Sequence[Lora], finder: SourceFinder) -> tuple[tuple[Lora, FewSteps], ...]:
    """Find which of ``loras`` are distilled. What is wrong with a file is said by whoever checks it."""
    found = []
    for lora in loras:
        metadata: Mapping[str, str] = {}
        with suppress(PromptLabError, OSError):
            metadata = read_metadata(finder.adapter(lora.name, LORA).path)
        few = few_steps_of(lora.name, metadata)
        if few is not None:
            found.append((lora, few))
    return tuple(found)


def with_few_steps(
    spec: RunSpec,
    told: Sequence[tuple[Lora, FewSteps]],
    config: Configuration,
    arguments: Mapping[str, inspect.Parameter],
) -> tuple[PipelineSpec, CallSpec, str | None]:
    """Return pipeline and call of ``spec`` with the defaults of the first such LoRA, and a line.

    Args:
        told: its LoRAs that are distilled, as :func:`few_steps_of` tells.
        arguments: of the pipeline's call.
    """
    in_force = next(((lora, few) for lora, few in told if lora.weight != 0), None)
    if in_force is None:
        return spec.pipeline, spec.call, None
    (lora, few), pipeline, call, said = in_force, spec.pipeline, spec.call, list[str]()
    if call.num_inference_steps is None and "num_inference_steps" in arguments:
        call = replace(call, num_inference_steps=few.steps)
        said.append(f"{few.steps} steps")
    if "unet" in config.parts:
        guidance = few.guidance_scale
        if guidance is not None and call.guidance_scale is None and "guidance_scale" in arguments:
            call = replace(call, guidance_scale=guidance)
            said.append(f"guidance {guidance:g}")
        if few.scheduler is not None and pipeline.scheduler is None and "beta_schedule" in (config.scheduler or {}):
            pipeline = replace(pipeline, scheduler=parse_scheduler(few.scheduler))
            said.append(f"scheduler {_shown(pipeline.scheduler)}")
    elif lora.identity is None and _takes_true_guidance(spec, arguments) and few.guidance_scale is not None:
        # an identity is a record's: runs from before this was a default have none of it, and were guided as usual
        call = replace(call, true_cfg_scale=1.0)
        said.append("true CFG scale 1")
    if not said:
        return pipeline, call, None
    kind = f"an {few.kind}" if few.kind == "LCM" else f"a {few.kind}"
    line = f"{PurePath(lora.name).name} is {kind} LoRA: {', '.join(said)}, where nothing else is asked for"
    return pipeline, call, line


def _called(name: str) -> str:
    """Return the words of a name that say what a file is; where all are called the same, its home's."""
    path = PurePath(name)
    return path.name if not _USUAL.fullmatch(path.stem.lower()) else f"{path.parent.name} {path.name}"


def _said(kind: _Kind, text: str) -> FewSteps | None:
    found = _STEPS.search(text)
    steps = int(found[1]) if found is not None else kind.steps
    if steps is None or not 1 <= steps <= _MOST:
        return None
    if kind.name == "Turbo" and "flux" in text and found is None:
        steps = _TURBO_FLUX
    guided = bool(_CFG.search(text))
    one = kind.name == "Hyper" and steps == 1
    return FewSteps(
        kind=kind.name, steps=steps, guidance_scale=None if guided else kind.guidance_scale,
        scheduler="tcd" if one else kind.scheduler,
    )  # fmt: skip


def _takes_true_guidance(spec: RunSpec, arguments: Mapping[str, inspect.Parameter]) -> bool:
    """Tell whether guidance beside a distilled one is there to be left out: a negative prompt asks for it."""
    asked = spec.call.true_cfg_scale is not None or any(each.negative_prompt for each in spec.variants)
    usual = arguments["true_cfg_scale"].default if "true_cfg_scale" in arguments else None
    return isinstance(usual, int | float) and usual > 1 and not asked


def _shown(scheduler: SchedulerSpec | None) -> str:
    if scheduler is None:
        return ""
    options = ",".join(f"{key}={value}" for key, value in scheduler.options)
    return f"{short_name(scheduler.name)}:{options}" if options else short_name(scheduler.name)
