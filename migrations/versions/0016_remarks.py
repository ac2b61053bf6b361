"""What the libraries said of weights that were left out, or made up: kept with the runs that were made with them.

The column is added and not put in by batch mode, which would make ``promptlab_runs`` anew and drop its triggers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("promptlab_runs", sa.Column("remarks", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("promptlab_runs", "remarks")
