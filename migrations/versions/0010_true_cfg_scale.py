"""The scale of true classifier-free guidance becomes a column; what runs had of it among their arguments moves there.

The column is added and not put in by batch mode, which would make ``promptlab_runs`` anew and drop its triggers. The
text of a setting's key names it among the arguments as before, so keys stay. A value that is no scale, which no
PromptLab refused by its range, stays where it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NAME = "true_cfg_scale"
RUNS = sa.table(
    "promptlab_runs", sa.column("id", sa.Integer), sa.column("call_arguments", sa.JSON), sa.column(NAME, sa.Float)
)


def upgrade() -> None:
    op.add_column("promptlab_runs", sa.Column(NAME, sa.Float(), nullable=True))
    connection = op.get_bind()
    for run_id, arguments in connection.execute(sa.select(RUNS.c.id, RUNS.c.call_arguments)).all():
        value = arguments.get(NAME)
        if isinstance(value, int | float) and value >= 0:
            rest = {name: each for name, each in arguments.items() if name != NAME}
            connection.execute(
                sa.update(RUNS).where(RUNS.c.id == run_id).values({"call_arguments": rest, NAME: float(value)})
            )


def downgrade() -> None:
    connection = op.get_bind()
    columns = sa.select(RUNS.c.id, RUNS.c.call_arguments, RUNS.c[NAME])
    for run_id, arguments, value in connection.execute(columns).all():
        if value is not None:
            rest = {**arguments, NAME: value}
            connection.execute(sa.update(RUNS).where(RUNS.c.id == run_id).values(call_arguments=rest))
    op.drop_column("promptlab_runs", NAME)
