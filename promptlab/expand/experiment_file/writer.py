"""Writes the experiment file that makes a run again.

Invariant: :func:`~promptlab.expand.experiment_file.reader.parse_experiment` makes an equal spec of it, whatever the
words are: they are taken to the letter (``text``), and whatever YAML might take for something else is
quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from promptlab.expand.ranges import show_number
from promptlab.expand.seeds import show_seeds
from promptlab.specs import Lora, PipelineSpec, RunSpec, Scalar, SchedulerSpec, Variant
from promptlab.specs.settings import SETTINGS

__all__ = ["write_experiment"]

_HIDDEN: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML breaks a line at, takes for a mark of its own, or refuses."""

_DEFAULT: Final = RunSpec(pipeline=PipelineSpec(model=""), variants=(Variant(prompt=""),), seeds=(0,))


def write_experiment(
    spec: RunSpec, *, experiment: str | None = None, name: str | None = None, note: str | None = None
) -> str:
    """Write a YAML file whose only run is ``spec``.

    Args:
        spec: of a run; what it leaves to the pipeline is left out.
        experiment, name, note: as the run is remembered.
    """
    head = (("experiment", experiment), ("name", name), ("note", note))
    lines = [f"{key}: {_scalar(value)}" for key, value in (*head, *_settings(spec)) if value is not None]
    if spec.call.arguments:
        lines += ["arguments:", *(f"  {key}: {_scalar(value)}" for key, value in spec.call.arguments)]
    lines.append("prompts:")
    for variant in spec.variants:
        lines += _prompt(variant)
    return "\n".join(lines) + "\n"


def _settings(spec: RunSpec) -> Iterator[tuple[str, Scalar | list[str]]]:
    """Yield the settings that are not the default; ``size`` where both sides are said, else the one."""
    sides_known = None not in SETTINGS["size"].values(spec)
    for row in SETTINGS.values():
        values = row.values(spec) if row.kind not in ("prompts", "negative") else ()
        if row.kind == "seeds":
            yield row.name, show_seeds(spec.seeds)
        elif row.kind == "size":
            yield row.name, f"{spec.call.width}x{spec.call.height}" if sides_known else None
        elif values and values != row.values(_DEFAULT) and not (sides_known and row.name in ("width", "height")):
            yield row.name, _value(values[0])


def _value(value: Any) -> Scalar | list[str]:
    """Return a value as a file says it."""
    if isinstance(value, SchedulerSpec):
        return str(value)
    if isinstance(value, tuple):
        return [f"{part.name}:{show_number(part.weight)}" if isinstance(part, Lora) else str(part) for part in value]
    return value  # type: ignore[no-any-return]  # all others are plain


def _prompt(variant: Variant) -> list[str]:
    rows: list[tuple[str, Scalar]] = [
        ("text", variant.prompt),
        ("negative", variant.negative_prompt or None),
        ("label", variant.label),
        ("template", variant.template),
        ("replacement", variant.replacement),
        ("source", variant.source),
    ]
    lines = [f"    {key}: {_scalar(value)}" for key, value in rows if value is not None]
    return ["  - " + lines[0].lstrip(), *lines[1:]]


def _scalar(value: Scalar | list[str]) -> str:
    """Write a value as YAML takes it for itself: JSON, which is YAML, too."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return show_number(value)
    text = json.dumps(value, ensure_ascii=False)
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
