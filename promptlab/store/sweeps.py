"""Begins sweeps with all their runs in one transaction, and finds those that were cut short.

Functions of a session. Whatever ends the process that begins a sweep, all of its runs are there or none. That holds up
to :data:`MOST_AT_ONCE` runs, because everybody else's writing waits meanwhile; larger sweeps take several transactions,
and earlier PromptLabs took one for each run. What is left then is told by :func:`cut_short`: a sweep's key is the hash
of all the runs that it was to have.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, insert, select

from promptlab.plan import ResolvedSpec
from promptlab.records import Environment, ImageStatus, RunRecord, RunStatus, SweepRecord, SweepRun, sweep_key
from promptlab.store import loaders
from promptlab.store.ancestors import changes_from, source_of
from promptlab.store.mapping import environment_row, next_number, run_columns, variant_columns
from promptlab.store.tables import EnvironmentRow, ImageRow, RunRow, SweepRow, VariantRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["MOST_AT_ONCE", "RESTORED", "ScheduledRun", "begin_sweep", "complete_sweep", "cut_short", "sweeps_of_key"]

RESTORED: Final = "restored:"
"""Begins the key of a sweep that was written anew from files: it is no hash of its runs."""

MOST_AT_ONCE: Final = 10_000
"""Runs of one transaction: about two seconds."""

_RUNS_AT_ONCE: Final = 500
"""Runs whose rows are in memory together while they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRun:
    """Describes a run that is written with its sweep, every image owed.

    Args:
        resolved: what it makes, in which environment.
        keys: the recipe keys of its images, in the grid's order.
        place: where in the sweep; its ``run_id`` is not looked at.
    """

    resolved: ResolvedSpec
    keys: tuple[str, ...]
    place: SweepRun


def begin_sweep(
    session: Session,
    *,
    experiment: str,
    name: str | None,
    note: str | None,
    dimensions: Sequence[Sequence[str]],
    key: str,
    runs: Sequence[ScheduledRun],
    parent: RunRecord | None = None,
) -> SweepRecord:
    """Write a sweep with its runs, SCHEDULED: before any pixel is generated.

    Args:
        key: of all ``runs``, :func:`promptlab.records.sweep_key`.
        runs: in the order in which they are to be made; of more than :data:`MOST_AT_ONCE` the first ones are written,
            and the others left to :func:`complete_sweep`.
        parent: the run that all of them were varied from; see :func:`promptlab.store.run_writer.begin_run`.
    """
    row = SweepRow(
        id=next_number(session, SweepRow),
        uid=uuid.uuid4().hex,
        experiment=experiment,
        name=name,
        note=note,
        created_at=datetime.now(UTC),
        key=key,
        dimensions=[list(fields) for fields in dimensions],
    )
    session.add(row)
    session.flush()
    _add_runs(session, row, runs, parent)
    return loaders.load_sweep(session, row.id)


def complete_sweep(
    session: Session, sweep_id: int, runs: Sequence[ScheduledRun], *, parent: RunRecord | None = None
) -> SweepRecord:
    """Write those of ``runs`` that a sweep lacks, told by their places; :data:`MOST_AT_ONCE` at most."""
    row = session.get_one(SweepRow, sweep_id)
    places = session.scalars(select(RunRow.sweep_place).where(RunRow.sweep_id == sweep_id))
    there = {tuple(place or ()) for place in places}
    _add_runs(session, row, [run for run in runs if run.place.place not in there], parent)
    return loaders.load_sweep(session, sweep_id)


def sweeps_of_key(session: Session, key: str, experiment: str) -> tuple[SweepRecord, ...]:
    """Return the sweeps of the experiment that were asked for as the same runs, newest first."""
    found = select(SweepRow.id).where(SweepRow.key == key, SweepRow.experiment == experiment)
    ids = session.scalars(found.order_by(SweepRow.id.desc())).all()
    return tuple(loaders.load_sweep(session, sweep_id) for sweep_id in ids)


