"""Reads the options of a scheduler from its constructor: their names, kinds and choices.

diffusers ignores a configuration key that it does not know without a word, so every option is looked up here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

from promptlab.engine.sources.class_source import ClassSource, NotTold, class_source, is_named, parameters_of
from promptlab.errors import InputError, UnknownValue, ref_value
from promptlab.specs import Scalar, SchedulerSpec
from promptlab.specs.schedulers import ALIASES, short_name, short_names

__all__ = ["LookUp", "OptionInfo", "check_options", "scheduler_class", "scheduler_options", "scheduler_source"]

LookUp = Callable[..., Any]
"""Gives a scheduler class by its name, or the source of one; also told those that fit, for an error's sentence."""

_CLASS_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*Scheduler")
_NOT_SETTABLE: Final = frozenset({"self", "noise_sampler_seed"})
"""The noise's seeds are the images' own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionInfo:
    """Describes one option of a scheduler.

    Args:
        name: the config key.
        default: what the class itself has; a model's configuration may say otherwise.
        kind: ``bool``, ``int``, ``float``, ``text``, or ``other`` for what cannot be typed (arrays).
        choices: every allowed text, where the class names them.
        optional: whether ``none`` may be given.
    """

    name: str
    default: Scalar
    kind: Literal["bool", "int", "float", "text", "other"]
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def allowed(self) -> str:
        """Return what may be given, in words."""
        words = {
            "bool": "true, false",
            "int": "a whole number",
            "float": "a number",
            "text": ", ".join(self.choices) or "text",
            "other": "nothing that can be typed",
        }[self.kind]
        return f"{words}, none" if self.optional else words

    def admits(self, value: Scalar) -> bool:
        """Tell whether ``value`` is of this option's kind and among its choices."""
        if value is None:
            return self.optional
        if isinstance(value, bool):
            return self.kind == "bool"
        if isinstance(value, int | float):
            return self.kind == "float" or (self.kind == "int" and isinstance(value, int))
        return self.kind == "text" and (not self.choices or value in self.choices)


def scheduler_class(name: str, fitting: Iterable[str] | None = None) -> Any:
    """Return the scheduler class of diffusers called ``name``. Imports diffusers.

    Args:
        fitting: those that fit the model, for the sentence of an error; every alias by default.

    Raises:
        UnknownValue: when diffusers has no such scheduler.
    """
    import diffusers

    found = getattr(diffusers, name, None) if _CLASS_NAME.fullmatch(name) else None
    if not (isinstance(found, type) and issubclass(found, diffusers.SchedulerMixin)):
        raise _unknown(name, fitting)
    return found


def scheduler_source(name: str, fitting: Iterable[str] | None = None) -> ClassSource:
    """Return the source of the scheduler class that :func:`scheduler_class` returns. Imports nothing.

    Raises:
        UnknownValue: as there.
        NotTold: when it is not found where diffusers names it.
    """
    if _CLASS_NAME.fullmatch(name) is None or not is_named(name):
        raise _unknown(name, fitting)
    found = class_source(name)
    if "SchedulerMixin" not in {getattr(base, "id", "") for base in found.tree.bases}:
        raise NotTold(name)
    return found


def scheduler_options(name: str, look_up: LookUp = scheduler_class) -> tuple[OptionInfo, ...]:
    """Return the options of the scheduler class ``name``, in the order of its signature.

    Args:
        look_up: gives the class, or its source.

    Raises:
        UnknownValue: when diffusers has no such scheduler.
    """
    return tuple(
        _option(parameter)
        for parameter in parameters_of(look_up(name), "__init__").values()
        if parameter.name not in _NOT_SETTABLE and parameter.kind is not parameter.VAR_KEYWORD
    )


def check_options(spec: SchedulerSpec, look_up: LookUp = scheduler_class) -> None:
    """Check that a scheduler has the options that ``spec`` sets, and that they admit the values.

    Args:
        look_up: as for :func:`scheduler_options`.

    Raises:
        UnknownValue: for an option that it does not have.
        InputError: for a value that is not of the option's kind.
    """
    there = {option.name: option for option in scheduler_options(spec.name, look_up)}
    for key, value in spec.options:
        if key not in there:
            typeable = [name for name, option in there.items() if option.kind != "other"]
            raise UnknownValue(
                "scheduler", key, typeable, problem=f"is no option of {short_name(spec.name)}",
                hint=ref_value("scheduler", short_name(spec.name)),
            )  # fmt: skip
        if not there[key].admits(value):
            raise InputError(
                "scheduler", f"{short_name(spec.name)}:{key}={value}", problem="does not fit the option",
                allowed=f"{key}={there[key].allowed}", hint=ref_value("scheduler", short_name(spec.name)),
            )  # fmt: skip


def _unknown(name: str, fitting: Iterable[str] | None) -> UnknownValue:
    allowed = ALIASES if fitting is None else short_names(fitting)
    return UnknownValue("scheduler", name, allowed, hint="promptlab schedulers")


def _option(parameter: inspect.Parameter) -> OptionInfo:
    wanted = {*(get_args(parameter.annotation) or (parameter.annotation,))}
    if get_origin(parameter.annotation) is Literal:
        wanted = {parameter.annotation}
    choices: tuple[str, ...] = ()
    kind: Literal["bool", "int", "float", "text", "other"] = "other"
    for each in wanted:
        if get_origin(each) is Literal:
            choices, kind = get_args(each), "text"
    for plain, word in ((float, "float"), (int, "int"), (bool, "bool"), (str, "text")):
        if plain in wanted:
            kind = word  # type: ignore[assignment]
            break
    default = None if parameter.default is parameter.empty else parameter.default
    return OptionInfo(
        name=parameter.name,
        default=default,
        kind=kind,
        choices=choices,
        optional=type(None) in wanted or default is None,
    )
