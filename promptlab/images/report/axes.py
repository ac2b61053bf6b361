"""Finds the axes that images are compared along: a sweep's dimensions, wordings, seeds.

Runs of one sweep mostly have the same wordings and seeds, and then these are axes of their own. Where an axis of the
sweep chooses them, no run has them all; then the first wording of every run is one value, and so is the first seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from promptlab.images.captions import short_name
from promptlab.images.report.details import UniqueTexts, words_of
from promptlab.records import RunRecord, SweepRecord

__all__ = ["ReportAxis", "axes_of", "seeds_of", "wordings_of"]

Places = Mapping[tuple[int, int], int]
"""Run and variant, or run and seed → the value's place on its axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAxis:
    """Describes one axis: a question, and its answers in order.

    Args:
        kind: ``setting`` of a sweep, ``words`` or ``seed``.
        name: of the axis.
        values: as labels show them.
        fields: of a setting: what it sets, one or those of a zip group.
        runs: of a setting: each run's number → the place of its value.
        words: of words that are the same in every run: the wordings themselves.
    """

    kind: Literal["setting", "words", "seed"]
    name: str
    values: tuple[str, ...]
    fields: tuple[str, ...] = ()
    runs: Mapping[int, int] = field(default_factory=dict)
    words: tuple[dict[str, Any], ...] = ()

    def at(self, run: RunRecord, wording: int, seed: int) -> int:
        """Return the place of an image on this axis."""
        return {"setting": self.runs.get(run.id, 0), "words": wording, "seed": seed}[self.kind]

    def to_json(self, words: UniqueTexts) -> dict[str, Any]:
        """Return the axis as the page reads it; wordings by their place among ``words``."""
        plain: dict[str, Any] = {"kind": self.kind, "name": self.name, "values": list(self.values)}
        plain |= {"fields": list(self.fields)} if self.fields else {}
        return plain | ({"words": [words.place(one) for one in self.words]} if self.words else {})


def axes_of(sweep: SweepRecord | None, runs: Sequence[RunRecord]) -> list[ReportAxis]:
    """Return all axes that have more than one value."""
    axes = [_setting(sweep, dimension) for dimension in range(len(sweep.dimensions))] if sweep else []
    return [axis for axis in (*axes, _words(runs), _seeds(runs)) if len(axis.values) > 1]


def wordings_of(runs: Sequence[RunRecord]) -> Places:
    """Run and variant → the place on the axis of words."""
    return _places({run.id: [_key(run, at) for at in range(len(run.variants))] for run in runs})


def seeds_of(runs: Sequence[RunRecord]) -> Places:
    """Run and seed → the place on the axis of seeds."""
    places = _places({run.id: list(run.spec.seeds) for run in runs})
    return {(run.id, seed): places[run.id, at] for run in runs for at, seed in enumerate(run.spec.seeds)}


def _setting(sweep: SweepRecord, dimension: int) -> ReportAxis:
    fields = sweep.dimensions[dimension]
    names: dict[int, str] = {}
    for one in sorted(sweep.runs, key=lambda one: one.place[dimension]):
        values = dict(one.values)
        names.setdefault(one.place[dimension], " · ".join(values.get(name, "") for name in fields))
    order = {place: at for at, place in enumerate(names)}
    return ReportAxis(
        kind="setting",
        name=" + ".join(short_name(name) for name in fields),
        values=tuple(names.values()),
        fields=fields,
        runs={one.run_id: order[one.place[dimension]] for one in sweep.runs},
    )


def _words(runs: Sequence[RunRecord]) -> ReportAxis:
    places = wordings_of(runs)
    count = max(places.values(), default=0) + 1
    shown: dict[int, dict[str, Any]] = {}
    same = True
    for run in runs:
        for at, record in enumerate(run.variants):
            found = words_of(run, record)
            first = shown.setdefault(places[run.id, at], found)
            same = same and (first["prompt"], first.get("negative")) == (found["prompt"], found.get("negative"))
    if not same:
        return ReportAxis(kind="words", name="words", values=tuple(f"wording {at + 1}" for at in range(count)))
    words = tuple(shown[at] for at in range(len(shown)))
    labels = tuple(one.get("label") or one["prompt"] for one in words)
    return ReportAxis(kind="words", name="words", values=labels, words=words)


def _seeds(runs: Sequence[RunRecord]) -> ReportAxis:
    shown: dict[int, set[int]] = {}
    for (_, seed), place in seeds_of(runs).items():
        shown.setdefault(place, set()).add(seed)
    values = (f"{next(iter(seeds))}" if len(seeds) == 1 else f"no. {at + 1}" for at, seeds in sorted(shown.items()))
    return ReportAxis(kind="seed", name="seed", values=tuple(values))


def _places(keys: Mapping[int, Sequence[Hashable]]) -> Places:
    """Place by what it is, where one run has them all; else by its place in its run."""
    every = list(dict.fromkeys(key for of_run in keys.values() for key in of_run))
    if len(every) > max((len(of_run) for of_run in keys.values()), default=0):
        return {(run, at): at for run, of_run in keys.items() for at in range(len(of_run))}
    order = {key: place for place, key in enumerate(every)}
    return {(run, at): order[key] for run, of_run in keys.items() for at, key in enumerate(of_run)}


def _key(run: RunRecord, at: int) -> Hashable:
    variant = run.variants[at].variant
    return variant.prompt, variant.negative_prompt