def cut_short(session: Session, sweep_id: int | None = None) -> dict[int, int]:
    """Return the sweeps that have not all the runs they were begun with: how many each has, by its number.

    Those that were written anew from files are left out: what they were to have is not known.

    Args:
        sweep_id: the only one to look at; all of them where it is None.
    """
    asked = func.coalesce(ImageRow.asked_key, ImageRow.recipe_key)
    rows = (
        select(SweepRow.id, SweepRow.key, RunRow.id, EnvironmentRow.hash, asked)
        .outerjoin(RunRow, RunRow.sweep_id == SweepRow.id)
        .outerjoin(EnvironmentRow, EnvironmentRow.id == RunRow.environment_id)
        .outerjoin(ImageRow, ImageRow.run_id == RunRow.id)
        .where(~SweepRow.key.startswith(RESTORED))
        .order_by(SweepRow.id, RunRow.id, ImageRow.position)
    )
    if sweep_id is not None:
        rows = rows.where(SweepRow.id == sweep_id)
    found = {}
    for (number, key), its in groupby(session.execute(rows), key=lambda row: (row[0], row[1])):
        runs = [
            (environment, [image[4] for image in images])
            for (run_id, environment), images in groupby(its, key=lambda row: (row[2], row[3]))
            if run_id is not None
        ]
        if sweep_key(runs) != key:
            found[number] = len(runs)
    return found


def _add_runs(session: Session, sweep: SweepRow, runs: Sequence[ScheduledRun], parent: RunRecord | None) -> None:
    """Write runs with their variants and images: a few statements for hundreds of them."""
    environments: dict[str, int] = {}
    first, now = next_number(session, RunRow), datetime.now(UTC)
    runs = runs[:MOST_AT_ONCE]
    ancestors = {} if parent is None else loaders.ids_by_variant(session, parent.id)
    for start in range(0, len(runs), _RUNS_AT_ONCE):
        numbered = dict(enumerate(runs[start : start + _RUNS_AT_ONCE], first + start))
        rows = [
            run_columns(run.resolved, experiment=sweep.experiment, name=sweep.name, note=sweep.note)
            | {
                "id": run_id,
                "uid": uuid.uuid4().hex,
                "status": RunStatus.SCHEDULED,
                "created_at": now,
                "environment_id": _environment_id(session, run.resolved.environment, environments),
                "parent_run_id": None if parent is None else parent.id,
                "changes": [] if parent is None else changes_from(parent, run.resolved),
                "sweep_id": sweep.id,
                "sweep_place": list(run.place.place),
                "sweep_values": [list(pair) for pair in run.place.values],
            }
            for run_id, run in numbered.items()
        ]
        _insert(session, RunRow, rows)
        _insert(
            session,
            VariantRow,
            [
                {"run_id": run_id, **variant_columns(variant, position)}
                for run_id, run in numbered.items()
                for position, variant in enumerate(run.resolved.spec.variants)
            ],
        )
        _insert(session, ImageRow, list(_images(session, numbered, parent, ancestors)))


def _images(
    session: Session,
    runs: dict[int, ScheduledRun],
    parent: RunRecord | None,
    ancestors: Mapping[tuple[int, int], int],
) -> Iterator[dict[str, Any]]:
    """Yield the columns of the images of runs whose variants are written."""
    its = select(VariantRow.run_id, VariantRow.position, VariantRow.id).where(
        VariantRow.run_id >= min(runs), VariantRow.run_id <= max(runs)
    )
    variants = {(run_id, position): variant_id for run_id, position, variant_id in session.execute(its)}
    for run_id, run in runs.items():
        seeds, wordings = run.resolved.spec.seeds, run.resolved.spec.variants
        for position, key in enumerate(run.keys):
            seed = seeds[position % len(seeds)]
            source = source_of(wordings[position // len(seeds)], parent)
            yield {
                "run_id": run_id,
                "position": position,
                "variant_id": variants[run_id, position // len(seeds)],
                "seed": seed,
                "status": ImageStatus.OWED,
                "recipe_key": key,
                "parent_image_id": None if source is None else ancestors.get((source, seed)),
            }


def _insert(session: Session, row: type[RunRow | VariantRow | ImageRow], columns: list[dict[str, Any]]) -> None:
    if columns:
        session.connection().execute(insert(row), columns)  # as rows alone: no objects are made of them


def _environment_id(session: Session, environment: Environment, known: dict[str, int]) -> int:
    if environment.hash not in known:
        row = environment_row(session, environment)
        session.add(row)
        session.flush()
        known[environment.hash] = row.id
    return known[environment.hash]
