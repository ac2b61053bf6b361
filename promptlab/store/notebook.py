"""The notebook's verbs: a run is begun, images are added, the run is ended; and all of it is read back as records.

Every verb is one short transaction: nothing is held open while pictures are made, so several commands can write to
one workspace while MLflow's server reads it. A run's images are rows before the first pixel is made, and a row says
``MADE`` only once its PNG is whole on disk: whoever calls :meth:`Notebook.add_images` has written the files first.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self

from filelock import FileLock
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session, selectinload

from promptlab.errors import NotFound
from promptlab.plan import ImageTask, ResolvedSpec
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord, RunStatus
from promptlab.store import migrate
from promptlab.store.database import open_sqlite, translated
from promptlab.store.glance import check_workspace, revision_of
from promptlab.store.rows import new_run_row, run_record
from promptlab.store.tables import EnvironmentRow, ImageRow, RunRow, VariantRow
from promptlab.workspace import Workspace

__all__ = ["Notebook"]


class Notebook:
    """What a workspace remembers. Open one with :meth:`at`; the methods raise :class:`StoreError` when SQL fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def at(cls, workspace: Workspace) -> Self:
        """The notebook of ``workspace``: made when there is none, backed up and upgraded when it is an older one's.

        Where nothing may be written, a notebook that needs no upgrade can still be read.

        Raises:
            WorkspaceError: when the file is no database, a newer PromptLab's, or must be written and cannot be.
        """
        revision = revision_of(workspace.database)
        migrate.check(revision, str(workspace.database))
        if revision != migrate.HEAD:
            check_workspace(workspace)
            cls.upgrade(workspace)
        return cls(open_sqlite(workspace.database))

    @staticmethod
    def upgrade(workspace: Workspace) -> str | None:
        """Bring the database to this PromptLab's schema, after a backup where there was an older one.

        Safe when several commands start at once: all but the first wait and find it done.

        Returns:
            The revision it had before; ``None`` when there were no tables of ours.
        """
        workspace.root.mkdir(parents=True, exist_ok=True)
        with FileLock(workspace.lock, timeout=120):
            revision = revision_of(workspace.database)
            migrate.check(revision, str(workspace.database))
            if revision == migrate.HEAD:
                return revision
            if revision is not None:
                migrate.backup(workspace.database, revision)
            engine = open_sqlite(workspace.database, foreign_keys=False)
            with translated("making its tables"), engine.connect().execution_options(writes=True) as connection:
                migrate.upgrade(connection)
                connection.commit()
            return revision

    # writing

    def begin_run(
        self,
        resolved: ResolvedSpec,
        tasks: Sequence[ImageTask],
        *,
        environment: Environment,
        experiment: str,
        name: str | None = None,
        note: str | None = None,
        parent: RunRecord | None = None,
    ) -> RunRecord:
        """Write the run as RUNNING, with its variants, and every image of ``tasks`` as OWED.

        With a ``parent``, what changed is stored, and each image points at the one it was varied from: that of its
        variant's ``source`` (or of the only variant there) at the same seed.
        """
        with self._writing("beginning a run") as session:
            row = new_run_row(resolved, experiment=experiment, name=name, note=note)
            row.uid = uuid.uuid4().hex
            row.environment = _environment_row(session, environment)
            row.changes = []
            parents: Mapping[tuple[int, int], int] = {}
            if parent is not None:
                row.parent_run_id = parent.id
                row.changes = [[c.field, c.before, c.after] for c in parent.spec.diff(resolved.spec)]
                parents = _image_ids(session, parent.id)
            session.add(row)
            session.flush()
            for task in tasks:
                source = resolved.spec.variants[task.variant].source
                if source is None and parent is not None and len(parent.variants) == 1:
                    source = 0
                row.images.append(
                    ImageRow(
                        position=task.position,
                        variant=row.variants[task.variant],
                        seed=task.seed,
                        status=ImageStatus.OWED,
                        recipe_key=task.recipe_key,
                        parent_image_id=None if source is None else parents.get((source, task.seed)),
                    )
                )
            session.flush()
            return _read(session, row.id)

    def add_images(self, run_id: int, images: Sequence[ImageRecord]) -> None:
        """Mark images as MADE (or FAILED), with all that is known about them, in one transaction."""
        with self._writing("adding images") as session:
            for image in images:
                session.execute(
                    update(ImageRow)
                    .where(ImageRow.run_id == run_id, ImageRow.position == image.position)
                    .values(
                        status=image.status,
                        path=image.path,
                        width=image.width,
                        height=image.height,
                        pixel_sha256=image.pixel_sha256,
                        batch=image.batch,
                        slot=image.slot,
                        seconds=image.seconds,
                        peak_memory=image.peak_memory,
                        made_at=image.made_at,
                        flag=image.flag,
                        error=image.error,
                    )
                )

    def end_run(
        self,
        run_id: int,
        status: RunStatus,
        *,
        load_seconds: float | None = None,
        generate_seconds: float | None = None,
        error: str | None = None,
    ) -> RunRecord:
        """Write how the run ended, and read the whole of it back."""
        with self._writing("ending a run") as session:
            session.execute(
                update(RunRow)
                .where(RunRow.id == run_id)
                .values(
                    status=status,
                    ended_at=datetime.now(UTC),
                    load_seconds=load_seconds,
                    generate_seconds=generate_seconds,
                    error=error,
                )
            )
            return _read(session, run_id)

    def mark_tracked(self, run_id: int, mlflow_run_ids: Mapping[int, str]) -> RunRecord:
        """Note that MLflow has been told: the MLflow run of each variant, by the variant's position."""
        with self._writing("noting what MLflow knows") as session:
            for position, mlflow_run_id in mlflow_run_ids.items():
                session.execute(
                    update(VariantRow)
                    .where(VariantRow.run_id == run_id, VariantRow.position == position)
                    .values(mlflow_run_id=mlflow_run_id)
                )
            session.execute(update(RunRow).where(RunRow.id == run_id).values(tracked_at=datetime.now(UTC)))
            return _read(session, run_id)

    # reading

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
            return _read(session, run_id)

    def run_by_uid(self, uid: str) -> RunRecord | None:
        """The run that a picture's own metadata names, if this workspace has it."""
        with self._reading("reading a run") as session:
            run_id = session.scalar(select(RunRow.id).where(RunRow.uid == uid))
            return None if run_id is None else _read(session, run_id)

    def last_run_id(self) -> int | None:
        """The number of the newest run."""
        with self._reading("reading the newest run") as session:
            return session.scalar(select(func.max(RunRow.id)))

    def untracked(self) -> tuple[int, ...]:
        """The numbers of the ended runs that MLflow has not been told about, oldest first."""
        with self._reading("looking for runs that MLflow does not know") as session:
            ended = RunRow.status != RunStatus.RUNNING
            return tuple(
                session.scalars(select(RunRow.id).where(RunRow.tracked_at.is_(None), ended).order_by(RunRow.id))
            )

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Session]:
        with translated(doing), Session(self._engine) as session:
            yield session

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Session]:
        with translated(doing), Session(self._engine.execution_options(writes=True)) as session, session.begin():
            yield session


def _read(session: Session, run_id: int) -> RunRecord:
    """One run with all that belongs to it, in four selects however many images there are."""
    session.flush()
    session.expire_all()
    row = session.scalars(
        select(RunRow)
        .where(RunRow.id == run_id)
        .options(
            selectinload(RunRow.variants),
            selectinload(RunRow.images).selectinload(ImageRow.parent),
            selectinload(RunRow.images).selectinload(ImageRow.variant),
            selectinload(RunRow.environment),
        )
    ).one()
    return run_record(row)


def _environment_row(session: Session, environment: Environment) -> EnvironmentRow:
    known = session.scalars(select(EnvironmentRow).where(EnvironmentRow.hash == environment.hash)).one_or_none()
    return known or EnvironmentRow(hash=environment.hash, created_at=datetime.now(UTC), facts=dict(environment.facts))


def _image_ids(session: Session, run_id: int) -> dict[tuple[int, int], int]:
    """(variant's position, seed) → row id, of one run."""
    found: Any = session.execute(
        select(VariantRow.position, ImageRow.seed, ImageRow.id).join(ImageRow.variant).where(ImageRow.run_id == run_id)
    )
    return {(position, seed): row_id for position, seed, row_id in found}
