"""Scores of images by models that predict what people like: one of each scorer, with the model that gave it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promptlab_scores",
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("scorer", sa.String(32), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("scored_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["promptlab_images.id"], name=op.f("fk_promptlab_scores_image_id")),
        sa.PrimaryKeyConstraint("image_id", "scorer", name=op.f("pk_promptlab_scores")),
    )


def downgrade() -> None:
    op.drop_table("promptlab_scores")
