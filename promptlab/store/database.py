"""One SQLAlchemy engine on one SQLite file, the way this notebook needs it.

WAL, so that readers and writers do not wait for each other; foreign keys on; a busy timeout of 30 s; and
``BEGIN IMMEDIATE`` for what writes: a transaction that starts as a reader and then writes is refused at once, timeout
or not, when another has written meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from promptlab.errors import StoreError, one_line
from promptlab.store.glance import BUSY_TIMEOUT, connect_reading

__all__ = ["open_sqlite", "translated"]


def open_sqlite(database: Path, *, foreign_keys: bool = True) -> Engine:
    """The engine on an existing or new SQLite file; the file is made, in WAL mode, by the first connection.

    A file that may not be written, or whose folder may not, is opened for reading.

    ``foreign_keys`` are off for migrations only (see :mod:`promptlab.store.migrate`).
    """
    address = URL.create("sqlite", database=str(database))
    if database.exists() and not (os.access(database, os.W_OK) and os.access(database.parent, os.W_OK)):
        return create_engine(address, creator=lambda: connect_reading(database), poolclass=NullPool)
    engine = create_engine(
        address,
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
        poolclass=NullPool,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, below; sqlite3 says nothing on its own
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"foreign_keys={'ON' if foreign_keys else 'OFF'}"):
            connection.execute(f"PRAGMA {pragma}").fetchone()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn SQLAlchemy's exceptions into one line: the border of this room.

    Raises:
        StoreError: for every database error inside.
    """
    try:
        yield
    except (SQLAlchemyError, OverflowError) as error:  # sqlite3 has no words for numbers beyond its own
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the database failed while {doing}: {one_line(cause)}") from error
