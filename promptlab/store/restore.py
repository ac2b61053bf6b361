"""Writes rows anew from records: a notebook restored from its images, or imported runs.

A record names other runs by numbers that mean something where it was written; ``uids`` says which runs those are. What
a record names and this notebook does not have is left out, and everything else of it is kept word for word. What was
thought of images (stars, favourites, votes) stands in no image: with the database it is lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from promptlab.plan import ResolvedSpec
from promptlab.records import ImageRecord, ImageStatus, RunRecord, SweepRecord, plain
from promptlab.specs import Variant
from promptlab.store.loaders import load_run, load_sweep, parts
from promptlab.store.mapping import environment_row, made_columns, new_run_row, next_number
from promptlab.store.sweeps import RESTORED
from promptlab.store.tables import ImageRow, RunRow, SweepRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["restore_run", "restore_sweep", "restore_words"]

_GREATEST: Final = 2**31 - 1
"""What an image may say that a run's number was; every database can hold it."""


def restore_run(session: Session, run: RunRecord, uids: Mapping[int, str]) -> RunRecord:
    """Write ``run`` with its variants and images under its own number, or the next where that is taken.

    Args:
        uids: of the runs that it names as parent, or as the source of linked images.

    Returns:
        The run as it is here.
    """
    environment = environment_row(session, run.environment)
    session.add(environment)
    resolved = ResolvedSpec(
        spec=run.spec, device=run.device, model_identity=run.model_identity, vae_identity=run.vae_identity
    )
    row = new_run_row(resolved, experiment=run.experiment, name=run.name, note=run.note)
    row.id = _number(session, RunRow, run.id)
    row.uid, row.status, row.error = run.uid, run.status, run.error
    row.created_at, row.ended_at = run.created_at, run.ended_at
    row.load_seconds, row.generate_seconds = run.load_seconds, run.generate_seconds
    row.changes = [[change.field, change.before, change.after] for change in run.changes]
    row.origin = None if run.origin is None else plain(run.origin)
    row.environment = environment
    row.workers, row.devices = run.workers, list(run.devices) or None
    there = _there(session, uids)
    if run.parent_run_id is not None and run.parent_run_id in there:
        row.parent_run_id = there[run.parent_run_id].id
    session.add(row)
    session.flush()
    for image in run.images:
        row.images.append(_image_row(image, row, there))
    session.flush()
    return load_run(session, row.id)


def restore_sweep(session: Session, sweep: SweepRecord, uids: Mapping[int, str]) -> SweepRecord:
    """Write ``sweep`` above those of its runs that are here, in their places; see :func:`restore_run`."""
    row = SweepRow(
        id=_number(session, SweepRow, sweep.id),
        uid=sweep.uid,
        experiment=sweep.experiment,
        name=sweep.name,
        note=sweep.note,
        created_at=sweep.created_at,
        key=f"{RESTORED}{sweep.uid}",
        dimensions=[list(fields) for fields in sweep.dimensions],
    )
    session.add(row)
    session.flush()
    there = _there(session, uids)
    for one in sweep.runs:
        if one.run_id in there:
            run = there[one.run_id]
            run.sweep_id, run.sweep_place = row.id, list(one.place)
            run.sweep_values = [list(pair) for pair in one.values]
    return load_sweep(session, row.id)


def restore_words(session: Session, run_id: int, position: int, variant: Variant, recipe_key: str) -> None:
    """Put back the words and the recipe of one image, as its own metadata has them."""
    image = session.scalars(select(ImageRow).where(ImageRow.run_id == run_id, ImageRow.position == position)).one()
    image.recipe_key = recipe_key
    image.variant.prompt, image.variant.negative_prompt = variant.prompt, variant.negative_prompt


def _number(session: Session, table: type[RunRow | SweepRow], told: int) -> int:
    """Return the number that a record says it had, where it is free here; else the next."""
    free = 0 < told <= _GREATEST and session.get(table, told) is None
    return told if free else next_number(session, table)


def _there(session: Session, uids: Mapping[int, str]) -> dict[int, RunRow]:
    """Return the runs that are here, by the numbers that they have where the record was written."""
    by_uid = {
        row.uid: row
        for some in parts(sorted(uids.values()))
        for row in session.scalars(select(RunRow).where(RunRow.uid.in_(some)))
    }
    return {number: by_uid[uid] for number, uid in uids.items() if uid in by_uid}


def _image_row(image: ImageRecord, run: RunRow, there: Mapping[int, RunRow]) -> ImageRow:
    """Return the row of one image. A link whose source is not here has no file: it is owed."""
    linked = _place(image.linked, there)
    if image.linked is not None and linked is None:
        image = dataclasses.replace(image, path=None, pixel_sha256=None)
    parent = _place(image.parent, there)
    columns = made_columns(image)
    if linked is not None:
        columns |= {"path": linked.path, "status": linked.status}
    elif image.path is None:
        columns["status"] = ImageStatus.OWED if image.error is None else ImageStatus.FAILED
    return ImageRow(
        position=image.position,
        variant=run.variants[image.variant],
        seed=image.seed,
        recipe_key=image.recipe_key,
        batch_size=image.batch_size,
        asked_key=image.asked_key,
        parent_image_id=parent and parent.id,
        linked_image_id=linked and linked.id,
        **columns,
    )


def _place(place: tuple[int, int] | None, there: Mapping[int, RunRow]) -> ImageRow | None:
    run = None if place is None else there.get(place[0])
    if place is None or run is None:
        return None
    return next((image for image in run.images if image.position == place[1]), None)
