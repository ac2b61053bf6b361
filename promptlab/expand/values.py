"""Reads what a typed value of a setting means, sets it in a spec, and shows it in a label.

Invariant: a value that :func:`read_value` gives is one that the spec takes: ranges are the spec's own business and are
asked of it, so that they are found where they were typed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from promptlab.errors import InputError, UnknownValue
from promptlab.expand.adapters import read_parts, read_ranged
from promptlab.expand.fields import ARGUMENT, errors_at
from promptlab.expand.located_yaml import LocatedStr
from promptlab.expand.ranges import parse_numbers, show_number
from promptlab.expand.seeds import parse_seeds
from promptlab.expand.settings_text import together
from promptlab.expand.word_diff import cut
from promptlab.specs import (
    AUTO,
    DTYPES,
    Embedding,
    Lora,
    Options,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    options,
)
from promptlab.specs.schedulers import parse_scheduler
from promptlab.specs.settings import Kind, Setting

__all__ = [
    "DEFAULT",
    "changed",
    "changes",
    "read_scheduler",
    "read_value",
    "read_values",
    "show_value",
    "with_negative",
]

DEFAULT: Final = "default"
"""Typed in place of a value: the model's own. Nothing at all (``null``) says the same."""

_NO_DEFAULT: Final = frozenset({"model", "revision", "variant", "config", "device", "generator_device", "negative"})
"""Where the word ``default`` is a text like any other."""

