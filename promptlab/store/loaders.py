"""How runs and images are found and read: the selects behind the notebook's verbs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from promptlab.plan import Pace, ResolvedSpec
from promptlab.records import ImageRecord, ImageStatus, RunRecord, RunStatus
from promptlab.specs import CallSpec
from promptlab.store.mapping import image_record, run_record
from promptlab.store.tables import EnvironmentRow, ImageRow, RunRow, VariantRow, VerificationRow

__all__ = ["ids_by_variant", "known", "made", "pace", "row_ids", "run", "same_run", "unfinished"]

_KEYS_AT_ONCE: Final = 5_000
"""SQLite takes 32,766 variables in a statement."""

_RUNS_LOOKED_AT: Final = 20
_BYTES_PER_PIXEL: Final = 2.0
"""Of a PNG, about; its real size is not in a row."""

_IMAGE_PARTS: Final = (
    selectinload(ImageRow.parent),
    selectinload(ImageRow.linked),
    selectinload(ImageRow.variant),
    selectinload(ImageRow.environment),
    selectinload(ImageRow.verifications).selectinload(VerificationRow.environment),
)


def run(session: Session, run_id: int) -> RunRecord:
    """One run with all that belongs to it, in a few selects however many images there are."""
    session.flush()
    session.expire_all()
    row = session.scalars(
        select(RunRow)
        .where(RunRow.id == run_id)
        .options(
            selectinload(RunRow.variants),
            selectinload(RunRow.images).options(*_IMAGE_PARTS),
            selectinload(RunRow.environment),
        )
    ).one()
    return run_record(row)


def known(
    session: Session, keys: Sequence[str], environment_hash: str, *, asked: bool = False
) -> dict[str, ImageRecord]:
    """The first image that was made, not linked, with each of ``keys`` in the environment.

    Args:
        asked: look among the keys of images that were asked for by another recipe than they were made by.
    """
    key = ImageRow.asked_key if asked else ImageRow.recipe_key
    wanted = select(EnvironmentRow.id).where(EnvironmentRow.hash == environment_hash).scalar_subquery()
    own, runs = ImageRow.environment_id, RunRow.environment_id
    found: dict[str, ImageRecord] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        rows = session.scalars(
            select(ImageRow)
            .join(ImageRow.run)
            .where(
                key.in_(keys[start : start + _KEYS_AT_ONCE]),
                ImageRow.status == ImageStatus.MADE,
                ImageRow.linked_image_id.is_(None),
                or_(own == wanted, own.is_(None) & (runs == wanted)),
            )
            .order_by(ImageRow.id)
            .options(*_IMAGE_PARTS)
        )
        for row in rows:
            found.setdefault((row.asked_key if asked else None) or row.recipe_key, image_record(row))
    return found


def made(session: Session) -> tuple[ImageRecord, ...]:
    """Every image that was made and is not a link, in order."""
    rows = session.scalars(
        select(ImageRow)
        .where(ImageRow.status == ImageStatus.MADE, ImageRow.linked_image_id.is_(None))
        .order_by(ImageRow.id)
        .options(*_IMAGE_PARTS)
    )
    return tuple(image_record(row) for row in rows)


def same_run(session: Session, keys: tuple[str, ...], environment_hash: str, experiment: str) -> int | None:
    """The newest run of the experiment that was asked for by exactly ``keys``, in this order, in the environment."""
    asked = func.coalesce(ImageRow.asked_key, ImageRow.recipe_key)
    candidates = session.scalars(
        select(RunRow.id)
        .join(RunRow.environment)
        .join(ImageRow, ImageRow.run_id == RunRow.id)
        .where(
            RunRow.experiment == experiment,
            EnvironmentRow.hash == environment_hash,
            ImageRow.position == 0,
            asked == keys[0],
        )
        .order_by(RunRow.id.desc())
    ).all()
    for run_id in candidates:
        has = select(asked).where(ImageRow.run_id == run_id).order_by(ImageRow.position)
        if tuple(session.scalars(has)) == keys:
            return run_id
    return None


def pace(session: Session, resolved: ResolvedSpec) -> Pace | None:
    """What the newest runs with the same model, dtype and device took, scaled to this call."""
    spec = resolved.spec
    same_part = (
        (RunRow.model_identity == resolved.model_identity)
        & (RunRow.dtype == spec.pipeline.dtype)
        & (RunRow.device == resolved.device)
    )
    rows = session.execute(
        select(RunRow, func.avg(ImageRow.seconds))
        .join(ImageRow, ImageRow.run_id == RunRow.id)
        .where(same_part, ImageRow.status == ImageStatus.MADE, ImageRow.linked_image_id.is_(None))
        .group_by(RunRow.id)
        .order_by(RunRow.id.desc())
        .limit(_RUNS_LOOKED_AT)
    ).all()
    seen = [(row, seconds) for row, seconds in rows if seconds]
    if not seen:
        return None
    exact = [pair for pair in seen if pair[0].num_inference_steps == spec.call.num_inference_steps]
    row, seconds = (exact or seen)[0]
    loads = [each.load_seconds for each, _ in seen if each.load_seconds]
    call = CallSpec(
        num_inference_steps=row.num_inference_steps,
        guidance_scale=row.guidance_scale,
        height=row.height,
        width=row.width,
    )
    pixels = (row.height or 512) * (row.width or 512)
    found = Pace(
        seconds_per_image=seconds,
        load_seconds=max(loads, default=1.0),
        bytes_per_image=pixels * _BYTES_PER_PIXEL,
    )
    return found.scaled(call, spec.call)


def unfinished(session: Session) -> tuple[int, ...]:
    """The runs that owe images, or were never ended as FINISHED, oldest first."""
    owing = select(ImageRow.run_id).where(ImageRow.status != ImageStatus.MADE).distinct()
    return tuple(
        session.scalars(
            select(RunRow.id).where(RunRow.id.in_(owing) | (RunRow.status != RunStatus.FINISHED)).order_by(RunRow.id)
        )
    )


def row_ids(session: Session, images: Iterable[ImageRecord]) -> dict[tuple[int, int], int]:
    """(run's number, position) → row id, of the runs that ``images`` are of."""
    runs = {image.run_id for image in images}
    found = session.execute(select(ImageRow.run_id, ImageRow.position, ImageRow.id).where(ImageRow.run_id.in_(runs)))
    return {(run_id, position): row_id for run_id, position, row_id in found}


def ids_by_variant(session: Session, run_id: int) -> dict[tuple[int, int], int]:
    """(variant's position, seed) → row id, of one run."""
    found = session.execute(
        select(VariantRow.position, ImageRow.seed, ImageRow.id).join(ImageRow.variant).where(ImageRow.run_id == run_id)
    )
    return {(position, seed): row_id for position, seed, row_id in found}
