"""LoRAs, textual inversions, weighted prompts, variation seeds: how a run was steered beyond words and a scale.

Columns are added one by one and not in batch mode, which would make ``promptlab_runs`` anew and drop its triggers.
Two call arguments become columns; what runs had of them moves there.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "loras": sa.JSON(none_as_null=True),
    "embeddings": sa.JSON(none_as_null=True),
    "weighting": sa.Boolean(),
    "clip_skip": sa.Integer(),
    "guidance_rescale": sa.Float(),
    "variation_seed": sa.BigInteger(),
    "variation_strength": sa.Float(),
    "guidance_until": sa.Float(),
}
FORMER_ARGUMENTS = ("clip_skip", "guidance_rescale")

RUNS = sa.table(
    "promptlab_runs", sa.column("id", sa.Integer), sa.column("call_arguments", sa.JSON),
    *(sa.column(name, COLUMNS[name]) for name in FORMER_ARGUMENTS),
)  # fmt: skip


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("promptlab_runs", sa.Column(name, kind, nullable=True))
    connection = op.get_bind()
    for run_id, arguments in connection.execute(sa.select(RUNS.c.id, RUNS.c.call_arguments)).all():
        moved = {name: arguments[name] for name in FORMER_ARGUMENTS if arguments.get(name) is not None}
        if moved:
            rest = {name: value for name, value in arguments.items() if name not in moved}
            connection.execute(sa.update(RUNS).where(RUNS.c.id == run_id).values(call_arguments=rest, **moved))


def downgrade() -> None:
    connection = op.get_bind()
    columns = [RUNS.c[name] for name in FORMER_ARGUMENTS]
    for run_id, arguments, *values in connection.execute(sa.select(RUNS.c.id, RUNS.c.call_arguments, *columns)).all():
        moved = {name: value for name, value in zip(FORMER_ARGUMENTS, values, strict=True) if value is not None}
        if moved:
            connection.execute(sa.update(RUNS).where(RUNS.c.id == run_id).values(call_arguments={**arguments, **moved}))
    for name in reversed(COLUMNS):
        op.drop_column("promptlab_runs", name)
