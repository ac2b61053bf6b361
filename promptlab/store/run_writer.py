"""Writes runs: begun, started, ended; their images added, linked or owed.

Functions of a session.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import bindparam, func, select, update

from promptlab.plan import ImageRequest, ResolvedSpec
from promptlab.records import (
    Environment,
    ImageRecord,
    ImageStatus,
    RunRecord,
    RunStatus,
    TruncatedText,
)
from promptlab.store import loaders
from promptlab.store.ancestors import changes_from, source_of
from promptlab.store.mapping import environment_row, made_columns, new_run_row, next_number
from promptlab.store.tables import ImageRow, RunRow, VariantRow

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.orm import Session

__all__ = [
    "add_images",
    "add_truncated_texts",
    "begin_run",
    "end_run",
    "link_images",
    "mark_requested",
    "owe_images",
    "reduce_batch_size",
    "start_run",
]

_APART: Final = timedelta(milliseconds=2)
"""MLflow lists runs by the millisecond at which they start, and each variant is a run; twice that, for rounding."""


def begin_run(
    session: Session,
    resolved: ResolvedSpec,
    requests: Sequence[ImageRequest],
    *,
    environment: Environment,
    experiment: str,
    name: str | None = None,
    note: str | None = None,
    parent: RunRecord | None = None,
) -> RunRecord:
    """Write a run, its variants and every image of ``requests``, OWED: before any pixel is generated.

    With a ``parent``, what changed is stored, and each image points at the one it was varied from: that of its
    variant's ``source`` (or of the only variant there) at the same seed.
    """
    row = new_run_row(resolved, experiment=experiment, name=name, note=note)
    row.id, row.uid = next_number(session, RunRow), uuid.uuid4().hex
    row.environment = environment_row(session, environment)
    row.changes = []
    parents: Mapping[tuple[int, int], int] = {}
    if parent is not None:
        row.parent_run_id = parent.id
        row.changes = changes_from(parent, resolved)
        parents = loaders.ids_by_variant(session, parent.id)
    session.add(row)
    session.flush()
    for position, request in enumerate(requests):
        variant = position // len(resolved.spec.seeds)
        source = source_of(resolved.spec.variants[variant], parent)
        image = ImageRow(
            position=position,
            variant=row.variants[variant],
            seed=request.seed,
            status=ImageStatus.OWED,
            recipe_key=request.recipe_key,
            parent_image_id=None if source is None else parents.get((source, request.seed)),
        )
        row.images.append(image)
    session.flush()
    return loaders.load_run(session, row.id)


def start_run(session: Session, run_id: int) -> RunRecord:
    """Write that a run is started, now or again: RUNNING, without an end, to be recorded in MLflow."""
    row = session.get_one(RunRow, run_id)
    if row.status == RunStatus.SCHEDULED:
        row.created_at = _start_of(session, row)
    row.status, row.ended_at, row.error, row.tracked_at = RunStatus.RUNNING, None, None, None
    return loaders.load_run(session, run_id)


def _start_of(session: Session, row: RunRow) -> datetime:
    """Return when a run of a sweep starts: now, moved to its place among those that have started.

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
    """Return how far apart two runs start at least: the variants of all runs between them fit in."""
    variants = select(func.count()).where(VariantRow.run_id >= first, VariantRow.run_id < end)
    return _APART * session.scalars(variants).one()


def mark_requested(session: Session, run_ids: Sequence[int]) -> None:
    """Write that runs were asked for once more, together: ``last`` means the last of them now."""
    now = datetime.now(UTC)
    for some in loaders.parts(run_ids):
        session.execute(update(RunRow).where(RunRow.id.in_(some)).values(asked_at=now))


