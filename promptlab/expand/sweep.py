"""Multiplies axes to a sweep: the settings that come of them, each one run.

Axes multiply; those of a zip group vary together; excluded combinations are left out. Invariants: cells come in the
order in which the values are written, the first axis changing slowest; no two cells ask for the same run; everything
that can be wrong is said before a cell is made, and a sweep is no larger than ``MAX_CELLS``.

Parts that many cells have in common are one object, so that 100,000 cells take tens of megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from promptlab._gc import gc_paused
from promptlab.errors import InputError
from promptlab.expand.fields import find_setting
from promptlab.expand.seeds import show_seeds
from promptlab.expand.sweep_specs import SweepSpecs
from promptlab.expand.values import show_value
from promptlab.expand.word_diff import cut
from promptlab.specs import RunSpec, Variant
from promptlab.specs.settings import Setting

__all__ = ["MAX_CELLS", "Axis", "Exclude", "Sweep", "SweepPoint", "build_sweep"]

MAX_CELLS: Final = 100_000
MAX_EXCLUDES: Final = 1_000

Shown = tuple[tuple[str, str], ...]
Dimension = tuple["Axis", ...]


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
        kind = find_setting(self.field, what=self.said).kind
        labels = list(self.shown or (_label(kind, value) for value in self.values))
        if len(set(labels)) == len(labels):
            return tuple(labels)
        said: dict[str, list[Hashable]] = {}
        for place, (label, value) in enumerate(zip(labels, map(_comparable, self.values), strict=True)):
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
class SweepPoint:
    """Holds one run of a sweep.

    Args:
        place: the place on each of the sweep's dimensions, from 0.
        values: field and shown value of each axis, in the order of the axes.
        spec: what is to be run.
    """

    place: tuple[int, ...]
    values: Shown
    spec: RunSpec

    @property
    def label(self) -> str:
        """Return ``scheduler euler · steps 20``; empty where there is no axis."""
        return " · ".join(f"{field} {value}" for field, value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Holds the runs that a base and its axes make.

    Args:
        dimensions: what multiplies: one axis each, or those of a zip group.
        cells: one or more, the first dimension changing slowest.
    """

    dimensions: tuple[Dimension, ...]
    cells: tuple[SweepPoint, ...]

    @property
    def specs(self) -> tuple[RunSpec, ...]:
        """Return the specs of its runs, in order."""
        return tuple(cell.spec for cell in self.cells)

    @property
    def image_count(self) -> int:
        """Count the images of all runs together."""
        return sum(cell.spec.image_count for cell in self.cells)


@gc_paused()
def build_sweep(
    base: RunSpec,
    axes: Sequence[Axis] = (),
    zips: Sequence[Sequence[Axis]] = (),
    excludes: Sequence[Exclude] = (),
) -> Sweep:
    """Make the runs that ``base`` becomes when each axis takes each of its values.

    Args:
        base: what every run has that no axis sets.
        axes: they multiply, the first changing slowest.
        zips: groups of axes of one length that vary together; they multiply after ``axes``.
        excludes: combinations that are left out.

    Raises:
        InputError: for a field on two axes, an empty axis, lengths of a group that differ, an exclude that matches
            nothing or everything, a cell that is there twice, or more than ``MAX_CELLS``.
    """
    dimensions = (*((axis,) for axis in axes), *(tuple(group) for group in zips if group))
    fields = _checked(dimensions)
    places = _places(dimensions, [_rule(dimensions, fields, exclude) for exclude in excludes], excludes)
    labels = [[axis.labels() for axis in dimension] for dimension in dimensions]
    shown: list[list[Shown]] = [
        [
            tuple((fields[axis.field].name, texts[place]) for axis, texts in zip(dimension, group, strict=True))
            for place in range(len(dimension[0].values))
        ]
        for dimension, group in zip(dimensions, labels, strict=True)
    ]
    assembly = SweepSpecs(
        base,
        [(at, fields[axis.field], axis.values) for at, dimension in enumerate(dimensions) for axis in dimension],
    )
    cells = tuple(
        [
            SweepPoint(
                place=place,
                values=tuple([pair for at, pairs in zip(place, shown) for pair in pairs[at]]),  # noqa: B905 - a hundred thousand times, and of one length
                spec=spec,
            )
            for place, spec in zip(places, map(assembly.at, places), strict=True)
        ]
    )
    _check_words(cells, dimensions, fields)
    return Sweep(dimensions=dimensions, cells=cells)


def _check_words(cells: Sequence[SweepPoint], dimensions: Sequence[Dimension], fields: Mapping[str, Setting]) -> None:
    """Refuse a run that is there twice.

    Rows of a dimension differ and no field is set by two, so that cells differ: but prompts may bring a negative
    prompt that the axis of negative prompts covers up.
    """
    axes = {fields[axis.field].kind: axis for dimension in dimensions for axis in dimension}
    if not {"prompts", "negative"} <= axes.keys():
        return
    seen: dict[Hashable, SweepPoint] = {}
    for cell in cells:
        spec = cell.spec
        words = _comparable(spec.variants)
        place = (spec.device, spec.generator_device, spec.machine)
        key = (spec.pipeline, spec.call, spec.seeds, spec.batch_size, place, words)
        first = seen.setdefault(key, cell)
        if first is not cell:
            problem = f"makes one run of '{cut(first.label, 80)}' and of '{cut(cell.label, 80)}'"
            raise InputError(axes["negative"].said, problem=problem, allowed="each run once")


def _label(kind: str, value: Any) -> str:
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
        first = rows.setdefault(tuple(map(_comparable, row)), place)
        if first != place:
            texts = [axis.labels() for axis in dimension]
            has = "has" if len(dimension) == 1 else f"with {', '.join(axis.field for axis in dimension[1:])} has"
            earlier, later = (", ".join(text[at] for text in texts) for at in (first, place))
            problem = f"{has} the same value twice: {cut(earlier, 80)}, as number {first + 1} and {place + 1}"
            if earlier != later.removesuffix(" (2)"):
                problem = f"{has} one value in two words: {cut(earlier, 80)} and {cut(later, 80)}"
            raise InputError(dimension[0].said, problem=problem, allowed="each once")


def _comparable(value: Any) -> Hashable:
    if isinstance(value, tuple) and value and isinstance(value[0], Variant):
        return tuple([(each.prompt, each.negative_prompt) for each in value])
    return value  # type: ignore[no-any-return]


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
        wanted = set(map(_comparable, values))
        places = frozenset(place for place, value in enumerate(axis.values) if _comparable(value) in wanted)
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
