"""Plans many specs with what the workspace has, and begins sweeps.

All runs of a sweep are in the notebook at once, before the first pixel is made; so whatever happens then,
:meth:`promptlab.lab.Lab.resume` knows what was asked for. The same sweep asked for again is the one that is there: told
by the hash of all its recipes and environments. One that an earlier PromptLab left cut short is completed then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from promptlab.engine import Engine, Permissions
from promptlab.plan import DEFAULT_BATCH_SIZE, Pace, Plan, ResolvedSpec, plan
from promptlab.plan.batch_key import batch_keys
from promptlab.records import RunRecord, SweepRecord, SweepRun, sweep_key
from promptlab.specs import RunSpec

if TYPE_CHECKING:
    from promptlab.expand.sweep import Sweep
    from promptlab.lab.execution.existing_images import ExistingImages
    from promptlab.store.notebook import Notebook

__all__ = ["begin_sweep", "survey"]


def survey(
    engine: Engine,
    specs: Sequence[RunSpec],
    *,
    permissions: Permissions,
    existing: ExistingImages | None = None,
    pace: Callable[[ResolvedSpec], Pace | None] | None = None,
    truncation: bool = False,
) -> Plan:
    """Plan ``specs``.

    Args:
        permissions: what the engine may do.
        existing: where to look up what need not be made; ``None`` where all is.
        pace: gives what the workspace's history says about a setting on its device; ``None`` where there is none.
        truncation: whether to ask the text encoders what they would truncate: loads tokenizers.

    Raises:
        InputError: for the first spec that is wrong.
    """
    resolved = _with_shared_batch_sizes(specs, engine.resolve(specs, permissions=permissions))
    there = frozenset() if existing is None else existing.satisfied_keys(resolved)
    truncated = engine.truncated_prompts(resolved, permissions=permissions) if truncation else ()
    return plan(resolved, there=there, pace=pace or (lambda _: None), cut=truncated)


def begin_sweep(
    engine: Engine,
    notebook: Notebook,
    sweep: Sweep,
    *,
    permissions: Permissions,
    experiment: str,
    name: str | None,
    note: str | None,
    again: bool,
    parent: RunRecord | None = None,
) -> SweepRecord:
    """Return the record of ``sweep``: the newest that is the same, whole, or one that begins now.

    Args:
        permissions: what the engine may do.
        again: begin one whatever is there; a name or a note of its own does that too.
        parent: the run that one that begins now was varied from.

    Raises:
        InputError: before anything is written.
    """
    from promptlab.store.sweeps import ScheduledRun

    planned = survey(engine, sweep.specs, permissions=permissions).runs
    key = sweep_key((run.resolved.environment.hash, run.keys) for run in planned)
    cells = [sweep.cells[run.original] for run in planned]
    runs = [
        ScheduledRun(
            resolved=run.resolved, keys=run.keys, place=SweepRun(run_id=0, place=cell.place, values=cell.values)
        )
        for run, cell in zip(planned, cells, strict=True)
    ]
    fields = tuple(tuple(axis.field for axis in dimension) for dimension in sweep.dimensions)
    begun = None
    for found in notebook.sweeps_of_key(key, experiment):
        is_cut_short = len(found.runs) < len(runs) and (found.name, found.note) == (name, note)
        if is_cut_short or (len(found.runs) >= len(runs) and not (again or name or note)):
            begun = found
            break
    begun = begun or notebook.begin_sweep(
        experiment=experiment, name=name, note=note, dimensions=fields, key=key, runs=runs, parent=parent
    )
    while len(begun.runs) < len(runs):
        begun = notebook.complete_sweep(begun.id, runs, parent=parent)
    return begun


def _with_shared_batch_sizes(specs: Sequence[RunSpec], resolved: Sequence[ResolvedSpec]) -> tuple[ResolvedSpec, ...]:
    """Give runs of few images that name no batch size that of the batches which they make together.

    A run of one image would have forwards of its own shape, and share none. Two sizes only, so that a sweep that grows
    keeps the recipes of what it has made.
    """
    shared = [
        batch_keys(one.at(1))[0]
        if spec.batch_size is None and one.steps is not None and one.default_batch_size > 1
        else None
        for spec, one in zip(specs, resolved, strict=True)
    ]
    images: Counter[str | None] = Counter()
    for key, one in zip(shared, resolved, strict=True):
        images[key] += one.spec.image_count
    return tuple(
        one.at(max(one.batch_size, DEFAULT_BATCH_SIZE if images[key] > 2 else images[key]))
        if key is not None and len(specs) > 1 else one
        for key, one in zip(shared, resolved, strict=True)
    )  # fmt: skip
