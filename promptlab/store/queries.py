"""The notebook, read: what one asks of it, each in one short transaction that writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from promptlab.errors import NotFound
from promptlab.plan import Pace, ResolvedSpec
from promptlab.records import Environment, ImageRecord, ProbeTrial, RunRecord, RunStatus, SweepRecord
from promptlab.store import loaders, ratings
from promptlab.store.database import Database
from promptlab.store.engines import translated
from promptlab.store.mapping import sweep_record
from promptlab.store.tables import EnvironmentRow, ProbeRow, RunRow, SweepRow

__all__ = ["Lookup"]


class Lookup:
    """The reading half of :class:`promptlab.store.notebook.Notebook`.

    Args:
        database: where the rows are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._reader, self._writer = database.engine(), database.engine(writes=True)

    def run(self, run_id: int) -> RunRecord:
        """Everything about one run.

        Raises:
            NotFound: naming the runs that are there.
        """
        with self._reading("reading a run") as session:
            if session.get(RunRow, run_id) is None:
                newest = session.scalar(select(func.max(RunRow.id)))
                raise NotFound(
                    "run", run_id, allowed=f"1 to {newest}" if newest else "none yet",
                    hint="promptlab list" if newest else 'promptlab run "…"',
                )  # fmt: skip
            return loaders.run(session, run_id)

    def run_by_uid(self, uid: str) -> RunRecord | None:
        """The run that a picture's own metadata names, if this workspace has it."""
        with self._reading("reading a run") as session:
            run_id = session.scalar(select(RunRow.id).where(RunRow.uid == uid))
            return None if run_id is None else loaders.run(session, run_id)

    def environment(self, digest: str) -> Environment:
        """The environment with this hash.

        Raises:
            NotFound: when the notebook has none.
        """
        with self._reading("reading an environment") as session:
            row = session.scalars(select(EnvironmentRow).where(EnvironmentRow.hash == digest)).one_or_none()
            if row is None:
                raise NotFound("environment", digest)
            return Environment(facts=dict(row.facts))

    def made(self) -> tuple[ImageRecord, ...]:
        """Every picture that was made in this workspace, oldest first; linked ones are left out."""
        with self._reading("reading what was made") as session:
            return loaders.made(session)

    def uids(self, run_ids: Iterable[int]) -> dict[int, str]:
        """The uids of runs, by their numbers; those that are not there are left out."""
        with self._reading("reading which runs these are") as session:
            found = session.execute(select(RunRow.id, RunRow.uid).where(RunRow.id.in_(sorted(set(run_ids)))))
            return {run_id: uid for run_id, uid in found}  # noqa: C416 - rows are no pairs to mypy

    def sweep_by_uid(self, uid: str) -> int | None:
        """The number of the sweep that an overview's own metadata names, if this workspace has it."""
        with self._reading("reading a sweep") as session:
            return session.scalar(select(SweepRow.id).where(SweepRow.uid == uid))

    def sweep(self, sweep_id: int) -> SweepRecord:
        """A sweep with the numbers of its runs.

        Raises:
            NotFound: naming the sweeps that are there.
        """
        with self._reading("reading a sweep") as session:
            row = session.get(SweepRow, sweep_id)
            if row is None:
                newest = session.scalar(select(func.max(SweepRow.id)))
                raise NotFound("sweep", sweep_id, allowed=f"1 to {newest}" if newest else "none yet")
            runs = session.scalars(select(RunRow).where(RunRow.sweep_id == sweep_id).order_by(RunRow.id))
            return sweep_record(row, runs)

    def same_sweep(self, key: str, experiment: str) -> SweepRecord | None:
        """The newest sweep of the experiment with this key."""
        with self._reading("looking for a sweep that exists") as session:
            found = select(func.max(SweepRow.id)).where(SweepRow.key == key, SweepRow.experiment == experiment)
            sweep_id = session.scalar(found)
        return None if sweep_id is None else self.sweep(sweep_id)

    def known(self, keys: Sequence[str], environment: Environment) -> dict[str, ImageRecord]:
        """The images that were made with these recipe keys in this very environment: the first of each, by its key.

        Linked ones are left out: what they are links to is found instead.
        """
        with self._reading("looking for pictures that exist") as session:
            return loaders.known(session, keys, environment.hash)

    def known_smaller(self, keys: Sequence[str], environment: Environment) -> dict[str, ImageRecord]:
        """Likewise, those that were asked for by these keys and made in smaller batches, which fitted into memory."""
        with self._reading("looking for pictures that exist") as session:
            return loaders.known(session, keys, environment.hash, asked=True)

    def same_run(self, keys: Sequence[str], environment: Environment, experiment: str) -> int | None:
        """The number of the newest run of ``experiment`` made of exactly these recipes, in this order and environment.

        Whether it has ended, and how, is not asked.
        """
        with self._reading("looking for a run that exists") as session:
            return loaders.same_run(session, tuple(keys), environment.hash, experiment)

    def probes(self, setting: str) -> dict[int, ProbeTrial]:
        """What forwards of this setting took, by their size; see :meth:`Notebook.remember_probe`."""
        with self._reading("reading what batches took") as session:
            rows = session.scalars(select(ProbeRow).where(ProbeRow.setting == setting).order_by(ProbeRow.batch_size))
            return {
                row.batch_size: ProbeTrial(
                    batch_size=row.batch_size, fits=row.fits, seconds=row.seconds, step_seconds=row.step_seconds,
                    peak_memory=row.peak_memory,
                )
                for row in rows
            }  # fmt: skip

    def pace(self, resolved: ResolvedSpec) -> Pace | None:
        """What the newest runs with this model on this kind of device took; ``None`` when there were none."""
        with self._reading("looking at what runs took") as session:
            return loaders.pace(session, resolved)

    def unfinished(self) -> tuple[int, ...]:
        """The numbers of the runs that owe images or were never ended, oldest first."""
        with self._reading("looking for what is owed") as session:
            return loaders.unfinished(session)

    def last_run_id(self) -> int | None:
        """The number of the run that was asked for last: begun, taken up, or found to be there already."""
        with self._reading("reading the newest run") as session:
            asked = func.coalesce(RunRow.asked_at, RunRow.created_at)
            return session.scalar(select(RunRow.id).order_by(asked.desc(), RunRow.id.desc()).limit(1))

    def runs_showing(self, places: Iterable[ratings.Place]) -> tuple[int, ...]:
        """The numbers of the runs that have one of these images, or a link to what it is."""
        with self._reading("reading which runs show an image") as session:
            return ratings.runs_showing(session, places)

    def standing(self) -> tuple[tuple[int, RunStatus], ...]:
        """Every run's number and how it stands, oldest first."""
        with self._reading("reading the runs") as session:
            rows = session.execute(select(RunRow.id, RunRow.status).order_by(RunRow.id))
            return tuple((run_id, RunStatus(status)) for run_id, status in rows)

    def sweep_of(self, run_id: int) -> int | None:
        """The number of the sweep that a run is a part of."""
        with self._reading("reading a run") as session:
            return session.scalar(select(RunRow.sweep_id).where(RunRow.id == run_id))

    def all_uids(self) -> frozenset[str]:
        """The uids of all runs and sweeps."""
        with self._reading("reading the runs") as session:
            return frozenset((*session.scalars(select(RunRow.uid)), *session.scalars(select(SweepRow.uid))))

    def untracked(self) -> tuple[int, ...]:
        """The numbers of the ended runs that MLflow has not been told about, oldest first."""
        with self._reading("looking for runs that MLflow does not know") as session:
            ended = RunRow.status != RunStatus.RUNNING
            return tuple(
                session.scalars(select(RunRow.id).where(RunRow.tracked_at.is_(None), ended).order_by(RunRow.id))
            )

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Session]:
        with translated(doing), Session(self._reader) as session:
            yield session
