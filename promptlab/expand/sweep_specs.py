"""Puts specs together from one value of each axis.

Invariant: parts that come of the same values are made once and shared, so that what a sweep costs is its distinct
settings, and a cell is little more than pointers to them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from promptlab.expand.values import changes, with_negative
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, RunSpec
from promptlab.specs.settings import Setting

__all__ = ["AxisSetting", "SweepSpecs"]

AxisSetting = tuple[int, Setting, Sequence[Any]]
"""The dimension that a setting's values lie on, the setting, and the values."""


class SweepSpecs:
    """Makes specs of a base and one value of each axis."""

    def __init__(self, base: RunSpec, settings: Sequence[AxisSetting]) -> None:
        self._plain = _plain(base)
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
