"""Options over an experiment: what is typed on the command line replaces what the file says of the same thing.

Invariant: an option that is not named changes nothing, and one that is leaves no trace of what was there before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from promptlab.errors import InputError
from promptlab.expand.fields import FIELDS, Field, field_named
from promptlab.expand.prompt_steps import Entry, PromptSteps
from promptlab.expand.ranges import parse_numbers
from promptlab.expand.sweep import Axis
from promptlab.expand.templates import MAX_PROMPTS
from promptlab.expand.values import read_value, read_values
from promptlab.specs import MAX_SEED, Embedding, Lora

if TYPE_CHECKING:
    from promptlab.expand.experiment import Experiment

__all__ = ["overridden", "whole_between"]

_OWN: Final = ("experiment", "name", "note")
_WORDS: Final = ("replace", "fragments", "order")
_SIDES: Final = ("width", "height")


def overridden(experiment: Experiment, typed: Mapping[str, Any]) -> Experiment:
    """``experiment`` with options; see :meth:`promptlab.expand.experiment.Experiment.with_options`."""
    named = {key: value for key, value in typed.items() if value is not None and value != ()}
    changed: dict[str, Any] = {key: str(named.pop(key)) for key in _OWN if key in named}
    phrasing = _phrasing(experiment.phrasing, named)
    fields = _fields(named)
    if "size" in fields and (beside := [side for side in _SIDES if side in fields]):
        raise InputError("size", problem=f"is said beside --{beside[0]}", allowed="--size, or --height and --width")
    experiment = replace(experiment, **changed, phrasing=phrasing)
    if "model" in fields and _values(FIELDS["model"], fields["model"]) != (dict(experiment.settings).get("model"),):
        for name in ("revision", "variant", "config"):
            experiment = _without(experiment, name)
    for name, said in fields.items():
        experiment = _with(experiment, field_named(name, what=f"--{name}"), said)
    return replace(experiment, overridden=experiment.overridden | fields.keys())


def whole_between(said: object, least: int, most: int, *, what: str) -> int:
    """The whole number that ``said`` is.

    Raises:
        InputError: when it is none, or outside the range.
    """
    numbers = parse_numbers(str(said), whole=True, what=what)
    if len(numbers) != 1 or not least <= numbers[0] <= most:
        raise InputError(what, str(said), problem="is out of range", allowed=f"{least} to {most:,}")
    return int(numbers[0])


def _phrasing(phrasing: PromptSteps, named: dict[str, Any]) -> PromptSteps:
    changed: dict[str, Any] = {key: tuple(map(str, _several(named.pop(key)))) for key in _WORDS if key in named}
    if "sample" in named:
        changed["sample"] = whole_between(named.pop("sample"), 1, MAX_PROMPTS, what="--sample")
        changed["sample_what"] = "--sample"
    if "template_seed" in named:
        changed["template_seed"] = whole_between(named.pop("template_seed"), 0, MAX_SEED, what="--template-seed")
    return replace(phrasing, **changed)


def _fields(named: Mapping[str, Any]) -> dict[str, Any]:
    """What is left, by the short names of fields."""
    fields: dict[str, Any] = {}
    for key, said in named.items():
        if key == "arguments":
            for name, value in said.items() if isinstance(said, Mapping) else said:
                several = _several(value)
                fields[f"arguments.{name}"] = [*fields.get(f"arguments.{name}", ()), *several]
            continue
        name = next((field.name for field in FIELDS.values() if key in field.names), None)
        if name is None or name in fields:
            raise TypeError(f"with_options() got an unexpected or repeated option '{key}'")
        fields[name] = said
    return fields


def _several(said: Any) -> tuple[Any, ...]:
    return tuple(said) if isinstance(said, list | tuple) else (said,)


def _with(experiment: Experiment, field: Field, said: Any) -> Experiment:
    values = _values(field, said)
    place = next((at for at, axis in enumerate(experiment.axes) if axis.field == field.name), len(experiment.axes))
    experiment = _apart(experiment, field)
    for name in (field.name, *(_SIDES if field.name == "size" else ())):
        experiment = _without(experiment, name)
    if field.kind == "prompts":
        return replace(experiment, entries=values)
    if field.kind == "seeds" and len(values) == 1:
        return replace(experiment, seeds=values[0])
    if len(values) == 1:
        return replace(experiment, settings=(*experiment.settings, (field.name, values[0])))
    axis = Axis(field=field.name, values=values, what=field.option)
    return replace(experiment, axes=(*experiment.axes[:place], axis, *experiment.axes[place:]))


def _values(field: Field, said: Any) -> tuple[Any, ...]:
    if field.kind == "prompts":
        return tuple(each if isinstance(each, Entry) else Entry(text=str(each)) for each in _several(said))
    what = field.option
    numbers = isinstance(said, list | tuple) and all(type(each) is int for each in said)
    if field.kind == "seeds" and numbers:
        return (tuple(said),)
    if field.kind == "argument":  # its texts are what they are, never ranges
        return tuple(read_value(field, each, what=what) for each in said)
    if field.kind == "parts" and isinstance(said, tuple) and all(isinstance(each, Lora | Embedding) for each in said):
        return (said,)
    if not isinstance(said, list | tuple) or (field.kind == "size" and numbers and len(said) == 2):
        return read_values(field, said, what=what)
    return tuple(value for each in said for value in read_values(field, each, what=what))


def _apart(experiment: Experiment, field: Field) -> Experiment:
    """With only one side typed, a size that the file says becomes its two sides."""
    if field.name not in _SIDES:
        return experiment

    def sides(axis: Axis) -> tuple[Axis, ...]:
        if axis.field != "size":
            return (axis,)
        return tuple(
            replace(axis, field=side, values=tuple(value and value[at] for value in axis.values), shown=())
            for at, side in enumerate(_SIDES)
        )

    settings = [
        pair
        for name, value in experiment.settings
        for pair in (zip(_SIDES, value or (None, None), strict=True) if name == "size" else ((name, value),))
    ]
    grouped = tuple(tuple(each for axis in group for each in sides(axis)) for group in experiment.zips)
    plain = tuple(axis for axis in experiment.axes if axis.field != "size")
    sizes = tuple(sides(axis) for axis in experiment.axes if axis.field == "size")
    return replace(experiment, settings=tuple(settings), axes=plain, zips=(*grouped, *sizes))


def _without(experiment: Experiment, name: str) -> Experiment:
    """No word of the field is left; rows of a zip group that differed in it alone are one."""
    groups: list[tuple[Axis, ...]] = []
    for group in experiment.zips:
        left = tuple(axis for axis in group if axis.field != name)
        if left and len(left) < len(group):
            left = _distinct_rows(left)
        if left:
            groups.append(left)
    return dataclasses.replace(
        experiment,
        settings=tuple(pair for pair in experiment.settings if pair[0] != name),
        axes=tuple(axis for axis in experiment.axes if axis.field != name),
        zips=tuple(groups),
    )


def _distinct_rows(group: Sequence[Axis]) -> tuple[Axis, ...]:
    rows = dict.fromkeys(zip(*(axis.values for axis in group), strict=True))
    columns = zip(*rows, strict=True)
    return tuple(replace(axis, values=column, shown=()) for axis, column in zip(group, columns, strict=True))
