"""How the machine carried a run out, batches that were made smaller for want of memory, and what was probed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promptlab_probes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("setting", sa.String(length=64), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("step_seconds", sa.Float(), nullable=True),
        sa.Column("peak_memory", sa.BigInteger(), nullable=True),
        sa.Column("probed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promptlab_probes")),
        sa.UniqueConstraint("setting", "batch_size", name=op.f("uq_promptlab_probes_setting_batch_size")),
    )
    with op.batch_alter_table("promptlab_runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("machine", sa.JSON(), nullable=True))
    with op.batch_alter_table("promptlab_images", schema=None) as batch_op:
        batch_op.add_column(sa.Column("batch_size", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("asked_key", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("decoded_in", sa.String(length=16), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("promptlab_images", schema=None) as batch_op:
        batch_op.drop_column("decoded_in")
        batch_op.drop_column("asked_key")
        batch_op.drop_column("batch_size")
    with op.batch_alter_table("promptlab_runs", schema=None) as batch_op:
        batch_op.drop_column("machine")
    op.drop_table("promptlab_probes")
