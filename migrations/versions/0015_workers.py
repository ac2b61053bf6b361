"""How many workers made a run, and on what: null where one process did, and for runs from before.

The columns are added and not put in by batch mode, which would make ``promptlab_runs`` anew and drop its triggers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("promptlab_runs", sa.Column("workers", sa.Integer(), nullable=True))
    op.add_column("promptlab_runs", sa.Column("devices", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("promptlab_runs", "devices")
    op.drop_column("promptlab_runs", "workers")
