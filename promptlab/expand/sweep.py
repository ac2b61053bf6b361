"""Makes the runs of a sweep: a base, and the settings that come of axes.

Invariants: cells come in the order of their combinations (:mod:`promptlab.expand.axes`); no two cells ask for the same
run. Parts that come of the same values are made once and shared, so that what a sweep costs is its distinct settings,
and 100,000 cells take tens of megabytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from promptlab._gc import gc_paused
from promptlab.errors import InputError
from promptlab.expand.axes import Axis, Combinations, Dimension, Exclude, Shown, combine, comparable
from promptlab.expand.values import changes, with_negative
from promptlab.expand.word_diff import cut
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, RunSpec
from promptlab.specs.settings import Setting

__all__ = ["Sweep", "SweepPoint", "build_sweep"]

AxisSetting = tuple[int, Setting, Sequence[Any]]
"""The dimension that a setting's values lie on, the setting, and the values."""


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
    combined = combine(axes, zips, excludes)
    shown, specs = combined.shown(), _Specs(base, combined)
    cells = tuple(
        [
            SweepPoint(
                place=place,
                values=tuple([pair for at, pairs in zip(place, shown) for pair in pairs[at]]),  # noqa: B905 - a hundred thousand times, and of one length
                spec=specs.at(place),
            )
            for place in combined.places
        ]
    )
    _check_words(cells, combined)
    return Sweep(dimensions=combined.dimensions, cells=cells)


def _check_words(cells: Sequence[SweepPoint], combined: Combinations) -> None:
    """Refuse a run that is there twice.

    Rows of a dimension differ and no field is set by two, so that cells differ: but prompts may bring a negative
    prompt that the axis of negative prompts covers up.
    """
    axes = {combined.settings[axis.field].kind: axis for dimension in combined.dimensions for axis in dimension}
    if not {"prompts", "negative"} <= axes.keys():
        return
    seen: dict[Hashable, SweepPoint] = {}
    for cell in cells:
        spec = cell.spec
        words = comparable(spec.variants)
        place = (spec.device, spec.generator_device, spec.machine)
        key = (spec.pipeline, spec.call, spec.seeds, spec.batch_size, place, words)
        first = seen.setdefault(key, cell)
        if first is not cell:
            problem = f"makes one run of '{cut(first.label, 80)}' and of '{cut(cell.label, 80)}'"
            raise InputError(axes["negative"].said, problem=problem, allowed="each run once")


class _Specs:
    """Makes specs of a base and one value of each axis."""

    def __init__(self, base: RunSpec, combined: Combinations) -> None:
        self._plain = _plain(base)
        settings = [
            (at, combined.settings[axis.field], axis.values)
            for at, dimension in enumerate(combined.dimensions)
            for axis in dimension
        ]
        homes: dict[str, list[AxisSetting]] = {}
        # the words first, then what they steer away from
        for setting in sorted(settings, key=lambda each: each[1].kind == "negative"):
            homes.setdefault(_home(setting[1]), []).append(setting)
        self._parts = [_Part(base, name, own) for name, own in homes.items()]

    def at(self, place: tuple[int, ...]) -> RunSpec:
        """Return the spec at a place: one value of each dimension."""
        return RunSpec(**{**self._plain, **{part.name: part.at(place) for part in self._parts}})


class _Part:
    """Makes one field of a run's spec from the axes that set it or something in it."""

    def __init__(self, base: RunSpec, name: str, settings: Sequence[AxisSetting]) -> None:
        self.name = name
        self._base, self._settings = base, settings
        self._dimensions = sorted({at for at, _, _ in settings})
        self._made: dict[tuple[int, ...], Any] = {}
        self._plain = _plain(getattr(base, name)) if name in _PARTS else {}

    def at(self, place: tuple[int, ...]) -> Any:
        """Return its value at a place."""
        own = tuple([place[at] for at in self._dimensions])
        made = self._made.get(own)
        if made is None:
            made = self._made[own] = self._make(place)
        return made

    def _make(self, place: tuple[int, ...]) -> Any:
        if self._plain:
            arguments = self._base.call.arguments
            varied = dict(self._plain)
            for at, row, values in self._settings:
                varied.update(changes(arguments, row, values[place[at]]))
                arguments = varied.get("arguments", arguments)
            return _PARTS[self.name](**varied)
        value: Any = self._base.variants
        for at, row, values in self._settings:
            value = with_negative(value, values[place[at]]) if row.kind == "negative" else values[place[at]]
        return value


def _plain(spec: RunSpec | PipelineSpec | CallSpec | MachineSpec) -> dict[str, Any]:
    return {each.name: getattr(spec, each.name) for each in dataclasses.fields(spec)}


_PARTS: Final[Mapping[str, Callable[..., PipelineSpec | CallSpec | MachineSpec]]] = MappingProxyType(
    {"pipeline": PipelineSpec, "call": CallSpec, "machine": MachineSpec}
)


def _home(row: Setting) -> str:
    """Return the field of a run's spec that a setting lies in."""
    if row.part != "run":
        return row.part
    return "variants" if row.kind == "negative" else row.sets[0]