_DTYPE_WORDS: Final = MappingProxyType(
    {"fp32": "float32", "fp16": "float16", "half": "float16", "bf16": "bfloat16", "float": "float32"}
)
_SWITCHES: Final = MappingProxyType({"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False})
_NOTHING: Final[Mapping[Kind, Any]] = MappingProxyType({"negative": "", "switch": False, "parts": ()})
"""Values of settings that are set to nothing, where that is not ``None``."""
_SIZE: Final = re.compile(r"\s*([0-9]{1,6})(?:\s*[xX×*]\s*([0-9]{1,6}))?\s*")
_FRACTION: Final = re.compile(r"[0-9]\.(?!\.)|(?<!\.)\.[0-9]|[eE][+-]?[0-9]")
_PROBE: Final = RunSpec(pipeline=PipelineSpec(model="probe"), variants=(Variant(prompt=""),), seeds=(0,))


def read_value(row: Setting, said: object, *, what: str) -> Any:
    """Return what ``said`` means as a value of a setting, typed and in range.

    A scheduler's text stays as it is, so that labels say it as it was typed; :func:`read_scheduler` reads it.

    Args:
        row: not ``prompts``; these take more than one value to read.
        said: text as typed, ``None``, or a value that is typed already.
        what: the field or the place in a file where it was typed, for what errors say.

    Raises:
        InputError: for what the setting cannot be.
    """
    if row.kind == "argument":
        value = said.value if isinstance(said, LocatedStr) else said
        if value is not None and not isinstance(value, bool | int | float | str):
            raise InputError(
                what, value, problem="is no value of a call argument", allowed="text, a number, true, false"
            )
        return value
    if said is None or (said == DEFAULT and row.name not in _NO_DEFAULT) or (row.nothing and said == row.nothing):
        if row.name in ("model", "seeds", "generator_device"):
            raise InputError(what, problem="is empty", allowed=row.help)
        return _NOTHING.get(row.kind)
    value = _READERS[row.kind](row, said, what)
    if row.kind != "scheduler":
        with errors_at(what):
            changed(_PROBE, row, value)
    return value


def read_scheduler(value: str | SchedulerSpec | None, *, what: str) -> SchedulerSpec | None:
    """Return the scheduler that a value of the setting ``scheduler`` names.

    Raises:
        InputError: for a name that is unknown, or options that are none.
    """
    if value is None or isinstance(value, SchedulerSpec):
        return value
    with errors_at(what):
        return parse_scheduler(value)


def read_values(row: Setting, said: object, *, what: str) -> tuple[Any, ...]:
    """Return all that one text stands for: the numbers of a range, or the one value that it is."""
    if row.kind == "parts" and said != DEFAULT:
        return read_ranged(row, said, what)
    if row.kind == "seed" and said != DEFAULT:
        return _seeds(row, said, what)
    if row.is_numeric and isinstance(said, str) and said not in (DEFAULT, AUTO):
        whole = row.kind in ("whole", "natural", "batch") or (row.kind == "argument" and not _FRACTION.search(said))
        numbers = parse_numbers(said, whole=whole, what=what)
        for number in {min(numbers), max(numbers)}:
            read_value(row, number, what=what)
        return numbers
    return (read_value(row, said, what=what),)


def changed(spec: RunSpec, row: Setting, value: Any) -> RunSpec:
    """Return ``spec`` with a setting at ``value``; a negative prompt becomes that of every variant."""
    if row.kind == "negative":
        return spec.vary(variants=with_negative(spec.variants, value))
    return spec.vary(**changes(spec.call.arguments, row, value))


def changes(arguments: Options, row: Setting, value: Any) -> dict[str, Any]:
    """Return what to vary a spec by so that a setting has ``value``; not for negative prompts.

    Args:
        arguments: the spec's own call arguments, which one more is added to.
        row: the setting.
        value: as :func:`read_value` gives it.
    """
    if row.kind == "size":
        width, height = value or (None, None)
        return {"width": width, "height": height}
    if row.kind == "argument":
        return {"arguments": options({**dict(arguments), row.name.removeprefix(ARGUMENT): value})}
    return {row.sets[0]: _NOTHING.get(row.kind) if value is None else value}


def with_negative(variants: tuple[Variant, ...], negative: str) -> tuple[Variant, ...]:
    """Return ``variants``, all with this negative prompt."""
    return tuple([dataclasses.replace(each, negative_prompt=negative) for each in variants])


def show_value(value: object) -> str:
    """Write a value as a label says it."""
    if value is None:
        return DEFAULT
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return show_number(value)
    if isinstance(value, tuple):
        if not value or isinstance(value[0], Lora | Embedding):
            return together(value)
        if len(value) == 2 and all(isinstance(side, int) for side in value):
            return f"{value[0]}x{value[1]}"
        return cut(" · ".join(map(str, value)), 40)
    return str(value) or "none"


def _text(row: Setting, said: object, what: str) -> str:
    text = str(said)
    if not text.strip() and row.kind != "negative":
        raise InputError(what, text, problem="is empty", allowed=row.help)
    if re.search("[\ud800-\udfff]", text):
        raise InputError(what, ascii(text), problem="is not UTF-8 text")
    return text


def _scheduler(row: Setting, said: object, what: str) -> str | SchedulerSpec:
    return said if isinstance(said, SchedulerSpec | LocatedStr) else _text(row, said, what)


def _dtype(_: Setting, said: object, what: str) -> str | None:
    name = _DTYPE_WORDS.get(str(said), str(said))
    if name == AUTO:
        return None
    if name not in DTYPES:
        raise UnknownValue(what, name, (*DTYPES, AUTO))
    return name


def _whole(_: Setting, said: object, what: str) -> int | float:
    return _one(said, what, whole=True)


def _one(said: object, what: str, *, whole: bool) -> int | float:
    text = said if isinstance(said, str) else show_value(said)
    numbers = parse_numbers(text, whole=whole, what=what)
    if len(numbers) > 1:
        raise InputError(what, text, problem="is more than one value", allowed="one here; several are an axis")
    return numbers[0]


def _batch(_: Setting, said: object, what: str) -> int | float | str:
    if said == AUTO:
        return AUTO
    try:
        return _one(said, what, whole=True)
    except InputError as error:
        raise InputError(what, error.value, problem=error.problem, allowed=f"{error.allowed} · {AUTO}") from error


def _switch(_: Setting, said: object, what: str) -> bool:
    value = said.value if isinstance(said, LocatedStr) else said
    if not isinstance(value, bool):
        found = _SWITCHES.get(str(value).strip().lower())
        if found is None:
            raise UnknownValue(what, str(value), ("true", "false"))
        return found
    return value


def _number(_: Setting, said: object, what: str) -> float:
    return _one(said, what, whole=False)


def _size(_: Setting, said: object, what: str) -> tuple[int, int]:
    text = said if isinstance(said, str) else show_value(said)
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InputError(what, text, problem="is no size", allowed="pixels, as 512 or as WIDTHxHEIGHT")
    return int(found[1]), int(found[2] or found[1])


def _seed(row: Setting, said: object, what: str) -> int:
    if type(said) is int:
        return said
    seeds = _seeds(row, said, what)
    if len(seeds) > 1:
        raise InputError(what, str(said), problem="is more than one value", allowed="one here; several are an axis")
    return seeds[0]


def _seeds(_: Setting, said: object, what: str) -> tuple[int, ...]:
    if isinstance(said, tuple):
        return said
    with errors_at(what):
        return parse_seeds(str(said))


_READERS: Final[Mapping[Kind, Callable[[Setting, object, str], Any]]] = MappingProxyType(
    {
        "text": _text,
        "negative": _text,
        "scheduler": _scheduler,
        "dtype": _dtype,
        "whole": _whole,
        "natural": _whole,
        "parts": read_parts,
        "number": _number,
        "size": _size,
        "seeds": _seeds,
        "seed": _seed,
        "batch": _batch,
        "switch": _switch,
    }
)
