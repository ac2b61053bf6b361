"""How a sweep begins: all of its runs are in the notebook before the first pixel is made.

So whatever happens then, :meth:`promptlab.lab.Lab.resume` knows what was asked for. The same sweep asked for again is
the one that is there: told by the hash of all its recipes and environments.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from promptlab.engine import Engine
from promptlab.lab.execution.preflight import survey
from promptlab.records import SweepRecord, SweepRun

if TYPE_CHECKING:
    from promptlab.expand.sweep import Sweep
    from promptlab.lab.execution.executor import Executor
    from promptlab.store.notebook import Notebook

__all__ = ["begun_sweep"]


def begun_sweep(
    engine: Engine,
    workshop: Executor,
    notebook: Notebook,
    sweep: Sweep,
    *,
    experiment: str,
    name: str | None,
    note: str | None,
    again: bool,
) -> SweepRecord:
    """The record of ``sweep``: the newest that is the same, or one that begins now.

    Args:
        again: begin one whatever is there; a name or a note of its own does that too.

    Raises:
        InputError: before anything is written.
    """
    plan, environments = survey(engine, workshop, sweep.specs, there=frozenset())
    digest = sha256()
    for planned in plan.runs:
        digest.update("\n".join((environments[planned.original].hash, *planned.keys)).encode())
    key = digest.hexdigest()
    found = None if again or name or note else notebook.same_sweep(key, experiment)
    if found is not None:
        return found
    fields = tuple(tuple(axis.field for axis in dimension) for dimension in sweep.dimensions)
    begun = notebook.begin_sweep(experiment=experiment, name=name, note=note, dimensions=fields, key=key)
    for planned in plan.runs:
        cell = sweep.cells[planned.original]
        notebook.begin_run(
            planned.resolved,
            planned.tasks,
            environment=environments[planned.original],
            experiment=experiment,
            name=name,
            note=note,
            sweep_id=begun.id,
            place=SweepRun(run_id=0, place=cell.place, values=cell.values),
        )
    return notebook.sweep(begun.id)
