"""The notebook's verbs: a run is begun, images are added, the run is ended; and all of it is read back as records.

Every verb is one short transaction: nothing is held open while pictures are made, so several commands can write to
one workspace while MLflow's server reads it. A run's images are rows before the first pixel is made, and a row says
``MADE`` only once its PNG is whole on disk: whoever calls :meth:`Notebook.add_images` has written the files first.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import func, select, update

from promptlab.plan import ImageRequest, ResolvedSpec
from promptlab.records import (
    Environment,
    ImageRecord,
    ImageStatus,
    RunRecord,
    RunStatus,
    SweepRecord,
    SweepRun,
    TruncatedText,
)
from promptlab.specs import Variant
from promptlab.store import loaders, migrate
from promptlab.store.annotations import Remarks
from promptlab.store.database import Database
from promptlab.store.home import database_of
from promptlab.store.mapping import environment_row, made_columns, new_run_row, next_number, sweep_record
from promptlab.store.restore import restore_run, restore_sweep
from promptlab.store.tables import ImageRow, RunRow, SweepRow, VariantRow
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Notebook"]


class Notebook(Remarks):
    """What a workspace remembers, to be read and written. Open one with :meth:`at`; SQL that fails is a
    :class:`StoreError`."""

    @classmethod
    def at(cls, workspace: Workspace) -> Self:
        """The notebook of ``workspace``: see :meth:`of`."""
        return cls.of(database_of(workspace))

    @classmethod
    def of(cls, database: Database) -> Self:
        """The notebook in ``database``: made when there is none, upgraded (a file is copied first) when it is older.

        Where nothing may be written, a notebook that needs no upgrade can still be read.

        Raises:
            WorkspaceError: when it is no database, a newer PromptLab's, or must be written and cannot be.
        """
        revision = database.revision()
        migrate.check(revision, database.name)
        if revision != migrate.HEAD:
            database.check()
            database.upgrade()
        return cls(database)

    def begin_run(
        self,
        resolved: ResolvedSpec,
        tasks: Sequence[ImageRequest],
        *,
        environment: Environment,
        experiment: str,
        name: str | None = None,
        note: str | None = None,
        parent: RunRecord | None = None,
        sweep_id: int | None = None,
        place: SweepRun | None = None,
    ) -> RunRecord:
        """Write the run, with its variants, and every image of ``tasks`` as OWED: before the first pixel is made.

        With a ``parent``, what changed is stored, and each image points at the one it was varied from: that of its
        variant's ``source`` (or of the only variant there) at the same seed.

        Args:
            sweep_id: the sweep it is a part of: the run is SCHEDULED then, and RUNNING once it is taken up.
            place: where in the sweep; its ``run_id`` is not looked at.
        """
        with self._writing("beginning a run") as session:
            row = new_run_row(resolved, experiment=experiment, name=name, note=note)
            if place is not None:
                row.status, row.sweep_id, row.sweep_place = RunStatus.SCHEDULED, sweep_id, list(place.place)
                row.sweep_values = [list(pair) for pair in place.values]
            row.id, row.uid = next_number(session, RunRow), uuid.uuid4().hex
            row.environment = environment_row(session, environment)
            row.changes = []
            parents: Mapping[tuple[int, int], int] = {}
            if parent is not None:
                row.parent_run_id = parent.id
                row.changes = [[c.field, c.before, c.after] for c in parent.spec.diff(resolved.spec)]
                parents = loaders.ids_by_variant(session, parent.id)
            session.add(row)
            session.flush()
            for task in tasks:
                source = resolved.spec.variants[task.variant].source
                if source is None and parent is not None and len(parent.variants) == 1:
                    source = 0
                image = ImageRow(
                    position=task.position,
                    variant=row.variants[task.variant],
                    seed=task.seed,
                    status=ImageStatus.OWED,
                    recipe_key=task.recipe_key,
                    parent_image_id=None if source is None else parents.get((source, task.seed)),
                )
                row.images.append(image)
            session.flush()
            return loaders.run(session, row.id)

    def add_images(self, run_id: int, images: Sequence[ImageRecord], *, environment: Environment | None = None) -> None:
        """Mark images as MADE (or FAILED), with all that is known about them, in one transaction.

        Args:
            environment: where it is not the run's own.
        """
        with self._writing("adding images") as session:
            elsewhere: dict[str, Any] = {}
            if environment is not None:
                row = environment_row(session, environment)
                session.add(row)
                session.flush()
                elsewhere["environment_id"] = row.id
            for image in images:
                session.execute(
                    update(ImageRow)
                    .where(ImageRow.run_id == run_id, ImageRow.position == image.position)
                    .values(**made_columns(image), **elsewhere)
                )

    def link_images(self, run_id: int, earlier: Mapping[int, ImageRecord]) -> RunRecord:
        """Take pictures that exist for pictures of this run: position → the image that was made (see :meth:`known`)."""
        with self._writing("linking images") as session:
            roots = loaders.row_ids(session, earlier.values())
            for position, image in earlier.items():
                session.execute(
                    update(ImageRow)
                    .where(ImageRow.run_id == run_id, ImageRow.position == position)
                    .values(**made_columns(image), linked_image_id=roots[image.run_id, image.position])
                )
            return loaders.run(session, run_id)

    def make_smaller(self, run_id: int, batch_size: int, keys: Mapping[int, str]) -> RunRecord:
        """Write that owed images are to be made in smaller batches than their run's, which did not fit.

        Args:
            keys: the recipe key of each at that size, by its place in the run.
        """
        with self._writing("noting smaller batches") as session:
            for position, key in keys.items():
                session.execute(
                    update(ImageRow)
                    .where(ImageRow.run_id == run_id, ImageRow.position == position)
                    .values(
                        asked_key=func.coalesce(ImageRow.asked_key, ImageRow.recipe_key),
                        recipe_key=key,
                        batch_size=batch_size,
                    )
                )
            return loaders.run(session, run_id)

    def owe_images(self, run_id: int, positions: Sequence[int]) -> RunRecord:
        """Mark images as OWED again: their files are gone."""
        with self._writing("noting lost pictures") as session:
            session.execute(
                update(ImageRow)
                .where(ImageRow.run_id == run_id, ImageRow.position.in_(positions))
                .values(status=ImageStatus.OWED, path=None, pixel_sha256=None, linked_image_id=None)
            )
            return loaders.run(session, run_id)

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
            return loaders.run(session, run_id)

    def keep_cut(self, run_id: int, cut: Sequence[TruncatedText]) -> None:
        """Write which words the run's text encoders do not see."""
        plain = [[each.prompt, each.encoder, each.words] for each in cut]
        with self._writing("keeping the words that were cut") as session:
            session.execute(update(RunRow).where(RunRow.id == run_id).values(cut_words=plain))

    def take_up(self, run_id: int) -> RunRecord:
        """Write that a run is being made, now or again: RUNNING, without an end, and MLflow to be told."""
        with self._writing("taking up a run") as session:
            row = session.get_one(RunRow, run_id)
            if row.status == RunStatus.SCHEDULED:
                row.created_at = _start_of(session, row)
            row.status, row.ended_at, row.error, row.tracked_at = RunStatus.RUNNING, None, None, None
            return loaders.run(session, run_id)

    def restore(self, run: RunRecord, uids: Mapping[int, str]) -> RunRecord:
        """Write a run anew from its record, as it was told by its pictures; see :mod:`promptlab.store.restore`."""
        with self._writing("writing a run anew") as session:
            environment = environment_row(session, run.environment)
            session.add(environment)
            return loaders.run(session, restore_run(session, run, uids, environment))

    def restore_sweep(self, sweep: SweepRecord, uids: Mapping[int, str]) -> SweepRecord:
        """Write a sweep anew above its runs, which must be here already."""
        with self._writing("writing a sweep anew") as session:
            sweep_id = restore_sweep(session, sweep, uids)
        return self.sweep(sweep_id)

    def restore_words(self, run_id: int, position: int, variant: Variant, recipe_key: str) -> None:
        """Put back the words and the recipe of one image, as its picture tells them."""
        with self._writing("putting back what a picture says") as session:
            image = session.scalars(
                select(ImageRow).where(ImageRow.run_id == run_id, ImageRow.position == position)
            ).one()
            image.recipe_key = recipe_key
            image.variant.prompt, image.variant.negative_prompt = variant.prompt, variant.negative_prompt

    def begin_sweep(
        self,
        *,
        experiment: str,
        name: str | None,
        note: str | None,
        dimensions: Sequence[Sequence[str]],
        key: str,
    ) -> SweepRecord:
        """Write a sweep; its runs name it when they begin.

        Args:
            key: the hash of all its recipes and environments, by which :meth:`same_sweep` finds it again.
        """
        with self._writing("beginning a sweep") as session:
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
            return sweep_record(row, ())

    def ask_again(self, run_ids: Sequence[int]) -> None:
        """Note that runs which are there were asked for once more, together: ``last`` means the last of them now."""
        with self._writing("noting what was asked") as session:
            session.execute(update(RunRow).where(RunRow.id.in_(run_ids)).values(asked_at=datetime.now(UTC)))


