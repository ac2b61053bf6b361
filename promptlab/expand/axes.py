"""Combines axes: settings and the values that they take, to the combinations that are made.

Axes multiply; those of a zip group vary together; excluded combinations are left out. Invariants: combinations come in
the order in which the values are written, the first axis changing slowest; everything that can be wrong with axes is
said before a combination is made, and there are no more of them than ``MAX_CELLS``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from promptlab.errors import InputError
from promptlab.expand.fields import find_setting
from promptlab.expand.seeds import show_seeds
from promptlab.expand.values import show_value
from promptlab.expand.word_diff import cut
from promptlab.specs import Variant
from promptlab.specs.settings import Setting

__all__ = ["MAX_CELLS", "Axis", "Combinations", "Dimension", "Exclude", "Shown", "combine", "comparable"]

MAX_CELLS: Final = 100_000
MAX_EXCLUDES: Final = 1_000

Shown = tuple[tuple[str, str], ...]
"""Fields, and their values as labels say them."""

Dimension = tuple["Axis", ...]
"""One axis, or those of a zip group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Names a setting and the values it takes, one after the other.

    Args:
        field: a name that :func:`promptlab.expand.fields.find_setting` knows.
        values: one or more, typed as the spec has them; a size is (width, height), prompts are tuples of variants,
            seeds tuples of seeds.
        shown: each value as labels say it; made from the values where it is left out.
        what: where it was said, for what errors say; ``axes.FIELD`` where it is left out.
    """

    field: str
    values: tuple[Any, ...]
    shown: tuple[str, ...] = ()
    what: str = ""

    @property
    def said(self) -> str:
        """Return how errors call it."""
        return self.what or f"axes.{self.field}"

    def labels(self) -> tuple[str, ...]:
        """Return a text for each value; different ones for different values."""
        row = find_setting(self.field, what=self.said)
        labels = list(self.shown or (_label(row, value) for value in self.values))
        if len(set(labels)) == len(labels):
            return tuple(labels)
        said: dict[str, list[Hashable]] = {}
        for place, (label, value) in enumerate(zip(labels, map(comparable, self.values), strict=True)):
            values = said.setdefault(label, [])
            if value not in values:
                values.append(value)
            if number := values.index(value):
                labels[place] = f"{label} ({number + 1})"
        return tuple(labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclude:
    """Leaves a combination out: one of the values in each of the fields.

    Args:
        values: field → values, typed like an axis's.
        what: where it was said, for what errors say.
    """

    values: Mapping[str, Sequence[Any]]
    what: str = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class Combinations:
    """Holds the combinations of axes that are made.

    Args:
        dimensions: what multiplies.
        settings: what the axes vary, by their fields.
        places: of each combination: the place on each dimension, from 0.
    """

    dimensions: tuple[Dimension, ...]
    settings: Mapping[str, Setting]
    places: Sequence[tuple[int, ...]]

    def shown(self) -> list[list[Shown]]:
        """Return what labels say of each place on each dimension."""
        return [
            [
                tuple((self.settings[axis.field].name, text) for axis, text in zip(dimension, texts, strict=True))
                for texts in zip(*(axis.labels() for axis in dimension), strict=True)
            ]
            for dimension in self.dimensions
        ]


def combine(
    axes: Sequence[Axis], zips: Sequence[Sequence[Axis]] = (), excludes: Sequence[Exclude] = ()
) -> Combinations:
    """Combine the values of axes.

    Args:
        axes: they multiply, the first changing slowest.
        zips: groups of axes of one length that vary together; they multiply after ``axes``.
        excludes: combinations that are left out.

    Raises:
        InputError: for a field on two axes, an empty axis, a value that is there twice, lengths of a group that differ,
            an exclude that matches nothing or everything, or more than ``MAX_CELLS``.
    """
    dimensions = (*((axis,) for axis in axes), *(tuple(group) for group in zips if group))
    settings = _checked(dimensions)
    rules = [_rule(dimensions, settings, exclude) for exclude in excludes]
    return Combinations(dimensions=dimensions, settings=settings, places=_places(dimensions, rules, excludes))


def comparable(value: Any) -> Hashable:
    """Return what two values of an axis are compared by: of variants, their words."""
    if isinstance(value, tuple) and value and isinstance(value[0], Variant):
        return tuple([(each.prompt, each.negative_prompt) for each in value])
    return value  # type: ignore[no-any-return]


def _label(row: Setting, value: Any) -> str:
    kind = row.kind
    if value is None and row.nothing is not None:
        return row.nothing
    if kind == "prompts":
        return cut(" · ".join(each.label or each.prompt for each in value[:8]), 40)
    if kind == "seeds":
        return show_seeds(value)
    return cut(value, 60) if isinstance(value, str) and value else show_value(value)


def _checked(dimensions: Sequence[Dimension]) -> dict[str, Setting]:
    """Return the settings of all axes by their names; refuse what is wrong before values are looked at."""
    fields: dict[str, Setting] = {}
    setters: dict[str, str] = {}
    for dimension in dimensions:
        for axis in dimension:
            field = fields[axis.field] = find_setting(axis.field, what=axis.said)
            if not axis.values:
                raise InputError(axis.said, problem="has no value", allowed="one or more")
            if len(axis.values) != len(dimension[0].values):
                raise InputError(
                    axis.said, problem=f"has {len(axis.values):,} values, where {dimension[0].field} beside it has "
                    f"{len(dimension[0].values):,}", allowed="as many in each field of a zip group",
                )  # fmt: skip
            for part in (field.name,) if field.kind == "argument" else field.sets:
                if part in setters:
                    raise InputError(axis.said, problem=f"is set by the axis {setters[part]} already")
                setters[part] = field.name
        _check_rows(dimension)
    count = math.prod(len(dimension[0].values) for dimension in dimensions)
    if count > MAX_CELLS:
        problem = f"makes {count:,} runs with the axes beside it, too many"
        raise InputError(dimensions[0][0].said, problem=problem, allowed=f"{MAX_CELLS:,}")
    return fields


def _check_rows(dimension: Dimension) -> None:
    rows: dict[Hashable, int] = {}
    for place, row in enumerate(zip(*(axis.values for axis in dimension), strict=True)):
        first = rows.setdefault(tuple(map(comparable, row)), place)
        if first != place:
            texts = [axis.labels() for axis in dimension]
            has = "has" if len(dimension) == 1 else f"with {', '.join(axis.field for axis in dimension[1:])} has"
            earlier, later = (", ".join(text[at] for text in texts) for at in (first, place))
            problem = f"{has} the same value twice: {cut(earlier, 80)}, as number {first + 1} and {place + 1}"
            if earlier != later.removesuffix(" (2)"):
                problem = f"{has} one value in two words: {cut(earlier, 80)} and {cut(later, 80)}"
            raise InputError(dimension[0].said, problem=problem, allowed="each once")


def _rule(
    dimensions: Sequence[Dimension], fields: Mapping[str, Setting], exclude: Exclude
) -> dict[int, frozenset[int]]:
    """Map each dimension of an exclude to the places on it that it matches."""
    what = exclude.what
    if not exclude.values:
        raise InputError(what, problem="names no field", allowed="a field and its value, or several")
    where = {fields[axis.field].name: (at, axis) for at, dimension in enumerate(dimensions) for axis in dimension}
    rule: dict[int, frozenset[int]] = {}
    for name, values in exclude.values.items():
        field = find_setting(name, what=what)
        if field.name not in where:
            raise InputError(
                what,
                field.name,
                problem="is no axis of this sweep",
                allowed=", ".join(where) or "none: there are no axes",
            )
        at, axis = where[field.name]
        wanted = set(map(comparable, values))
        places = frozenset(place for place, value in enumerate(axis.values) if comparable(value) in wanted)
        rule[at] = rule[at] & places if at in rule else places
    if not all(rule.values()):
        shown = ", ".join(f"{name}: {'|'.join(map(show_value, values))}" for name, values in exclude.values.items())
        raise InputError(what, cut(shown, 200), problem="matches no combination", allowed="values that the axes have")
    return rule


def _places(
    dimensions: Sequence[Dimension], rules: Sequence[dict[int, frozenset[int]]], excludes: Sequence[Exclude]
) -> list[tuple[int, ...]]:
    """Return the combinations that no rule matches.

    They are grown dimension by dimension: a rule that fails is dropped early.
    """
    if len(rules) > MAX_EXCLUDES:
        raise InputError(excludes[0].what, problem=f"is one of {len(rules):,}, too many", allowed=f"{MAX_EXCLUDES:,}")
    grown: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), tuple(range(len(rules))))]
    for at, dimension in enumerate(dimensions):
        by_place = (
            [
                frozenset(number for number, rule in enumerate(rules) if at not in rule or place in rule[at])
                for place in range(len(dimension[0].values))
            ]
            if rules
            else [frozenset()] * len(dimension[0].values)
        )
        grown = [
            ((*before, place), tuple([number for number in alive if number in matching]) if alive else ())
            for before, alive in grown
            for place, matching in enumerate(by_place)
        ]
    kept = [place for place, alive in grown if not alive]
    if not kept:
        raise InputError(
            excludes[0].what, problem="leaves nothing to run", allowed="at least one combination that is kept"
        )
    return kept
