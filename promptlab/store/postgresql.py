"""Rows on a PostgreSQL server: our tables alone; MLflow's stay where they are.

The server does what the file system does for a SQLite file: its advisory locks stand for file locks, its own backup
for a copy. Whatever keeps it from being opened is one line that says what to type; no password is in it.
"""

from __future__ import annotations

import shlex
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, ref_value
from promptlab.store import migrate
from promptlab.store.address import ServerAddress
from promptlab.store.database import Database
from promptlab.store.readonly import PostgresqlReading, Reading
from promptlab.store.refusals import connection_refused, refused, said

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["PostgresqlDatabase"]

_OLDEST: Final = 13
"""The first that has ``normalize``, by which accents are taken off words."""

_FITNESS: Final = """
    SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding,
           pg_is_in_recovery() AS standby, current_schema() AS schema, current_user AS role,
           CASE WHEN to_regclass('promptlab_runs') IS NOT NULL
                THEN has_table_privilege(to_regclass('promptlab_runs'), 'INSERT')
                ELSE coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) END AS allowed
"""


class PostgresqlDatabase(Database):
    """The database at ``address``. Connections are kept for the next question, and closed with this object."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._engine: Engine | None = None

    @property
    def name(self) -> str:
        """The address, without password and options."""
        return self._address.shown

    @property
    def file(self) -> None:
        """None."""
        return

    @property
    def is_begun(self) -> bool:
        """Whether our tables are there."""
        return self.revision() is not None

    def revision(self) -> str | None:
        """See :meth:`Database.revision`."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.engine().connect() as connection:
                return _revision(connection)
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise refused(self._address, f"cannot be read: {said(self._address, cause)}") from error

    @contextmanager
    def reading(self, doing: str) -> Iterator[Reading]:
        """See :meth:`Database.reading`."""
        from promptlab.store.engines import translated

        with translated(doing), self.engine().connect() as connection:
            yield PostgresqlReading(connection)

    def engine(self, *, writes: bool = False) -> Engine:
        """See :meth:`Database.engine`."""
        if self._engine is None:
            self._engine = self._made_engine()
            weakref.finalize(self, self._engine.dispose)
        if not writes:
            return self._engine
        # What a writer reads is what was committed before it got the lock, not before it began to wait for it.
        return self._engine.execution_options(writes=True, isolation_level="READ COMMITTED")

    def check_writable(self) -> None:
        """See :meth:`Database.check_writable`."""
        with self.reading("looking at the server") as reading:
            (found,) = reading.rows(_FITNESS)
        version = int(found["version"]) // 10_000
        if version < _OLDEST:
            raise refused(self._address, f"is PostgreSQL {version}", allowed=f"PostgreSQL {_OLDEST} and newer")
        if found["encoding"] != "UTF8":
            new = f"createdb{self._address.client_options} --encoding=UTF8 --template=template0 NAME"
            raise refused(
                self._address, f"keeps text as {found['encoding']}", allowed="a database of the encoding UTF8", hint=new
            )
        if found["standby"]:
            raise refused(self._address, "is a standby, which is read-only", allowed="the server that it follows")
        if not found["allowed"]:
            schema, role = found["schema"] or "public", found["role"]
            raise refused(
                self._address,
                f"does not let {role} write in its schema {schema}",
                hint=f'psql{self._address.client_options} -c \'GRANT ALL ON SCHEMA "{schema}" TO "{role}"\' '
                f"{shlex.quote(self._address.name)} as its owner",
            )

    def upgrade(self) -> str | None:
        """See :meth:`Database.upgrade`. All of it is one transaction, which is there whole or not at all."""
        from promptlab.store.engines import translated

        migrate.check(self.revision(), self.name)
        self.check_writable()
        with translated("making its tables"), self.engine(writes=True).begin() as connection:
            revision = _revision(connection)
            migrate.check(revision, self.name)
            if revision != migrate.HEAD:
                migrate.upgrade(connection)
            return revision

    def backup(self, copy: Path | None) -> Path:
        """A server has its own backup, which knows of all that is in it: this says how it is called."""
        file = shlex.quote(str(copy or "promptlab.dump"))
        raise InputError(
            "database", self.name, problem="is on a server, which copies it itself",
            hint=f"pg_dump{self._address.client_options} --format=custom --file={file} {shlex.quote(self.name)}",
        )  # fmt: skip

    def broken_pages(self) -> tuple[str, ...]:
        """None that could be asked for: PostgreSQL refuses to read a damaged page."""
        return ()

    def dangling_rows(self) -> tuple[tuple[str, int, str], ...]:
        """None: PostgreSQL's foreign keys cannot be switched off by another program."""
        return ()

    def _made_engine(self) -> Engine:
        from sqlalchemy.exc import SQLAlchemyError

        from promptlab.store.engines import postgresql_engine

        driver = self._address.driver
        try:
            engine = postgresql_engine(self._address.url(), partial(connection_refused, self._address))
        except (ImportError, SQLAlchemyError) as error:
            known = driver in ("psycopg", "psycopg2", "pg8000")
            problem = f"needs the driver {driver}, which is not installed" if known else f"names no driver: {driver}"
            hint = 'pip install "promptlab[postgresql]"'
            hint += "" if driver == "psycopg" else ", and postgresql://… in the address"
            raise refused(self._address, problem, hint=hint) from error
        if engine.dialect.is_async:
            raise refused(
                self._address,
                f"names {driver}, which is for asynchronous programs",
                hint=ref_value("database_url", "postgresql://…"),
            )
        return engine


def _revision(connection: Connection) -> str | None:
    table = migrate.VERSION_TABLE
    if connection.exec_driver_sql(f"SELECT to_regclass('{table}')").scalar() is None:
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {table}").scalar()  # noqa: S608 - likewise
    return None if found is None else str(found)
