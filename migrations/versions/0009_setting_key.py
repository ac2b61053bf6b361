"""The hash of a run's setting becomes a column: runs that differ in words and seeds only are found by it.

The column is added and not put in by batch mode, which would make ``promptlab_runs`` anew and drop its triggers. Runs
that are there get the key that their images were made under. It is computed by the code that computes it for new runs,
and by none of its own: the text that is hashed may never change (``tests/promises/test_golden_files.py`` holds it to
that), because recipe keys in pictures everywhere are made of it. Rows are read as dictionaries; columns that later
revisions add are not there and say nothing, which is what they say of a run that was made before them.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from promptlab.specs import Variant, setting_key
from promptlab.store.spec_columns import decoded, spec_of

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NO_WORDS = (Variant(prompt=""),)
"""Words are not in the key."""

RUNS = sa.table("promptlab_runs", sa.column("id", sa.Integer), sa.column("setting_key", sa.String))


def upgrade() -> None:
    op.add_column("promptlab_runs", sa.Column("setting_key", sa.String(length=64), nullable=True))
    connection = op.get_bind()
    every = sa.text("SELECT * FROM promptlab_runs ORDER BY id")
    for row in connection.execute(every).mappings().all():
        filled = sa.update(RUNS).where(RUNS.c.id == row["id"]).values(setting_key=key_of(dict(row)))
        connection.execute(filled)
    op.create_index(op.f("ix_promptlab_runs_setting_key"), "promptlab_runs", ["setting_key"])


def key_of(row: dict[str, Any]) -> str:
    spec = spec_of(decoded(row), NO_WORDS)
    return setting_key(spec, model_identity=row["model_identity"], vae_identity=row["vae_identity"])


def downgrade() -> None:
    op.drop_index(op.f("ix_promptlab_runs_setting_key"), table_name="promptlab_runs")
    op.drop_column("promptlab_runs", "setting_key")
