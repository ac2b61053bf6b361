"""Sweeps, and images that are links to earlier ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promptlab_sweeps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("dimensions", sa.JSON(), nullable=False),
        sa.Column("mlflow_run_id", sa.String(length=32), nullable=True),
        sa.Column("tracked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promptlab_sweeps")),
        sa.UniqueConstraint("uid", name=op.f("uq_promptlab_sweeps_uid")),
    )
    op.create_index(op.f("ix_promptlab_sweeps_key"), "promptlab_sweeps", ["key"], unique=False)
    with op.batch_alter_table("promptlab_images", schema=None) as batch_op:
        batch_op.add_column(sa.Column("environment_id", sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f("ix_promptlab_images_environment_id"), ["environment_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_promptlab_images_environment_id"), "promptlab_environments", ["environment_id"], ["id"]
        )
        batch_op.add_column(sa.Column("linked_image_id", sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f("ix_promptlab_images_linked_image_id"), ["linked_image_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_promptlab_images_linked_image_id"), "promptlab_images", ["linked_image_id"], ["id"]
        )

    with op.batch_alter_table("promptlab_runs", schema=None) as batch_op:
        batch_op.alter_column("status", existing_type=sa.String(length=8), type_=sa.String(length=16))
        batch_op.add_column(sa.Column("asked_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("sweep_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("sweep_place", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("sweep_values", sa.JSON(), nullable=True))
        batch_op.create_index(batch_op.f("ix_promptlab_runs_sweep_id"), ["sweep_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_promptlab_runs_sweep_id"), "promptlab_sweeps", ["sweep_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("promptlab_runs", schema=None) as batch_op:
        batch_op.alter_column("status", existing_type=sa.String(length=16), type_=sa.String(length=8))
        batch_op.drop_constraint(batch_op.f("fk_promptlab_runs_sweep_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_promptlab_runs_sweep_id"))
        batch_op.drop_column("sweep_values")
        batch_op.drop_column("sweep_place")
        batch_op.drop_column("sweep_id")
        batch_op.drop_column("asked_at")

    with op.batch_alter_table("promptlab_images", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_promptlab_images_linked_image_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_promptlab_images_linked_image_id"))
        batch_op.drop_column("linked_image_id")
        batch_op.drop_constraint(batch_op.f("fk_promptlab_images_environment_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_promptlab_images_environment_id"))
        batch_op.drop_column("environment_id")

    op.drop_table("promptlab_sweeps")