_APART: Final = timedelta(milliseconds=2)
"""MLflow lists runs by the millisecond at which they start, and each variant is a run; twice that, for rounding."""


def _start_of(session: Session, row: RunRow) -> datetime:
    """Return when a run of a sweep starts: now, moved to its place among those of the sweep that have started.

    An engine fills its batches with images of any run, so a sweep's runs start in another order than they were begun.
    Lists have one order everywhere, that of the runs' numbers; MLflow's is by their start.
    """
    started = select(RunRow.id, RunRow.created_at).where(
        RunRow.sweep_id == row.sweep_id, RunRow.status != RunStatus.SCHEDULED
    )
    before = session.execute(started.where(RunRow.id < row.id).order_by(RunRow.id.desc()).limit(1)).first()
    after = session.execute(started.where(RunRow.id > row.id).order_by(RunRow.id).limit(1)).first()
    start = datetime.now(UTC)
    if before is not None:
        start = max(start, before.created_at + _room(session, before.id, row.id))
    if after is not None:
        start = min(start, after.created_at - _room(session, row.id, after.id))
    return start


def _room(session: Session, first: int, end: int) -> timedelta:
    """Return how far apart two runs start at least, so that the variants of all runs from one to the other fit in."""
    variants = select(func.count()).where(VariantRow.run_id >= first, VariantRow.run_id < end)
    return _APART * session.scalars(variants).one()
