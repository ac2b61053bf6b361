"""Maps specs and records to rows and back: the one place that knows both shapes.

A row holds the resolved spec in columns, so that it can be filtered by; :func:`run_record` puts the same spec together
again. What comes back equals what went in, which is what makes a rerun possible; a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from promptlab.plan import ResolvedSpec
from promptlab.records import (
    Environment,
    ImageRecord,
    ImageStatus,
    ImportGap,
    Origin,
    Outcome,
    RunRecord,
    RunStatus,
    SweepRecord,
    SweepRun,
    TruncatedText,
    VariantRecord,
    Verification,
)
from promptlab.specs import Change, Variant
from promptlab.store.spec_columns import COLUMNS, columns_of, spec_of
from promptlab.store.tables import EnvironmentRow, ImageRow, RunRow, SweepRow, VariantRow, VerificationRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "environment_row",
    "image_record",
    "made_columns",
    "new_run_row",
    "next_number",
    "run_columns",
    "run_record",
    "sweep_record",
    "variant_columns",
]


def next_number(session: Session, table: type[RunRow | SweepRow]) -> int:
    """Return the number of the run or sweep that is written next: one more than the greatest.

    Given here and not by the database: a run that is written anew from its pictures brings its own number, of which
    PostgreSQL's counters know nothing. Writers come one after the other, so no two are given the same.
    """
    return (session.scalar(select(func.max(table.id))) or 0) + 1


def environment_row(session: Session, environment: Environment) -> EnvironmentRow:
    """Return the row of an environment: the one that is there, or a new one, which the caller adds."""
    known = session.scalars(select(EnvironmentRow).where(EnvironmentRow.hash == environment.hash)).one_or_none()
    return known or EnvironmentRow(hash=environment.hash, created_at=datetime.now(UTC), facts=dict(environment.facts))


def run_columns(resolved: ResolvedSpec, *, experiment: str, name: str | None, note: str | None) -> dict[str, Any]:
    """Return the columns of a run that follow from what it makes.

    Number, status, times, environment and parent are the caller's to add.
    """
    return {
        "experiment": experiment,
        "name": name,
        "note": note,
        "model_identity": resolved.model_identity,
        "vae_identity": resolved.vae_identity,
        "setting_key": resolved.setting_key,
        "device": resolved.device,
        **columns_of(resolved.at(resolved.batch_size).spec),
    }


def variant_columns(variant: Variant, position: int) -> dict[str, Any]:
    """Return the columns of a variant of a run."""
    return {
        "position": position,
        "label": variant.label,
        "prompt": variant.prompt,
        "negative_prompt": variant.negative_prompt,
        "template": variant.template,
        "replacement": variant.replacement,
        "source": variant.source,
    }


def new_run_row(resolved: ResolvedSpec, *, experiment: str, name: str | None, note: str | None) -> RunRow:
    """Return the row of a run that begins now, with its variants.

    Images, environment and parent are the caller's to add.
    """
    variants = [VariantRow(**variant_columns(each, place)) for place, each in enumerate(resolved.spec.variants)]
    return RunRow(
        status=RunStatus.RUNNING,
        created_at=datetime.now(UTC),
        variants=variants,
        **run_columns(resolved, experiment=experiment, name=name, note=note),
    )


def run_record(row: RunRow) -> RunRecord:
    """Return the record of a run whose variants, images and environment are loaded."""
    return RunRecord(
        id=row.id,
        uid=row.uid,
        experiment=row.experiment,
        name=row.name,
        note=row.note,
        status=RunStatus(row.status),
        spec=spec_of({name: getattr(row, name) for name in COLUMNS}, tuple(map(_variant, row.variants))),
        device=row.device,
        model_identity=row.model_identity,
        vae_identity=row.vae_identity,
        created_at=row.created_at,
        ended_at=row.ended_at,
        variants=tuple(
            VariantRecord(position=variant.position, variant=_variant(variant), mlflow_run_id=variant.mlflow_run_id)
            for variant in row.variants
        ),
        images=tuple(image_record(image) for image in row.images),
        environment=Environment(facts=dict(row.environment.facts)),
        parent_run_id=row.parent_run_id,
        changes=_changes(row.changes),
        load_seconds=row.load_seconds,
        generate_seconds=row.generate_seconds,
        error=row.error,
        sweep_id=row.sweep_id,
        sweep_values=tuple((field, value) for field, value in row.sweep_values or ()),
        tracked_at=row.tracked_at,
        origin=None if row.origin is None else _origin(row.origin),
        cut=tuple(
            TruncatedText(prompt=prompt, encoder=encoder, words=words) for prompt, encoder, words in row.cut_words or ()
        ),
        workers=row.workers,
        devices=tuple(row.devices or ()),
        remarks=tuple(row.remarks or ()),
    )


def sweep_record(row: SweepRow, runs: Iterable[SweepRun]) -> SweepRecord:
    """Return the record of a sweep of these runs."""
    return SweepRecord(
        id=row.id,
        uid=row.uid,
        experiment=row.experiment,
        name=row.name,
        note=row.note,
        created_at=row.created_at,
        dimensions=tuple(tuple(fields) for fields in row.dimensions),
        runs=tuple(runs),
        mlflow_run_id=row.mlflow_run_id,
        tracked_at=row.tracked_at,
    )


def _variant(row: VariantRow) -> Variant:
    return Variant(
        prompt=row.prompt,
        negative_prompt=row.negative_prompt,
        label=row.label,
        template=row.template,
        replacement=row.replacement,
        source=row.source,
    )


def image_record(row: ImageRow) -> ImageRecord:
    """Return the record of an image whose parent, link and variant are loaded."""
    return ImageRecord(
        run_id=row.run_id,
        position=row.position,
        variant=row.variant.position,
        seed=row.seed,
        status=ImageStatus(row.status),
        recipe_key=row.recipe_key,
        path=row.path,
        width=row.width,
        height=row.height,
        pixel_sha256=row.pixel_sha256,
        batch=row.batch,
        slot=row.slot,
        seconds=row.seconds,
        peak_memory=row.peak_memory,
        made_at=row.made_at,
        parent=None if row.parent is None else (row.parent.run_id, row.parent.position),
        environment=None if row.environment is None else row.environment.hash,
        linked=None if row.linked is None else (row.linked.run_id, row.linked.position),
        flag=row.flag,
        error=row.error,
        batch_size=row.batch_size,
        asked_key=row.asked_key,
        decoded_in=row.decoded_in,
        verified=_verification(row.verifications[-1]) if row.verifications else None,
        stars=row.stars,
        favourite=row.favourite,
        votes_won=row.votes_won,
        votes_lost=row.votes_lost,
        scores={score.scorer: score.value for score in row.scores},
    )


def _verification(row: VerificationRow) -> Verification:
    return Verification(
        outcome=Outcome(row.outcome),
        verified_at=row.verified_at,
        environment=row.environment.hash,
        pixel_sha256=row.pixel_sha256,
        differing_pixels=row.differing_pixels,
        greatest_difference=row.greatest_difference,
        mean_difference=row.mean_difference,
        psnr=row.psnr,
        changes=_changes(row.changes),
    )


def _changes(plain: Iterable[tuple[str, Any, Any]]) -> tuple[Change, ...]:
    return tuple(Change(field=field, before=before, after=after) for field, before, after in plain)


def _origin(plain: Mapping[str, Any]) -> Origin:
    return Origin(program=plain["program"], file=plain["file"], lost=tuple(ImportGap(**each) for each in plain["lost"]))


def made_columns(image: ImageRecord) -> dict[str, Any]:
    """Return the columns that are written when an image is made."""
    return {
        "status": image.status,
        "path": image.path,
        "width": image.width,
        "height": image.height,
        "pixel_sha256": image.pixel_sha256,
        "batch": image.batch,
        "slot": image.slot,
        "seconds": image.seconds,
        "peak_memory": image.peak_memory,
        "made_at": image.made_at,
        "flag": image.flag,
        "error": image.error,
        "decoded_in": image.decoded_in,
    }
