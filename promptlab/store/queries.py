"""Reads the notebook: functions of a session, which write nothing.

:mod:`promptlab.store.loaders` turns rows into records for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import exists, func, literal_column, select, union

from promptlab.errors import NotFound
from promptlab.plan import Pace, ResolvedSpec
from promptlab.records import Environment, ImageRecord, ImageStatus, ProbeTrial, RunRecord, RunStatus, SweepRecord
from promptlab.specs import CallSpec
from promptlab.store import loaders
from promptlab.store.tables import EnvironmentRow, ImageRow, ProbeRow, RunRow, SweepRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "all_uids",
    "environment",
    "images_by_recipe_key",
    "images_by_requested_key",
    "last_run_id",
    "made_images",
    "pace",
    "probe_trials",
    "run",
    "run_by_uid",
    "run_statuses",
    "runs",
    "same_run",
    "sweep",
    "sweep_by_uid",
    "sweep_of",
    "uids",
    "unfinished",
    "unpublished",
    "untracked",
]

_RUNS_LOOKED_AT: Final = 20
_BYTES_PER_PIXEL: Final = 2.0
"""Of a PNG, about; its real size is not in a row."""

_UNMADE: Final = ImageRow.status != literal_column(f"'{ImageStatus.MADE}'")
"""Said as its index says it: a bound value would not be known to be the same."""


def run(session: Session, run_id: int) -> RunRecord:
    """Return everything about one run.

    Raises:
        NotFound: naming the runs that are there.
    """
    if session.get(RunRow, run_id) is None:
        newest = session.scalar(select(func.max(RunRow.id)))
        raise NotFound(
            "run", run_id, allowed=f"1 to {newest}" if newest else "none yet",
            hint="promptlab list" if newest else 'promptlab run "…"',
        )  # fmt: skip
    return loaders.load_run(session, run_id)


def runs(session: Session, run_ids: Sequence[int]) -> tuple[RunRecord, ...]:
    """Return everything about those of the runs that are there, in the order in which they are named."""
    return tuple(loaders.load_runs(session, run_ids))


def run_by_uid(session: Session, uid: str) -> RunRecord | None:
    """Return the run that an image's own metadata names, or None where this workspace does not have it."""
    run_id = session.scalar(select(RunRow.id).where(RunRow.uid == uid))
    return None if run_id is None else loaders.load_run(session, run_id)


def environment(session: Session, digest: str) -> Environment:
    """Return the environment with this hash.

    Raises:
        NotFound: when the notebook has none.
    """
    row = session.scalars(select(EnvironmentRow).where(EnvironmentRow.hash == digest)).one_or_none()
    if row is None:
        raise NotFound("environment", digest)
    return Environment(facts=dict(row.facts))


def made_images(session: Session) -> tuple[ImageRecord, ...]:
    """Return every image that was generated in this workspace, oldest first; links are left out."""
    return loaders.load_made(session)


def uids(session: Session, run_ids: Iterable[int]) -> dict[int, str]:
    """Return the uids of runs, by their numbers; those that are not there are left out."""
    both = select(RunRow.id, RunRow.uid)
    wanted = loaders.parts(sorted(set(run_ids)))
    found = (row for some in wanted for row in session.execute(both.where(RunRow.id.in_(some))))
    return {run_id: uid for run_id, uid in found}  # noqa: C416 - rows are no pairs to mypy


def all_uids(session: Session) -> frozenset[str]:
    """Return the uids of all runs and sweeps."""
    return frozenset((*session.scalars(select(RunRow.uid)), *session.scalars(select(SweepRow.uid))))


def sweep(session: Session, sweep_id: int) -> SweepRecord:
    """Return a sweep with the numbers of its runs.

    Raises:
        NotFound: naming the sweeps that are there.
    """
    if session.get(SweepRow, sweep_id) is None:
        newest = session.scalar(select(func.max(SweepRow.id)))
        raise NotFound("sweep", sweep_id, allowed=f"1 to {newest}" if newest else "none yet")
    return loaders.load_sweep(session, sweep_id)


def sweep_by_uid(session: Session, uid: str) -> int | None:
    """Return the number of the sweep that an overview's own metadata names, or None."""
    return session.scalar(select(SweepRow.id).where(SweepRow.uid == uid))


def sweep_of(session: Session, run_id: int) -> int | None:
    """Return the number of the sweep that a run is a part of, or None."""
    return session.scalar(select(RunRow.sweep_id).where(RunRow.id == run_id))


def same_run(session: Session, keys: Sequence[str], environment: Environment, experiment: str) -> int | None:
    """Return the newest run of exactly these recipes, in this order, experiment and environment; or None.

    Whether it has ended, and how, is not asked.
    """
    asked = func.coalesce(ImageRow.asked_key, ImageRow.recipe_key)
    asked_first = (ImageRow.asked_key == keys[0]) | (ImageRow.asked_key.is_(None) & (ImageRow.recipe_key == keys[0]))
    begins_with_it = select(ImageRow.run_id).where(ImageRow.position == 0, asked_first)
    candidates = session.scalars(
        select(RunRow.id)
        .join(RunRow.environment)
        .where(
            RunRow.experiment == experiment,
            EnvironmentRow.hash == environment.hash,
            RunRow.id.in_(begins_with_it),  # found by the keys' indexes, and not among all of the environment
        )
        .order_by(RunRow.id.desc())
    ).all()
    for run_id in candidates:
        has = select(asked).where(ImageRow.run_id == run_id).order_by(ImageRow.position)
        if session.scalars(has).all() == list(keys):
            return run_id
    return None


