"""Where the configuration of a model in a single file was said to be; nothing where it was told from the file.

The column is added and not put in by batch mode, which would make ``promptlab_runs`` anew and drop its triggers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("promptlab_runs", sa.Column("config", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("promptlab_runs", "config")
