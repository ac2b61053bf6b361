"""Names schedulers as people do: diffusers' class names, short ones, and those of AUTOMATIC1111.

Pure: names are checked and completed before anything heavy is loaded. What a scheduler is, and whether it fits a model,
is the engine's business.

Names: ``docs/source/en/api/schedulers/overview.md`` of diffusers, for the words of k-diffusion and AUTOMATIC1111.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from promptlab.errors import InputError, UnknownValue, ref_value
from promptlab.specs.pipeline import SchedulerSpec
from promptlab.specs.values import Scalar, options, parse_scalar

__all__ = ["ALIASES", "parse_scheduler", "short_name", "short_names"]


def _spec(name: str, **given: Scalar) -> SchedulerSpec:
    return SchedulerSpec(name=f"{name}Scheduler", options=options(given))


ALIASES: Final[Mapping[str, SchedulerSpec]] = MappingProxyType(
    {
        "dpmsolver++": _spec("DPMSolverMultistep"),
        "dpmsolver": _spec("DPMSolverMultistep", algorithm_type="dpmsolver", final_sigmas_type="sigma_min"),
        "sde-dpmsolver++": _spec("DPMSolverMultistep", algorithm_type="sde-dpmsolver++"),
        "dpmsolver++-singlestep": _spec("DPMSolverSinglestep"),
        "dpmsolver-sde": _spec("DPMSolverSDE"),
        "euler": _spec("EulerDiscrete"),
        "euler-a": _spec("EulerAncestralDiscrete"),
        "edm-euler": _spec("EDMEuler"),
        "unipc": _spec("UniPCMultistep"),
        "deis": _spec("DEISMultistep"),
        "heun": _spec("HeunDiscrete"),
        "lms": _spec("LMSDiscrete"),
        "kdpm2": _spec("KDPM2Discrete"),
        "kdpm2-a": _spec("KDPM2AncestralDiscrete"),
        "ddim": _spec("DDIM"),
        "ddpm": _spec("DDPM"),
        "pndm": _spec("PNDM"),
        "lcm": _spec("LCM"),
        "tcd": _spec("TCD"),
        "flow-euler": _spec("FlowMatchEulerDiscrete"),
        "flow-heun": _spec("FlowMatchHeunDiscrete"),
        "flow-lcm": _spec("FlowMatchLCM"),
    }
)
"""Short names, and what they mean in diffusers. ``-karras``, ``-exponential``, ``-beta`` after one set its sigmas."""

_OTHER_SPELLINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dpm++-2m": "dpmsolver++",
        "dpm++-2m-sde": "sde-dpmsolver++",
        "dpm++-sde": "dpmsolver-sde",
        "dpm++-2s": "dpmsolver++-singlestep",
        "dpm++-2s-a": "dpmsolver++-singlestep",
        "dpmsolver++-2m": "dpmsolver++",
        "dpmsolver++-2s": "dpmsolver++-singlestep",
        "dpmsolver++-sde": "sde-dpmsolver++",
        "dpmsolver-sde++": "sde-dpmsolver++",
        "dpm2": "kdpm2",
        "dpm2-a": "kdpm2-a",
        "dpm2-ancestral": "kdpm2-a",
        "kdpm2-ancestral": "kdpm2-a",
        "euler-ancestral": "euler-a",
        "plms": "pndm",
        "flowmatch-euler": "flow-euler",
        "flow-match-euler": "flow-euler",
        "flow-match-heun": "flow-heun",
    }
)
"""AUTOMATIC1111's and k-diffusion's words, folded: lower case, hyphens for blanks."""

_SIGMAS: Final = ("karras", "exponential", "beta")
_CLASS_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*Scheduler")


def parse_scheduler(text: str) -> SchedulerSpec:
    """Read the scheduler that ``text`` names: ``NAME`` or ``NAME:key=value,key=value``.

    Args:
        text: an alias, or a diffusers class name with or without ``Scheduler``, in any case; values are ``true``,
            ``false``, ``none``, numbers or text.

    Raises:
        UnknownValue: for a name that is neither. A class that only diffusers knows is checked when it is resolved.
        InputError: for options that are not ``key=value``.
    """
    name, colon, tail = text.strip().partition(":")
    known = _named(name)
    given: dict[str, Scalar] = {}
    if colon and not tail.strip(" ,"):
        raise InputError(
            "scheduler", text, problem="has no option behind its colon", allowed="NAME, or NAME:key=value,key=value",
            hint=ref_value("scheduler", name),
        )  # fmt: skip
    for pair in filter(None, (part.strip() for part in tail.split(","))):
        key, _, value = (part.strip() for part in pair.partition("="))
        if not (key and value):
            raise InputError(
                "scheduler", text, problem=f"has an option without a value: {pair}",
                allowed="NAME:key=value,key=value",
                hint=ref_value("scheduler", f"{name}:use_karras_sigmas=true"),
            )  # fmt: skip
        if key in given:
            raise InputError(
                "scheduler",
                text,
                problem=f"sets {key} twice",
                allowed="each option once",
                hint=ref_value("scheduler", name),
            )
        given[key] = parse_scalar(value)
    return SchedulerSpec(name=known.name, options=options({**dict(known.options), **given}))


def short_name(name: str) -> str:
    """Return the alias of the plain class ``name``; the class name where it has none."""
    return next((alias for alias, spec in ALIASES.items() if spec == SchedulerSpec(name=name)), name)


def short_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the :func:`short_name` of each, as an error lists them."""
    return tuple(short_name(name) for name in names)


def _named(name: str) -> SchedulerSpec:
    folded = re.sub(r"\+\+(?=\d)", "++-", re.sub(r"[\s_-]+", "-", name.strip().lower()))
    base, sigmas = folded, {}
    for kind in _SIGMAS:
        if folded.endswith(f"-{kind}"):
            base, sigmas = folded.removesuffix(f"-{kind}"), {f"use_{kind}_sigmas": True}
    classes = {spec.name.lower(): spec.name for spec in ALIASES.values()}
    spec = ALIASES.get(_OTHER_SPELLINGS.get(base, base))
    if spec is None:
        bare = base.removesuffix("scheduler").rstrip("-")
        if f"{bare}scheduler" in classes:
            spec = SchedulerSpec(name=classes[f"{bare}scheduler"])
        elif _CLASS_NAME.fullmatch(name.strip()):
            spec = SchedulerSpec(name=name.strip())
        else:
            raise UnknownValue("scheduler", name, ALIASES, hint="promptlab schedulers")
    return SchedulerSpec(name=spec.name, options=options({**dict(spec.options), **sigmas}))
