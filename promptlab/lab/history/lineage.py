"""The tree of runs: who was varied from whom, and what changed at each step.

The tree is flat: entries by their numbers, each with the numbers of its children, so that a thousand reruns of reruns
are no deeper than one. The runs of a sweep stand under one entry; those that nothing came of are counted, not listed,
unless every one is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptlab.errors import NotFound, UnknownValue
from promptlab.expand.variant_pairs import Pair, paired
from promptlab.lab.history.rerun import RunOrImage
from promptlab.specs import Change
from promptlab.store.database import Database
from promptlab.store.lineage import (
    ImageAncestor,
    ParentLink,
    TreeRun,
    TreeSweep,
    image_ancestry,
    kinship,
    tree_runs,
    tree_sweeps,
)

__all__ = ["Key", "Lineage", "RunEntry", "SweepEntry", "lineage"]

Key = tuple[Literal["run", "sweep"], int]
"""An entry of a tree, by its kind and number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """A run in its tree.

    Args:
        parent: the run it was varied from, whether or not it is shown.
        pairs: its wordings against the parent's; none without a parent.
        children: what came of it, oldest first.
    """

    run: TreeRun
    parent: TreeRun | None
    pairs: tuple[Pair, ...]
    children: tuple[Key, ...]

    @property
    def settings(self) -> tuple[Change, ...]:
        """What changed from the parent, the words apart."""
        return tuple(change for change in self.run.changes if not change.field.endswith("prompts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEntry:
    """A sweep in its tree.

    Args:
        runs: the numbers of all its runs.
        first: one of them, for what all have in common.
        children: those of its runs that are shown.
    """

    sweep: TreeSweep
    runs: tuple[int, ...]
    first: TreeRun
    children: tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """One tree or several.

    Args:
        entries: all that is shown.
        roots: those without a parent among them, by experiment; the newest last.
        left_out: older runs and sweeps that the limit left out.
        marked: the run or sweep that was asked for.
        image: the image that was asked for, then what it was varied from, back to the first.
    """

    entries: Mapping[Key, RunEntry | SweepEntry]
    roots: tuple[tuple[str, tuple[Key, ...]], ...]
    left_out: int = 0
    marked: Key | None = None
    image: tuple[ImageAncestor, ...] = ()


def lineage(
    database: Database,
    ref: str | None,
    *,
    find: Callable[[str], RunOrImage],
    limit: int | None = None,
    every: bool = False,
) -> Lineage:
    """The trees of a workspace, of an experiment, or the one that a run belongs to.

    Args:
        ref: a run's number, ``last``, an image as ``RUN/POSITION`` or as a file, ``sweep:3``; anything else is an
            experiment's name.
        find: finds the image that a file shows.
        limit: so many of the newest runs and sweeps; ``None`` for all.
        every: list each run of a sweep.

    Raises:
        NotFound: when there is no such run, image or experiment, naming what is there.
    """
    all_kin = kinship(database)
    kin, marked, position = _meant(ref, all_kin, find)
    units = _units(kin, every=every, marked=marked)
    shown = units if limit is None else _newest(units, limit, marked)
    above = _parents(kin, shown, across=marked is not None)
    return Lineage(
        entries=_entries(database, kin, shown, above),
        roots=_roots(kin, shown, above),
        left_out=len(units) - len(shown),
        marked=marked,
        image=() if position is None or marked is None else _ancestry(database, marked[1], position),
    )


def _meant(
    ref: str | None, kin: Sequence[ParentLink], find: Callable[[str], RunOrImage]
) -> tuple[Sequence[ParentLink], Key | None, int | None]:
    """The runs that ``ref`` is about, the run or sweep that it names, and the position of the image."""
    if ref is None:
        return kin, None, None
    number = re.fullmatch(r"(\d{1,9})(?:/(\d{1,9}))?", ref)
    run_id, position = (int(number[1]), int(number[2]) if number[2] else None) if number else (None, None)
    names = list(dict.fromkeys(one.experiment for one in kin))
    if not kin:
        raise NotFound("run", run_id or ref, allowed="none yet in this workspace", hint='promptlab run "…"')
    if sweep := re.fullmatch(r"sweep:(\d{1,9})", ref):
        return _of_sweep(kin, int(sweep[1])), ("sweep", int(sweep[1])), None
    if ref == "last":
        run_id = max(kin, key=lambda one: (one.asked, one.run_id)).run_id
    elif number is None and ref not in names and (ref.lower().endswith(".png") or Path(ref).is_file()):
        source = find(ref)
        run_id, position = source.run.id, source.position
    if run_id is None:
        if ref not in names:
            raise UnknownValue("experiment", ref, names, problem="does not exist", hint="promptlab tree")
        return [one for one in kin if one.experiment == ref], None, None
    if all(one.run_id != run_id for one in kin):
        raise NotFound("run", run_id, allowed=f"1 to {kin[-1].run_id}", hint="promptlab list")
    return _family(kin, ("run", run_id)), ("run", run_id), position


def _of_sweep(kin: Sequence[ParentLink], sweep_id: int) -> list[ParentLink]:
    there = sorted({one.sweep_id for one in kin if one.sweep_id is not None})
    if sweep_id not in there:
        raise NotFound("sweep", sweep_id, allowed=f"1 to {there[-1]}" if there else "none yet", hint="promptlab tree")
    return _family(kin, ("sweep", sweep_id))


def _family(kin: Sequence[ParentLink], member: Key) -> list[ParentLink]:
    """The runs that are of one tree with ``member``: through parents, children and sweeps."""
    near: dict[Key, list[Key]] = {}
    for one in kin:
        others: list[Key] = [("run", one.parent_run_id)] if one.parent_run_id is not None else []
        others += [("sweep", one.sweep_id)] if one.sweep_id is not None else []
        for other in others:
            near.setdefault(("run", one.run_id), []).append(other)
            near.setdefault(other, []).append(("run", one.run_id))
    met: set[Key] = {member}
    waiting: list[Key] = [member]
    while waiting:
        fresh = [other for other in near.get(waiting.pop(), ()) if other not in met]
        met.update(fresh)
        waiting += fresh
    return [one for one in kin if ("run", one.run_id) in met]


def _units(kin: Sequence[ParentLink], *, every: bool, marked: Key | None) -> dict[Key, int]:
    """What can be shown, with the number of its newest run: runs, sweeps, and of a sweep's runs those that matter."""
    parents = {one.parent_run_id for one in kin}
    units: dict[Key, int] = {}
    for one in kin:
        if one.sweep_id is not None:
            units["sweep", one.sweep_id] = one.run_id
        if one.sweep_id is None or every or one.run_id in parents or ("run", one.run_id) == marked:
            units["run", one.run_id] = one.run_id
    return units


def _newest(units: Mapping[Key, int], limit: int, marked: Key | None) -> dict[Key, int]:
    order = sorted(units, key=lambda key: units[key], reverse=True)
    kept = {*order[:limit], marked}
    return {key: number for key, number in units.items() if key in kept}


def _parents(kin: Sequence[ParentLink], shown: Collection[Key], *, across: bool) -> dict[Key, Key]:
    """What each entry hangs from, where that is shown; across experiments only where a run was asked for."""
    experiments = {one.run_id: one.experiment for one in kin}
    above: dict[Key, Key] = {}
    for one in kin:
        key: Key = ("run", one.run_id)
        sweep: Key | None = None if one.sweep_id is None else ("sweep", one.sweep_id)
        if sweep in shown and sweep is not None:
            above[key] = sweep
            key = sweep
        parent = one.parent_run_id
        near = parent is not None and (across or experiments.get(parent) == one.experiment)
        if parent is not None and near and ("run", parent) in shown:
            above[key] = ("run", parent)
    return {key: parent for key, parent in above.items() if key in shown}


def _roots(
    kin: Sequence[ParentLink], shown: Mapping[Key, int], above: Mapping[Key, Key]
) -> tuple[tuple[str, tuple[Key, ...]], ...]:
    """The entries that hang from nothing, by experiment: both in the order of their newest."""
    experiments: dict[Key, str] = {}
    for one in kin:
        experiments["run", one.run_id] = one.experiment
        if one.sweep_id is not None:
            experiments["sweep", one.sweep_id] = one.experiment
    grouped: dict[str, list[Key]] = {}
    for key in sorted(shown, key=lambda key: shown[key]):
        if key not in above:
            grouped.setdefault(experiments[key], []).append(key)
    newest = {name: max(shown[key] for key in keys) for name, keys in grouped.items()}
    return tuple((name, tuple(grouped[name])) for name in sorted(grouped, key=lambda name: newest[name]))


def _entries(
    database: Database, kin: Sequence[ParentLink], shown: Mapping[Key, int], above: Mapping[Key, Key]
) -> dict[Key, RunEntry | SweepEntry]:
    below: dict[Key, list[Key]] = {}
    for key in sorted(above, key=lambda key: shown[key]):
        below.setdefault(above[key], []).append(key)
    of_sweep: dict[int, list[int]] = {}
    for one in kin:
        if one.sweep_id is not None:
            of_sweep.setdefault(one.sweep_id, []).append(one.run_id)
    numbers = [number for kind, number in shown if kind == "run"]
    sweep_ids = [number for kind, number in shown if kind == "sweep"]
    parents = {one.run_id: one.parent_run_id for one in kin}
    wanted: Iterable[int | None] = (*numbers, *(parents[number] for number in numbers), *(
        of_sweep[number][0] for number in sweep_ids
    ))  # fmt: skip
    runs = tree_runs(database, {number for number in wanted if number is not None}) if shown else {}
    sweeps = tree_sweeps(database, sweep_ids) if sweep_ids else {}
    entries: dict[Key, RunEntry | SweepEntry] = {}
    for key in shown:
        kind, number = key
        children = tuple(below.get(key, ()))
        if kind == "sweep":
            members = tuple(of_sweep[number])
            entries[key] = SweepEntry(sweep=sweeps[number], runs=members, first=runs[members[0]], children=children)
            continue
        run = runs[number]
        parent = None if run.parent_run_id is None else runs.get(run.parent_run_id)
        pairs = paired(parent.variants, run.variants, varied=True) if parent else ()
        entries[key] = RunEntry(run=run, parent=parent, pairs=pairs, children=children)
    return entries


def _ancestry(database: Database, run_id: int, position: int) -> tuple[ImageAncestor, ...]:
    found = image_ancestry(database, run_id, position)
    if not found:
        images = tree_runs(database, [run_id])[run_id].images
        raise NotFound(
            "image", f"{run_id}/{position}", allowed=f"{run_id}/0 to {run_id}/{images - 1}",
            hint=f"promptlab show {run_id}",
        )  # fmt: skip
    return found
