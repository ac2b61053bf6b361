"""Indexes for what is asked of every workspace, however many runs it has: what is owed, what was asked for last.

Three are of the few rows that a condition holds for, and cost the others nothing. SQLite and PostgreSQL both have them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WHERE = {
    "ix_promptlab_images_unmade": ("promptlab_images", "run_id", "status != 'MADE'"),
    "ix_promptlab_images_asked_key": ("promptlab_images", "asked_key", "asked_key IS NOT NULL"),
    "ix_promptlab_runs_untracked": ("promptlab_runs", "id", "tracked_at IS NULL"),
}


def upgrade() -> None:
    for name, (table, column, condition) in WHERE.items():
        where = sa.text(condition)
        op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)
    op.create_index(op.f("ix_promptlab_runs_status"), "promptlab_runs", ["status"])
    op.create_index("ix_promptlab_runs_asked", "promptlab_runs", [sa.text("coalesce(asked_at, created_at)"), "id"])


def downgrade() -> None:
    op.drop_index("ix_promptlab_runs_asked", table_name="promptlab_runs")
    op.drop_index(op.f("ix_promptlab_runs_status"), table_name="promptlab_runs")
    for name, (table, _, _) in WHERE.items():
        op.drop_index(name, table_name=table)
