"""SQLAlchemy engines, the way this notebook needs them, and the border at which their exceptions become one line.

SQLite: WAL, so that readers and writers do not wait for each other; foreign keys on; a busy timeout of 30 s; and
``BEGIN IMMEDIATE`` for what writes: a transaction that starts as a reader and then writes is refused at once, timeout
or not, when another has written meanwhile.

PostgreSQL: the same by its own means. A writer's transaction begins with an advisory lock, so that writers come one
after the other and what is read before a row is written still holds when it is; readers see one state throughout.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from promptlab.errors import PromptLabError, StoreError, WorkspaceError, one_line
from promptlab.store.sqlite import BUSY_TIMEOUT, connect_reading

__all__ = ["WRITERS", "postgresql_engine", "sqlite_engine", "translated"]

WRITERS: Final = 0x70726F6D70746C61
"""The advisory lock that writers take: the letters ``promptla``."""

_CONNECT_TIMEOUT: Final = 10
"""Seconds that a server may take to answer; the address may say otherwise."""


def sqlite_engine(database: Path, *, foreign_keys: bool = True) -> Engine:
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
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")

    return engine


def postgresql_engine(url: URL, refused: Callable[[Exception], PromptLabError]) -> Engine:
    """The engine on a PostgreSQL server; nothing is opened yet.

    Args:
        refused: makes a sentence of what the driver says when it cannot connect.

    Raises:
        ImportError, SQLAlchemyError: when there is no such driver.
    """
    waiting = {} if "connect_timeout" in url.query or "psycopg" not in url.drivername else {
        "connect_timeout": _CONNECT_TIMEOUT
    }  # fmt: skip
    engine = create_engine(url, connect_args=waiting, pool_pre_ping=True, isolation_level="REPEATABLE READ")

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: Any, positional: Any, named: Any) -> Any:
        try:
            return dialect.connect(*positional, **named)
        except dialect.loaded_dbapi.Error as error:
            raise refused(error) from error

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if _writes(connection):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT:.0f}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")

    return engine


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn SQLAlchemy's exceptions into one line: the border of this room.

    Raises:
        StoreError: for every database error inside, a server that went away among them.
    """
    try:
        yield
    except WorkspaceError as error:
        raise StoreError(f"the database failed while {doing}: {error}") from error
    except (SQLAlchemyError, OverflowError, UnicodeError) as error:  # numbers and signs that drivers have no words for
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the database failed while {doing}: {one_line(cause)}") from error


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("writes", False))