def add_images(
    session: Session, run_id: int, images: Sequence[ImageRecord], *, environment: Environment | None = None
) -> None:
    """Mark images as MADE (or FAILED), with all that is known about them, in one transaction.

    Args:
        environment: where it is not the run's own.
    """
    elsewhere: dict[str, Any] = {}
    if environment is not None:
        row = environment_row(session, environment)
        session.add(row)
        session.flush()
        elsewhere["environment_id"] = row.id
    rows = [{**made_columns(image), **elsewhere} for image in images]
    if not rows:
        return
    table = cast("Table", ImageRow.__table__)
    marked = (
        update(table)
        .where(table.c.run_id == run_id, table.c.position == bindparam("place"))
        .values({name: bindparam(f"new_{name}", type_=table.c[name].type) for name in rows[0]})
    )  # one statement for all: the writer shares the interpreter with whoever makes images
    session.connection().execute(
        marked,
        [
            {"place": image.position, **{f"new_{name}": value for name, value in row.items()}}
            for image, row in zip(images, rows, strict=True)
        ],
    )


def link_images(session: Session, run_id: int, earlier: Mapping[int, ImageRecord]) -> RunRecord:
    """Link images of this run to images that exist: position → the image that was generated."""
    roots = loaders.row_ids(session, earlier.values())
    for position, image in earlier.items():
        linked = roots[image.run_id, image.position]
        _update_image(session, run_id, position, **made_columns(image), linked_image_id=linked)
    return loaders.load_run(session, run_id)


def reduce_batch_size(session: Session, run_id: int, batch_size: int, keys: Mapping[int, str]) -> RunRecord:
    """Write that owed images are to be generated in smaller batches than their run's, which did not fit.

    Args:
        keys: the recipe key of each at that size, by its place in the run.
    """
    asked = func.coalesce(ImageRow.asked_key, ImageRow.recipe_key)
    for position, key in keys.items():
        _update_image(session, run_id, position, asked_key=asked, recipe_key=key, batch_size=batch_size)
    return loaders.load_run(session, run_id)


def owe_images(session: Session, run_id: int, positions: Sequence[int]) -> RunRecord:
    """Mark images as OWED again: their files are gone. The hash of their pixels stays: it knows a copy."""
    owed = {"status": ImageStatus.OWED, "path": None, "linked_image_id": None}
    for some in loaders.parts(positions):
        session.execute(update(ImageRow).where(ImageRow.run_id == run_id, ImageRow.position.in_(some)).values(**owed))
    return loaders.load_run(session, run_id)


def _update_image(session: Session, run_id: int, position: int, **columns: Any) -> None:
    session.execute(update(ImageRow).where(ImageRow.run_id == run_id, ImageRow.position == position).values(**columns))


def add_truncated_texts(session: Session, run_id: int, cut: Sequence[TruncatedText]) -> None:
    """Write which words the run's text encoders truncate."""
    plain = [[each.prompt, each.encoder, each.words] for each in cut]
    session.execute(update(RunRow).where(RunRow.id == run_id).values(cut_words=plain))


def add_remarks(session: Session, run_id: int, remarks: Sequence[str]) -> RunRecord:
    """Write what was said of the weights that a run is made with, beside what was said before."""
    before = session.scalar(select(RunRow.remarks).where(RunRow.id == run_id)) or []
    together = list(dict.fromkeys((*before, *remarks)))
    session.execute(update(RunRow).where(RunRow.id == run_id).values(remarks=together))
    return loaders.load_run(session, run_id)


def end_run(
    session: Session,
    run_id: int,
    status: RunStatus,
    *,
    load_seconds: float | None = None,
    generate_seconds: float | None = None,
    error: str | None = None,
    workers: int | None = None,
    devices: Sequence[str] = (),
) -> RunRecord:
    """Write how a run ended, and read the whole of it back.

    Args:
        workers, devices: who made it. What is there already stays: MLflow changes no parameter.
    """
    if workers is not None:
        first = update(RunRow).where(RunRow.id == run_id, RunRow.workers.is_(None))
        session.execute(first.values(workers=workers, devices=list(devices)))
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
    return loaders.load_run(session, run_id)
