"""Looks up schedulers as diffusers has them: which fit a model, their options; builds fresh ones.

diffusers ignores a configuration key that it does not know without a word, so ``use_karas_sigmas=true`` would give the
picture of the plain scheduler under another name: see :mod:`promptlab.engine.schedulers.config_options`.

Invariant: a scheduler that has been used is never used again, for it remembers its last images.
"""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from promptlab.engine.machine.torch_setup import prepare, quietly
from promptlab.engine.schedulers.config_options import (
    LookUp,
    OptionInfo,
    check_options,
    scheduler_class,
    scheduler_options,
)
from promptlab.engine.schedulers.dry_run import STEPS, dry_run
from promptlab.engine.sources.class_source import (
    ClassSource,
    class_source,
    class_value,
    imported_class,
    is_named,
    named,
    parameters_of,
    text_of,
)
from promptlab.errors import InputError, UnknownValue, one_line, ref, ref_value
from promptlab.specs import SchedulerSpec
from promptlab.specs.schedulers import ALIASES, short_name, short_names

__all__ = [
    "SchedulerInfo",
    "build_scheduler",
    "check_scheduler",
    "describe_schedulers",
    "fitting_schedulers",
    "no_scheduler",
    "resolve_scheduler",
]


_DISTILLED: Final = frozenset({"LCMScheduler", "TCDScheduler"})
"""For LoRAs that distil a model to a few steps (LCM-LoRA, Hyper-SD). They take the betas of any classic scheduler, and
diffusers' documentation uses them so, but nobody lists them as compatible."""

