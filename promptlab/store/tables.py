"""Declares the tables: in MLflow's file, with our prefix and our own alembic history.

::

    promptlab_sweeps ────────┐
    promptlab_environments ──┤
                             ├─< promptlab_runs ──< promptlab_variants ──< promptlab_images
                parent run ──┘                                                   │  │
                                                     parent or linked image ─────┘  ├──< promptlab_verifications
                                                                                    ├─── promptlab_ratings
                                                                                    ├──< promptlab_scores
                                                                                    └──< promptlab_votes (of two)

``promptlab_probes`` stands by itself: how large batches took how much memory, by the hash of their setting.
``promptlab_search``, SQLite's full-text index of the variants' words and their runs' notes, is kept by triggers and is
no class here: migration 0004 makes it and :mod:`promptlab.store.text_search` asks it.

Every parameter that one filters by is a column; call arguments and scheduler options are JSON. An image is a row
from the moment it is asked for (``OWED``), so that what is missing can be counted and made later. Names follow
one convention from the first revision on: alembic's batch mode can then find and change them in SQLite.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, column_property, foreign, mapped_column, relationship

from promptlab.specs.settings import SETTINGS
from promptlab.store.table_base import Base, setting_column

__all__ = [
    "Base",
    "EnvironmentRow",
    "ImageRow",
    "ProbeRow",
    "RatingRow",
    "RunRow",
    "ScoreRow",
    "SweepRow",
    "VariantRow",
    "VerificationRow",
    "VoteRow",
]


def _index_where(name: str, column: str, condition: str) -> Index:
    """Return an index of the few rows that a condition holds for; queries say it in the same words."""
    where = text(condition)
    return Index(name, column, sqlite_where=where, postgresql_where=where)


class EnvironmentRow(Base):
    """Stores an environment: versions, device, kernels, flags. One row for each distinct one."""

    __tablename__ = "promptlab_environments"

    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    facts: Mapped[dict[str, Any]]


class SweepRow(Base):
    """Stores a sweep: the runs that came of one set of axes."""

    __tablename__ = "promptlab_sweeps"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    experiment: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    key: Mapped[str] = mapped_column(String(64), index=True)
    dimensions: Mapped[list[Any]]
    mlflow_run_id: Mapped[str | None] = mapped_column(String(32))
    tracked_at: Mapped[datetime | None]


class RunRow(Base):
    """Stores a run: one RunSpec, resolved. What was used, not what was left to a default.

    Its settings' columns are those of :mod:`promptlab.specs.settings`.
    """

    __tablename__ = "promptlab_runs"
    __table_args__ = (
        Index(None, "experiment", "id"),
        _index_where("ix_promptlab_runs_untracked", "id", "tracked_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    experiment: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), index=True)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    tracked_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]

    model_identity: Mapped[str] = mapped_column(String(80))
    vae_identity: Mapped[str | None] = mapped_column(String(80))
    setting_key: Mapped[str | None] = mapped_column(String(64), index=True)
    scheduler_options: Mapped[dict[str, Any]]
    call_arguments: Mapped[dict[str, Any]]
    device: Mapped[str] = mapped_column(String(32))
    machine: Mapped[dict[str, Any] | None]
    environment_id: Mapped[int] = mapped_column(ForeignKey(EnvironmentRow.id), index=True)

    load_seconds: Mapped[float | None]
    generate_seconds: Mapped[float | None]

    parent_run_id: Mapped[int | None] = mapped_column(ForeignKey("promptlab_runs.id"), index=True)
    changes: Mapped[list[Any]]
    sweep_id: Mapped[int | None] = mapped_column(ForeignKey(SweepRow.id), index=True)
    sweep_place: Mapped[list[Any] | None]
    sweep_values: Mapped[list[Any] | None]
    origin: Mapped[dict[str, Any] | None]
    cut_words: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    workers: Mapped[int | None]
    devices: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    remarks: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))

    environment: Mapped[EnvironmentRow] = relationship()
    variants: Mapped[list[VariantRow]] = relationship(order_by="VariantRow.position")
    images: Mapped[list[ImageRow]] = relationship(
        order_by="ImageRow.position", foreign_keys="ImageRow.run_id", back_populates="run"
    )

    if TYPE_CHECKING:  # columns of the table of settings, added below, that queries name
        dtype: Mapped[str | None]
        num_inference_steps: Mapped[int | None]
        guidance_scale: Mapped[float | None]
        height: Mapped[int | None]
        width: Mapped[int | None]


def _add_setting_columns() -> None:
    """Map the columns that the table of settings names; see :mod:`promptlab.store.spec_columns`."""
    for row in SETTINGS.values():
        if row.column is not None:
            setattr(RunRow, row.column, setting_column(row))


_add_setting_columns()

Index("ix_promptlab_runs_asked", func.coalesce(RunRow.asked_at, RunRow.created_at), RunRow.id)


class VariantRow(Base):
    """Stores one variant of a run, and the MLflow run that shows it."""

    __tablename__ = "promptlab_variants"
    __table_args__ = (UniqueConstraint("run_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey(RunRow.id))
    position: Mapped[int]
    label: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(Text)
    negative_prompt: Mapped[str] = mapped_column(Text)
    template: Mapped[str | None] = mapped_column(Text)
    replacement: Mapped[str | None] = mapped_column(Text)
    source: Mapped[int | None]
    mlflow_run_id: Mapped[str | None] = mapped_column(String(32))


class ImageRow(Base):
    """Stores one image asked for: owed, made or failed. A made one has a whole PNG at ``path``."""

    __tablename__ = "promptlab_images"
    __table_args__ = (
        UniqueConstraint("run_id", "position"),
        _index_where("ix_promptlab_images_unmade", "run_id", "status != 'MADE'"),
        _index_where("ix_promptlab_images_asked_key", "asked_key", "asked_key IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey(RunRow.id))
    position: Mapped[int]
    variant_id: Mapped[int] = mapped_column(ForeignKey(VariantRow.id), index=True)
    seed: Mapped[int] = mapped_column(BigInteger, index=True)
    status: Mapped[str] = mapped_column(String(8))
    recipe_key: Mapped[str] = mapped_column(String(64), index=True)
    path: Mapped[str | None] = mapped_column(Text)
    width: Mapped[int | None]
    height: Mapped[int | None]
    pixel_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    batch: Mapped[int | None]
    slot: Mapped[int | None]
    seconds: Mapped[float | None]
    peak_memory: Mapped[int | None] = mapped_column(BigInteger)
    made_at: Mapped[datetime | None]
    flag: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[str | None] = mapped_column(Text)
    parent_image_id: Mapped[int | None] = mapped_column(ForeignKey("promptlab_images.id"), index=True)

    batch_size: Mapped[int | None]
    asked_key: Mapped[str | None] = mapped_column(String(64))
    decoded_in: Mapped[str | None] = mapped_column(String(16))

    environment_id: Mapped[int | None] = mapped_column(ForeignKey(EnvironmentRow.id), index=True)
    linked_image_id: Mapped[int | None] = mapped_column(ForeignKey("promptlab_images.id"), index=True)

    run: Mapped[RunRow] = relationship(back_populates="images", foreign_keys=[run_id])
    variant: Mapped[VariantRow] = relationship()
    environment: Mapped[EnvironmentRow | None] = relationship()
    parent: Mapped[ImageRow | None] = relationship(remote_side="ImageRow.id", foreign_keys=[parent_image_id])
    linked: Mapped[ImageRow | None] = relationship(remote_side="ImageRow.id", foreign_keys=[linked_image_id])
    verifications: Mapped[list[VerificationRow]] = relationship(order_by="VerificationRow.id")

    if TYPE_CHECKING:  # given below, where the tables that they are read from are known
        stars: Mapped[int | None]
        favourite: Mapped[bool | None]
        scores: Mapped[list[ScoreRow]]
        votes_won: Mapped[int]
        votes_lost: Mapped[int]


class VerificationRow(Base):
    """Stores that an image was made again and compared: what came of it, in which environment."""

    __tablename__ = "promptlab_verifications"

    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey(ImageRow.id), index=True)
    verified_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(16))
    environment_id: Mapped[int] = mapped_column(ForeignKey(EnvironmentRow.id), index=True)
    pixel_sha256: Mapped[str] = mapped_column(String(64))
    differing_pixels: Mapped[int | None]
    greatest_difference: Mapped[int | None]
    mean_difference: Mapped[float | None]
    psnr: Mapped[float | None]
    changes: Mapped[list[Any]]

    environment: Mapped[EnvironmentRow] = relationship()


class ProbeRow(Base):
    """Stores what a batch of one size took in one setting and environment, and whether it fitted."""

    __tablename__ = "promptlab_probes"
    __table_args__ = (UniqueConstraint("setting", "batch_size"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    setting: Mapped[str] = mapped_column(String(64))
    batch_size: Mapped[int]
    fits: Mapped[bool]
    seconds: Mapped[float | None]
    step_seconds: Mapped[float | None]
    peak_memory: Mapped[int | None] = mapped_column(BigInteger)
    probed_at: Mapped[datetime]


class RatingRow(Base):
    """Stores the rating of an image: stars from 1 to 5, a favourite or not.

    A link has its source's.
    """

    __tablename__ = "promptlab_ratings"

    image_id: Mapped[int] = mapped_column(ForeignKey(ImageRow.id), primary_key=True)
    stars: Mapped[int | None]
    favourite: Mapped[bool]
    rated_at: Mapped[datetime]


class ScoreRow(Base):
    """Stores what a model scored an image, one of each scorer. A link has its source's."""

    __tablename__ = "promptlab_scores"

    image_id: Mapped[int] = mapped_column(ForeignKey(ImageRow.id), primary_key=True)
    scorer: Mapped[str] = mapped_column(String(32), primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    value: Mapped[float]
    scored_at: Mapped[datetime]


class VoteRow(Base):
    """Stores that of two images, shown side by side, one was liked better, or neither."""

    __tablename__ = "promptlab_votes"

    id: Mapped[int] = mapped_column(primary_key=True)
    winner_image_id: Mapped[int] = mapped_column(ForeignKey(ImageRow.id), index=True)
    loser_image_id: Mapped[int] = mapped_column(ForeignKey(ImageRow.id), index=True)
    tie: Mapped[bool]
    voted_at: Mapped[datetime]


_SOURCE = func.coalesce(ImageRow.linked_image_id, ImageRow.id)
"""The image that an image is, or is a link to: what was thought of one picture is kept once."""

ImageRow.stars = column_property(select(RatingRow.stars).where(RatingRow.image_id == _SOURCE).scalar_subquery())
ImageRow.favourite = column_property(select(RatingRow.favourite).where(RatingRow.image_id == _SOURCE).scalar_subquery())
ImageRow.votes_won = column_property(
    select(func.count(VoteRow.id)).where(VoteRow.winner_image_id == _SOURCE, ~VoteRow.tie).scalar_subquery()
)
ImageRow.votes_lost = column_property(
    select(func.count(VoteRow.id)).where(VoteRow.loser_image_id == _SOURCE, ~VoteRow.tie).scalar_subquery()
)
ImageRow.scores = relationship(
    ScoreRow, primaryjoin=foreign(ScoreRow.image_id) == _SOURCE, viewonly=True, uselist=True, order_by=ScoreRow.scorer
)
