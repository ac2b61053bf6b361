"""Words that text encoders did not see: kept with the run they were cut from.

The column is added and not put in by batch mode, which would make ``promptlab_runs`` anew and drop its triggers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("promptlab_runs", sa.Column("cut_words", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("promptlab_runs", "cut_words")
