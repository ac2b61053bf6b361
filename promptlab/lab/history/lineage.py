"""Builds the tree of runs: which was rerun from which, and what changed at each step.

The tree is flat: nodes by their numbers, each with the numbers of its children, so that a thousand reruns of reruns
are no deeper than one. The runs of a sweep stand below one node; those without reruns are counted, not listed, unless
all are asked for.
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
    parent_links,
    tree_runs,
    tree_sweeps,
)

__all__ = ["Lineage", "NodeKey", "RunEntry", "SweepEntry", "lineage"]

NodeKey = tuple[Literal["run", "sweep"], int]
"""A node of the tree, by its kind and number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """Describes a run in its tree.

    Args:
        parent: the run it was rerun from, whether or not it is shown.
        pairs: its prompts paired with the parent's; none without a parent.
        children: its reruns, oldest first.
    """

    run: TreeRun
    parent: TreeRun | None
    pairs: tuple[Pair, ...]
    children: tuple[NodeKey, ...]

    @property
    def settings(self) -> tuple[Change, ...]:
        """Return the settings that changed from the parent, without the prompts."""
        return tuple(change for change in self.run.changes if not change.field.endswith("prompts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEntry:
    """Describes a sweep in its tree.

    Args:
        runs: the numbers of all its runs.
        first: one of them, for what all have in common.
        children: those of its runs that are shown.
    """

    sweep: TreeSweep
    runs: tuple[int, ...]
    first: TreeRun
    children: tuple[NodeKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Holds one tree or several.

    Args:
        entries: the nodes that are shown.
        roots: those without a parent among them, by experiment; the newest last.
        left_out: how many older runs and sweeps the limit left out.
        marked: the run or sweep that was asked for.
        image: the image that was asked for, then its ancestors, back to the first.
    """

    entries: Mapping[NodeKey, RunEntry | SweepEntry]
    roots: tuple[tuple[str, tuple[NodeKey, ...]], ...]
    left_out: int = 0
    marked: NodeKey | None = None
    image: tuple[ImageAncestor, ...] = ()


def lineage(
    database: Database,
    ref: str | None,
    *,
    find: Callable[[str], RunOrImage],
    limit: int | None = None,
    every: bool = False,
) -> Lineage:
    """Return the trees of a workspace, of an experiment, or the one that a run belongs to.

    Args:
        ref: a run's number, ``last``, an image as ``RUN/POSITION`` or as a file, ``sweep:3``; anything else is an
            experiment's name.
        find: finds the image that a file shows.
        limit: so many of the newest runs and sweeps; ``None`` for all.
        every: list each run of a sweep.

    Raises:
        NotFound: when there is no such run, image or experiment, naming what is there.
    """
    all_links = parent_links(database)
    links, marked, position = _select(ref, all_links, find)
    nodes = _nodes(links, every=every, marked=marked)
    shown = nodes if limit is None else _newest(nodes, limit, marked)
    above = _parents(links, shown, across=marked is not None)
    return Lineage(
        entries=_entries(database, links, shown, above),
        roots=_roots(links, shown, above),
        left_out=len(nodes) - len(shown),
        marked=marked,
        image=() if position is None or marked is None else _ancestry(database, marked[1], position),
    )


def _select(
    ref: str | None, links: Sequence[ParentLink], find: Callable[[str], RunOrImage]
) -> tuple[Sequence[ParentLink], NodeKey | None, int | None]:
    """Return the runs to consider, the run or sweep that ``ref`` names, and the position of its image."""
    if ref is None:
        return links, None, None
    number = re.fullmatch(r"(\d{1,9})(?:/(\d{1,9}))?", ref)
    run_id, position = (int(number[1]), int(number[2]) if number[2] else None) if number else (None, None)
    names = list(dict.fromkeys(one.experiment for one in links))
    if not links:
        raise NotFound("run", run_id or ref, allowed="none yet in this workspace", hint='promptlab run "…"')
    if sweep := re.fullmatch(r"sweep:(\d{1,9})", ref):
        return _of_sweep(links, int(sweep[1])), ("sweep", int(sweep[1])), None
    if ref == "last":
        run_id = max(links, key=lambda one: (one.asked, one.run_id)).run_id
    elif number is None and ref not in names and (ref.lower().endswith(".png") or Path(ref).is_file()):
        source = find(ref)
        run_id, position = source.run.id, source.position
    if run_id is None:
        if ref not in names:
            raise UnknownValue("experiment", ref, names, problem="does not exist", hint="promptlab tree")
        return [one for one in links if one.experiment == ref], None, None
    if all(one.run_id != run_id for one in links):
        raise NotFound("run", run_id, allowed=f"1 to {links[-1].run_id}", hint="promptlab list")
    return _connected(links, ("run", run_id)), ("run", run_id), position


def _of_sweep(links: Sequence[ParentLink], sweep_id: int) -> list[ParentLink]:
    there = sorted({one.sweep_id for one in links if one.sweep_id is not None})
    if sweep_id not in there:
        raise NotFound("sweep", sweep_id, allowed=f"1 to {there[-1]}" if there else "none yet", hint="promptlab tree")
    return _connected(links, ("sweep", sweep_id))


def _connected(links: Sequence[ParentLink], member: NodeKey) -> list[ParentLink]:
    """Return the runs of the tree that ``member`` is in: connected through parents, children and sweeps."""
    near: dict[NodeKey, list[NodeKey]] = {}
    for one in links:
        others: list[NodeKey] = [("run", one.parent_run_id)] if one.parent_run_id is not None else []
        others += [("sweep", one.sweep_id)] if one.sweep_id is not None else []
        for other in others:
            near.setdefault(("run", one.run_id), []).append(other)
            near.setdefault(other, []).append(("run", one.run_id))
    met: set[NodeKey] = {member}
    waiting: list[NodeKey] = [member]
    while waiting:
        fresh = [other for other in near.get(waiting.pop(), ()) if other not in met]
        met.update(fresh)
        waiting += fresh
    return [one for one in links if ("run", one.run_id) in met]


def _nodes(links: Sequence[ParentLink], *, every: bool, marked: NodeKey | None) -> dict[NodeKey, int]:
    """Return the nodes that can be shown, each with the number of its newest run.

    Of a sweep's runs these are the ones with reruns, unless ``every`` one is asked for.
    """
    parents = {one.parent_run_id for one in links}
    nodes: dict[NodeKey, int] = {}
    for one in links:
        if one.sweep_id is not None:
            nodes["sweep", one.sweep_id] = one.run_id
        if one.sweep_id is None or every or one.run_id in parents or ("run", one.run_id) == marked:
            nodes["run", one.run_id] = one.run_id
    return nodes


def _newest(nodes: Mapping[NodeKey, int], limit: int, marked: NodeKey | None) -> dict[NodeKey, int]:
    order = sorted(nodes, key=lambda key: nodes[key], reverse=True)
    kept = {*order[:limit], marked}
    return {key: number for key, number in nodes.items() if key in kept}


def _parents(links: Sequence[ParentLink], shown: Collection[NodeKey], *, across: bool) -> dict[NodeKey, NodeKey]:
    """Return each node's parent, where shown; one of another experiment only if a run was asked for."""
    experiments = {one.run_id: one.experiment for one in links}
    above: dict[NodeKey, NodeKey] = {}
    for one in links:
        key: NodeKey = ("run", one.run_id)
        sweep: NodeKey | None = None if one.sweep_id is None else ("sweep", one.sweep_id)
        if sweep in shown and sweep is not None:
            above[key] = sweep
            key = sweep
        parent = one.parent_run_id
        near = parent is not None and (across or experiments.get(parent) == one.experiment)
        if parent is not None and near and ("run", parent) in shown:
            above[key] = ("run", parent)
    return {key: parent for key, parent in above.items() if key in shown}


def _roots(
    links: Sequence[ParentLink], shown: Mapping[NodeKey, int], above: Mapping[NodeKey, NodeKey]
) -> tuple[tuple[str, tuple[NodeKey, ...]], ...]:
    """Return the nodes without a parent by experiment, both in the order of their newest run."""
    experiments: dict[NodeKey, str] = {}
    for one in links:
        experiments["run", one.run_id] = one.experiment
        if one.sweep_id is not None:
            experiments["sweep", one.sweep_id] = one.experiment
    grouped: dict[str, list[NodeKey]] = {}
    for key in sorted(shown, key=lambda key: shown[key]):
        if key not in above:
            grouped.setdefault(experiments[key], []).append(key)
    newest = {name: max(shown[key] for key in keys) for name, keys in grouped.items()}
    return tuple((name, tuple(grouped[name])) for name in sorted(grouped, key=lambda name: newest[name]))


def _entries(
    database: Database, links: Sequence[ParentLink], shown: Mapping[NodeKey, int], above: Mapping[NodeKey, NodeKey]
) -> dict[NodeKey, RunEntry | SweepEntry]:
    below: dict[NodeKey, list[NodeKey]] = {}
    for key in sorted(above, key=lambda key: shown[key]):
        below.setdefault(above[key], []).append(key)
    of_sweep: dict[int, list[int]] = {}
    for one in links:
        if one.sweep_id is not None:
            of_sweep.setdefault(one.sweep_id, []).append(one.run_id)
    numbers = [number for kind, number in shown if kind == "run"]
    sweep_ids = [number for kind, number in shown if kind == "sweep"]
    parents = {one.run_id: one.parent_run_id for one in links}
    wanted: Iterable[int | None] = (*numbers, *(parents[number] for number in numbers), *(
        of_sweep[number][0] for number in sweep_ids
    ))  # fmt: skip
    runs = tree_runs(database, {number for number in wanted if number is not None}) if shown else {}
    sweeps = tree_sweeps(database, sweep_ids) if sweep_ids else {}
    entries: dict[NodeKey, RunEntry | SweepEntry] = {}
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
