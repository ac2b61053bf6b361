"""Verifications of images, and runs that were taken in from elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promptlab_verifications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("verified_at", sa.DateTime(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("pixel_sha256", sa.String(length=64), nullable=False),
        sa.Column("differing_pixels", sa.Integer(), nullable=True),
        sa.Column("greatest_difference", sa.Integer(), nullable=True),
        sa.Column("mean_difference", sa.Float(), nullable=True),
        sa.Column("psnr", sa.Float(), nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["promptlab_environments.id"],
            name=op.f("fk_promptlab_verifications_environment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["promptlab_images.id"], name=op.f("fk_promptlab_verifications_image_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promptlab_verifications")),
    )
    op.create_index(op.f("ix_promptlab_verifications_image_id"), "promptlab_verifications", ["image_id"], unique=False)
    op.create_index(
        op.f("ix_promptlab_verifications_environment_id"), "promptlab_verifications", ["environment_id"], unique=False
    )
    with op.batch_alter_table("promptlab_runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("origin", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("promptlab_runs", schema=None) as batch_op:
        batch_op.drop_column("origin")
    op.drop_table("promptlab_verifications")
