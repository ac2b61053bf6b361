"""How the weights of denoiser and text encoders are held becomes two columns; runs before had them as they are stored.

The columns are added and not put in by batch mode, which would make ``promptlab_runs`` anew and drop its triggers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None

NAMES = ("quantization", "text_encoder_quantization")


def upgrade() -> None:
    for name in NAMES:
        op.add_column("promptlab_runs", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    for name in reversed(NAMES):
        op.drop_column("promptlab_runs", name)