_EDM: Final = frozenset({"EDMDPMSolverMultistepScheduler", "EDMEulerScheduler"})
"""For models whose noise is told by ``sigma_data`` (Playground 2.5): they read each other's configurations, and list
none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerInfo:
    """Describes one scheduler as ``promptlab schedulers`` shows it.

    Args:
        name: diffusers class name.
        aliases: the short names that lead to it, options included.
        options: what can be set.
        is_default: whether it is the model's own.
    """

    name: str
    aliases: tuple[str, ...]
    options: tuple[OptionInfo, ...]
    is_default: bool = False


def fitting_schedulers(
    own: str, config: Mapping[str, Any], pipeline_class: str = "", look_up: LookUp = scheduler_class
) -> tuple[str, ...]:
    """Return the scheduler classes that fit a model whose own is ``own``.

    Args:
        own: class name of the model's own scheduler.
        config: its configuration.
        pipeline_class: diffusers class name; some give their scheduler the ``sigmas``, which not every one takes.
        look_up: gives classes, and imports diffusers; or their sources, and imports nothing.

    diffusers' ``compatibles`` knows the classic ones. It does not know that a flow-matching model takes only
    flow-matching schedulers, so these are told apart here: by name, or by the configuration's own flow settings.
    """
    classic = set(_compatibles(look_up("DDIMScheduler")))
    if "FlowMatch" in own:
        names = set(named(r"FlowMatch\w+Scheduler"))
        if _gives_sigmas(pipeline_class, imported=look_up is scheduler_class):
            names = {name for name in names if "sigmas" in parameters_of(look_up(name), "set_timesteps")}
    elif config.get("use_flow_sigmas") or config.get("prediction_type") == "flow_prediction":
        names = {
            name for name in classic
            if any(option.name == "use_flow_sigmas" for option in scheduler_options(name, look_up))
        }  # fmt: skip
    else:
        names = set(_compatibles(look_up(own))) or (classic if "beta_schedule" in config else set())
        if "beta_schedule" in config and names & classic:
            names |= _DISTILLED
        if "sigma_data" in config:
            names |= _EDM
    return tuple(sorted({own, *(name for name in names if is_named(name))}))


@lru_cache(maxsize=64)
def _gives_sigmas(pipeline_class: str, *, imported: bool) -> bool:
    """Tell whether a pipeline gives its scheduler sigmas, as FLUX does and Stable Diffusion 3 does not.

    Its call takes ``sigmas`` either way; that it fills them in stands in its code only.
    """
    if not is_named(pipeline_class):
        return False
    kind: Any
    if imported:
        import diffusers

        kind = getattr(diffusers, pipeline_class)
    else:
        kind = class_source(pipeline_class)
    return re.search(r"^\s+sigmas = ", text_of(kind, "__call__"), re.MULTILINE) is not None


def _compatibles(kind: Any) -> Sequence[str]:
    """Return the schedulers that a class, or its source, says it takes turns with."""
    if not isinstance(kind, ClassSource):
        return getattr(kind, "_compatibles", ())
    written = class_value(kind, "_compatibles")
    if isinstance(written, ast.ListComp):  # of the one enumeration that there is
        every = imported_class(kind, "KarrasDiffusionSchedulers").tree.body
        return [getattr(node.targets[0], "id", "") for node in every if isinstance(node, ast.Assign)]
    return [] if written is None else list(ast.literal_eval(written))


def no_scheduler(asked: SchedulerSpec, pipeline_class: str) -> InputError:
    """Compose the error about a scheduler for a model that has none, or several."""
    return InputError(
        "scheduler", str(asked), problem=f"means nothing to {pipeline_class}, which has several or none",
        allowed="the model's own", hint=f"the command without {ref('scheduler')}",
    )  # fmt: skip


def check_scheduler(
    asked: SchedulerSpec, own: str, config: Mapping[str, Any], pipeline_class: str, look_up: LookUp = scheduler_class
) -> None:
    """Refuse a scheduler that does not fit the model, or has not the options that are asked for.

    Args:
        own, config, pipeline_class, look_up: as for :func:`fitting_schedulers`.

    Raises:
        UnknownValue: when the scheduler is unknown or does not fit, or an option is unknown.
        InputError: when a value does not fit its option.
    """
    fitting = fitting_schedulers(own, config, pipeline_class, look_up)
    look_up(asked.name, fitting)
    if asked.name not in fitting:
        raise UnknownValue(
            "scheduler", short_name(asked.name), short_names(fitting), problem="does not fit this model",
            hint="promptlab schedulers",
        )  # fmt: skip
    check_options(asked, look_up)


def resolve_scheduler(
    asked: SchedulerSpec | None, own: str, config: Mapping[str, Any], denoiser: Mapping[str, Any] | None = None,
    pipeline_class: str = "", steps: int | None = None,
) -> SchedulerSpec:  # fmt: skip
    """Check ``asked`` against the model's own scheduler; return that one when none is asked for.

    Options that say what the configuration says already are dropped, so that both ways of asking are one recipe.

    Args:
        own: class name of the model's scheduler.
        config: its configuration, as in ``scheduler_config.json``.
        denoiser: the configuration of the model's denoiser, which tells the channels of its latents.
        pipeline_class: as for :func:`fitting_schedulers`.
        steps: of the call, where it names them: some schedulers fail on few.

    Raises:
        UnknownValue: when the scheduler is unknown or does not fit, or an option is unknown.
        InputError: when a value does not fit its option, options exclude each other, or its steps fail.
    """
    if asked is None or asked == SchedulerSpec(name=own):
        return SchedulerSpec(name=own)
    check_scheduler(asked, own, config, pipeline_class)
    plain = build_scheduler(SchedulerSpec(name=asked.name), config)
    stage = (json.dumps(dict(config), sort_keys=True), *_channels(denoiser), "FlowMatch" in own)
    wrong = _dry_run_problem(asked, *stage, STEPS)
    if wrong is None and steps is not None and 0 < steps < STEPS and (wrong := _dry_run_problem(asked, *stage, steps)):
        raise InputError(
            "num_inference_steps", steps, problem=f"are too few for {short_name(asked.name)} with this model: {wrong}",
            allowed=f"{STEPS} and more", hint=ref_value("num_inference_steps", STEPS),
        )  # fmt: skip
    if wrong is None and asked.name in _DISTILLED and steps is not None:
        many = _dry_run_problem(asked, *stage, max(steps, STEPS))  # they have a schedule of 50 steps to choose from
        if many is not None:
            raise InputError(
                "num_inference_steps", steps, problem=f"are too many for {short_name(asked.name)}: {many}",
                allowed="few: 2 to 8 with a distilled model or LoRA", hint=ref_value("num_inference_steps", STEPS),
            )  # fmt: skip
    if wrong is not None:
        raise InputError(
            "scheduler", str(asked), problem=f"cannot run with this model: {wrong}",
            allowed="options that go together", hint=ref_value("scheduler", short_name(asked.name)),
        )  # fmt: skip
    return SchedulerSpec(
        name=asked.name,
        options=tuple((key, value) for key, value in asked.options if plain.config.get(key, ...) != value),
    )


def build_scheduler(spec: SchedulerSpec, config: Mapping[str, Any], seeds: Sequence[int] | None = None) -> Any:
    """Build a fresh scheduler object from the model's ``config`` and the spec's options.

    Args:
        seeds: of the images of one batch. ``DPMSolverSDEScheduler`` draws noise of its own and ignores the pipeline's
            generators; with one seed an image it becomes as repeatable as the others.

    Raises:
        InputError: when the options exclude each other (``use_karras_sigmas`` and ``use_beta_sigmas``).
    """
    # a copy of one that was never used: building a KDPM2DiscreteScheduler takes a fifth of a second, a copy nothing
    scheduler = copy.deepcopy(_unused(spec, json.dumps(dict(config), sort_keys=True)))
    if seeds is not None and hasattr(scheduler, "noise_sampler_seed"):
        scheduler.noise_sampler_seed = list(seeds)
    return scheduler


@lru_cache(maxsize=256)
def _dry_run_problem(
    spec: SchedulerSpec, config: str, channels: int, doubled: bool, shifted: bool, steps: int
) -> str | None:
    return dry_run(_unused(spec, config), channels, doubled=doubled, shifted=shifted, steps=steps)


def _channels(denoiser: Mapping[str, Any] | None) -> tuple[int, bool]:
    """Return the channels of the latents, and whether as many again are predicted, for the variance."""
    channels, predicted = ((denoiser or {}).get(name) for name in ("in_channels", "out_channels"))
    if not isinstance(channels, int):
        return 4, False
    return channels, predicted == 2 * channels


@lru_cache(maxsize=32)
def _unused(spec: SchedulerSpec, config: str) -> Any:
    try:
        with quietly():
            return scheduler_class(spec.name).from_config(json.loads(config), **dict(spec.options))
    except Exception as error:
        raise InputError(
            "scheduler", str(spec), problem=f"cannot be built: {one_line(error)}",
            allowed="options that go together", hint=ref_value("scheduler", short_name(spec.name)),
        ) from error  # fmt: skip


def describe_schedulers(model: str | None = None, revision: str | None = None) -> tuple[SchedulerInfo, ...]:
    """Describe the schedulers that fit ``model``, its own marked; without a model, all that have an alias.

    Imports diffusers, loads no weights.

    Raises:
        InputError: when the model cannot be found.
    """
    prepare()
    from promptlab.engine.sources.configuration import read_configuration
    from promptlab.engine.sources.finder import find_model

    own: str | None = None
    names: Iterable[str] = {spec.name for spec in ALIASES.values()}
    if model is not None:
        source = find_model(model, revision)
        config = read_configuration(source.folder, source.name)
        own = config.parts.get("scheduler")
        names = () if own is None else fitting_schedulers(own, config.scheduler or {}, config.pipeline_class)
    return tuple(
        SchedulerInfo(
            name=name,
            aliases=tuple(alias for alias, spec in ALIASES.items() if spec.name == name),
            options=tuple(option for option in scheduler_options(name) if option.kind != "other"),
            is_default=name == own,
        )
        for name in sorted(names)
    )