def images_by_recipe_key(session: Session, keys: Sequence[str], environment: Environment) -> dict[str, ImageRecord]:
    """Return the first image generated with each of these recipe keys in this environment, by key.

    Links are left out: what they are links to is found instead.
    """
    return loaders.load_known(session, keys, environment.hash, ImageRow.recipe_key)


def images_by_requested_key(session: Session, keys: Sequence[str], environment: Environment) -> dict[str, ImageRecord]:
    """Return images asked for by these keys and generated in smaller batches, which fitted into memory."""
    return loaders.load_known(session, keys, environment.hash, ImageRow.asked_key)


def unfinished(session: Session) -> tuple[int, ...]:
    """Return the numbers of the runs that owe images or were never ended, oldest first."""
    open_ones = select(RunRow.id).where(RunRow.status.in_([one for one in RunStatus if one is not RunStatus.FINISHED]))
    return tuple(sorted(session.scalars(union(select(ImageRow.run_id).where(_UNMADE), open_ones))))


def untracked(session: Session) -> tuple[int, ...]:
    """Return the numbers of the ended runs that MLflow has not recorded, oldest first."""
    ended = RunRow.status != RunStatus.RUNNING
    return tuple(session.scalars(select(RunRow.id).where(RunRow.tracked_at.is_(None), ended).order_by(RunRow.id)))


def last_run_id(session: Session) -> int | None:
    """Return the run asked for last, begun or there already, or None; of several together the last."""
    asked = func.coalesce(RunRow.asked_at, RunRow.created_at)
    return session.scalar(select(RunRow.id).order_by(asked.desc(), RunRow.id.desc()).limit(1))


def run_statuses(session: Session) -> tuple[tuple[int, RunStatus], ...]:
    """Return every run's number and status, oldest first."""
    rows = session.execute(select(RunRow.id, RunRow.status))  # in the order of the index that they are read from
    return tuple(sorted((run_id, RunStatus(status)) for run_id, status in rows))


def unpublished(session: Session) -> dict[int, int | None]:
    """Return the runs that may be under way: not ended, or not in MLflow, they or their sweeps.

    Returns:
        The number of the sweep that each is a part of, by its own.
    """
    open_sweeps = select(SweepRow.id).where(SweepRow.tracked_at.is_(None))
    rows = session.execute(
        select(RunRow.id, RunRow.sweep_id).where(
            RunRow.status.in_((RunStatus.SCHEDULED, RunStatus.RUNNING))
            | RunRow.tracked_at.is_(None)
            | RunRow.sweep_id.in_(open_sweeps)
            | RunRow.sweep_id.in_(select(RunRow.sweep_id).where(RunRow.tracked_at.is_(None)))
        )
    )
    return {run_id: sweep_id for run_id, sweep_id in rows}  # noqa: C416 - rows are no pairs to mypy


def probe_trials(session: Session, setting: str) -> dict[int, ProbeTrial]:
    """Return what batches of this setting took, by their size.

    Args:
        setting: see :func:`promptlab.store.annotation_writer.add_probe_trial`.
    """
    rows = session.scalars(select(ProbeRow).where(ProbeRow.setting == setting).order_by(ProbeRow.batch_size))
    return {
        row.batch_size: ProbeTrial(
            batch_size=row.batch_size, fits=row.fits, seconds=row.seconds, step_seconds=row.step_seconds,
            peak_memory=row.peak_memory,
        )
        for row in rows
    }  # fmt: skip


def pace(session: Session, resolved: ResolvedSpec) -> Pace | None:
    """Return the pace of the newest runs with this model on this kind of device, or None.

    It is scaled to this call.
    """
    spec = resolved.spec
    same_part = (
        (RunRow.model_identity == resolved.model_identity)
        & (RunRow.dtype == spec.pipeline.dtype)
        & (RunRow.device == resolved.device)
    )
    made = (ImageRow.run_id == RunRow.id, ImageRow.status == ImageStatus.MADE, ImageRow.linked_image_id.is_(None))
    newest = select(RunRow).where(same_part, exists().where(*made)).order_by(RunRow.id.desc()).limit(_RUNS_LOOKED_AT)
    taken = select(func.avg(ImageRow.seconds)).where(*made).correlate(RunRow).scalar_subquery()
    rows = session.execute(newest.add_columns(taken)).all()
    seen = [(row, seconds) for row, seconds in rows if seconds]
    if not seen:
        return None
    exact = [pair for pair in seen if pair[0].num_inference_steps == spec.call.num_inference_steps]
    row, seconds = (exact or seen)[0]
    call = CallSpec(
        num_inference_steps=row.num_inference_steps,
        guidance_scale=row.guidance_scale,
        height=row.height,
        width=row.width,
    )
    pixels = (row.height or 512) * (row.width or 512)
    found = Pace(
        seconds_per_image=seconds,
        load_seconds=max((each.load_seconds for each, _ in seen if each.load_seconds), default=1.0),
        bytes_per_image=pixels * _BYTES_PER_PIXEL,
    )
    return found.scaled(call, spec.call)
