"""How alembic reaches PromptLab's tables: ours only, in a file that is mostly MLflow's, or on a server.

Without the filter on names, autogenerate would propose to drop MLflow's tables. The connection is handed in by
:mod:`promptlab.store.migrate`; on SQLite with foreign keys off: together with batch mode on a parent table, SQLite
would otherwise delete the children's rows without a word. On a server batch mode alters tables in place.
"""

from __future__ import annotations

from alembic import context

from promptlab.store.migrate import VERSION_TABLE, is_mapped
from promptlab.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    include_name=lambda name, kind, _parents: kind != "table" or is_mapped(name),
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
