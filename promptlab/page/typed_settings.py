"""Writes the settings of a spec as one types them behind their options: a form is filled with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from promptlab.expand.ranges import show_number
from promptlab.expand.settings_text import NONE, TOGETHER
from promptlab.specs import Lora, PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.specs.schedulers import ALIASES
from promptlab.specs.settings import SETTINGS, Setting

__all__ = ["ARGUMENT", "WORDS", "form_rows", "form_settings", "typed_settings"]

ARGUMENT: Final = "arguments."
"""Begins the names of further arguments of the call."""

WORDS: Final = frozenset({"prompts", "negative", "seeds"})
"""Settings that have a place of their own in a request."""

_ASIDE: Final = frozenset({"revision", "config", "batch_size", "device", "generator_device", "height", "width"})
"""Settings that a rerun inherits by rules of its own, or that another one stands for: no form is filled with them."""

_DEFAULT: Final = RunSpec(pipeline=PipelineSpec(model=""), variants=(Variant(prompt=""),), seeds=(0,))


def form_rows() -> tuple[Setting, ...]:
    """Return the rows of all settings that a form has, in the table's order."""
    return tuple(row for row in SETTINGS.values() if row.name not in WORDS)


def form_settings(spec: RunSpec) -> Mapping[str, str]:
    """Return what a form is filled with, to vary ``spec``: by the names of settings, in the table's order."""
    return {name: text for name, text in typed_settings(spec).items() if name not in _ASIDE}


def typed_settings(spec: RunSpec) -> Mapping[str, str]:
    """Return every setting of ``spec`` that says something, as one types it; words and seeds apart."""
    found: dict[str, str] = {}
    sides_known = None not in SETTINGS["size"].values(spec)
    for row in form_rows():
        values = row.values(spec)
        if row.kind == "size":
            if sides_known:
                found[row.name] = "x".join(map(str, values))
        elif values != row.values(_DEFAULT) and not (sides_known and row.name in ("width", "height")):
            found[row.name] = _typed(values[0])
    return found | {ARGUMENT + name: _typed(value) for name, value in spec.call.arguments}


def _typed(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case None:
            return NONE
        case int() | float():
            return show_number(value)
        case SchedulerSpec():
            return next((alias for alias, spec in ALIASES.items() if spec == value), str(value))
        case tuple():
            return f" {TOGETHER} ".join(map(_part, value))
        case _:
            return str(value)


def _part(part: object) -> str:
    return f"{part.name}:{show_number(part.weight)}" if isinstance(part, Lora) else str(part)
