"""Reads plain SQL, for what is asked most often, and writes the little that is said most often.

Importing SQLAlchemy takes four times as long as everything else that ``promptlab list`` does, so a SQLite file is read
through the standard library, and only a server through SQLAlchemy. A reading changes nothing; a writing is one
transaction. Whoever asks sees one :class:`Reading`: rows are
dicts, JSON is text to be loaded, times go through :func:`promptlab.store.dialects.moment`, truth through ``bool``.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from promptlab.store.dialects import Dialect, PostgresqlDialect, SqliteDialect

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "NO_LIMIT",
    "PostgresqlReading",
    "PostgresqlWriting",
    "Reading",
    "SqliteReading",
    "SqliteWriting",
    "Writing",
]

NO_LIMIT: Final = 2**62
"""A limit that is none: SQLite's ``-1`` is an error to PostgreSQL, and PostgreSQL's ``NULL`` one to SQLite."""


class Reading(ABC):
    """Reads through one open connection, of :meth:`promptlab.store.database.Database.reading`."""

    dialect: ClassVar[Dialect]

    @abstractmethod
    def rows(self, select: str, given: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows of ``select``, in which ``given`` is bound by ``:name``."""


class Writing(Reading):
    """Writes within one transaction, of :meth:`promptlab.store.database.Database.writing`."""

    @abstractmethod
    def write(self, statement: str, given: Mapping[str, Any]) -> None:
        """Carry out ``statement``, in which ``given`` is bound by ``:name``."""


class SqliteReading(Reading):
    """Reads through :mod:`sqlite3`."""

    dialect = SqliteDialect()

    def __init__(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        self._connection = connection

    def rows(self, select: str, given: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """See :meth:`Reading.rows`."""
        return (dict(row) for row in self._connection.execute(select, given or {}))


class SqliteWriting(SqliteReading, Writing):
    """Writes through :mod:`sqlite3`."""

    def write(self, statement: str, given: Mapping[str, Any]) -> None:
        """See :meth:`Writing.write`."""
        self._connection.execute(statement, given)


class PostgresqlReading(Reading):
    """Reads through SQLAlchemy and whichever driver the address names."""

    dialect = PostgresqlDialect()

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, select: str, given: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """See :meth:`Reading.rows`."""
        from sqlalchemy import text

        return (dict(row) for row in self._connection.execute(text(select), dict(given or {})).mappings())


class PostgresqlWriting(PostgresqlReading, Writing):
    """Writes through SQLAlchemy and whichever driver the address names."""

    def write(self, statement: str, given: Mapping[str, Any]) -> None:
        """See :meth:`Writing.write`."""
        from sqlalchemy import text

        self._connection.execute(text(statement), dict(given))
