"""Keeps rows on a PostgreSQL server: our tables alone; MLflow's stay where they are.

The server does what the file system does for a SQLite file: its advisory locks stand for file locks, its own backup
for a copy. A writer's transaction begins with an advisory lock, so that writers come one after the other and what is
read before a row is written still holds when it is; readers see one state throughout. Whatever keeps a server from
being used is one line that says what to type; no password is in it.
"""

from __future__ import annotations

import re
import shlex
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab.errors import InputError, PromptLabError, WorkspaceError, one_line, ref, ref_value
from promptlab.store import migrate
from promptlab.store.address import ServerAddress
from promptlab.store.database import BUSY_TIMEOUT, Database, is_writer, store_errors
from promptlab.store.readonly import PostgresqlReading, PostgresqlWriting, Reading, Writing

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

    from promptlab.store.advisory_locks import AdvisoryLocks

__all__ = ["PostgresqlDatabase"]

WRITERS: Final = 0x70726F6D70746C61
"""The advisory lock that writers take: the letters ``promptla``."""

_CONNECT_TIMEOUT: Final = 10
"""Seconds that a server may take to answer; the address may say otherwise."""

_OLDEST: Final = 13
"""The first that has ``normalize``, by which accents are taken off words."""

_CREATE: Final = "createdb{options} --encoding=UTF8 --template=template0 {name}"
_DUMP: Final = "pg_dump{options} --format=custom --file={file} {address}"
"""PostgreSQL's own commands, as one types them."""

_FITNESS: Final = """
    SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding,
           pg_is_in_recovery() AS standby, current_schema() AS schema, current_user AS role,
           CASE WHEN to_regclass('promptlab_runs') IS NOT NULL
                THEN has_table_privilege(to_regclass('promptlab_runs'), 'INSERT')
                ELSE coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) END AS allowed
"""


class PostgresqlDatabase(Database):
    """Opens the database at ``address``.

    Connections are kept for the next question, and closed with this object.
    """

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._engine: Engine | None = None

    @property
    def name(self) -> str:
        """Return the address, without password and options."""
        return self._address.shown

    @property
    def file(self) -> None:
        """Return None: it is no file."""
        return

    @property
    def is_begun(self) -> bool:
        """Return whether our tables are there."""
        return self.revision() is not None

    def revision(self) -> str | None:
        """See :meth:`Database.revision`."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.engine().connect() as connection:
                return _revision(connection)
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise _refused(self._address, f"cannot be read: {_said(self._address, cause)}") from error

    @contextmanager
    def reading(self, doing: str) -> Iterator[Reading]:
        """See :meth:`Database.reading`."""
        with store_errors(doing), self.engine().connect() as connection:
            yield PostgresqlReading(connection)

    @contextmanager
    def writing(self, doing: str) -> Iterator[Writing]:
        """See :meth:`Database.writing`."""
        with store_errors(doing), self.engine(writes=True).begin() as connection:
            yield PostgresqlWriting(connection)

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
            raise _refused(self._address, f"is PostgreSQL {version}", allowed=f"PostgreSQL {_OLDEST} and newer")
        if found["encoding"] != "UTF8":
            new = _CREATE.format(options=self._address.client_options, name="NAME")
            raise _refused(
                self._address, f"keeps text as {found['encoding']}", allowed="a database of the encoding UTF8", hint=new
            )
        if found["standby"]:
            raise _refused(self._address, "is a standby, which is read-only", allowed="the server that it follows")
        if not found["allowed"]:
            schema, role = found["schema"] or "public", found["role"]
            raise _refused(
                self._address,
                f"does not let {role} write in its schema {schema}",
                hint=f'psql{self._address.client_options} -c \'GRANT ALL ON SCHEMA "{schema}" TO "{role}"\' '
                f"{shlex.quote(self._address.name)} as its owner",
            )

    def upgrade(self) -> str | None:
        """See :meth:`Database.upgrade`. All of it is one transaction, which is there whole or not at all."""
        migrate.check(self.revision(), self.name)
        self.check_writable()
        with store_errors("making its tables"), self.engine(writes=True).begin() as connection:
            revision = _revision(connection)
            migrate.check(revision, self.name)
            if revision != migrate.HEAD:
                migrate.upgrade(connection)
            return revision

    def backup(self, copy: Path | None) -> Path:
        """Refuse: a server has its own backup of all that is in it. The error says how it is called."""
        file = shlex.quote(str(copy or "promptlab.dump"))
        raise InputError(
            "database", self.name, problem="is on a server, which copies it itself",
            hint=_DUMP.format(options=self._address.client_options, file=file, address=shlex.quote(self.name)),
        )  # fmt: skip

    def locks(self) -> AdvisoryLocks:
        """Return the server's own, which hold whatever machine asks."""
        from promptlab.store.advisory_locks import AdvisoryLocks

        return AdvisoryLocks(self.engine)

    def broken_pages(self) -> tuple[str, ...]:
        """Return nothing: PostgreSQL refuses to read a damaged page."""
        return ()

    def dangling_rows(self) -> tuple[tuple[str, int, str], ...]:
        """Return nothing: PostgreSQL's foreign keys cannot be switched off by another program."""
        return ()

    def _made_engine(self) -> Engine:
        from sqlalchemy.exc import SQLAlchemyError

        driver = self._address.driver
        try:
            engine = _engine(self._address.url(), partial(_connection_refused, self._address))
        except (ImportError, SQLAlchemyError) as error:
            known = driver in ("psycopg", "psycopg2", "pg8000")
            problem = f"needs the driver {driver}, which is not installed" if known else f"names no driver: {driver}"
            hint = 'pip install "promptlab[postgresql]"'
            hint += "" if driver == "psycopg" else ", and postgresql://… in the address"
            raise _refused(self._address, problem, hint=hint) from error
        if engine.dialect.is_async:
            raise _refused(
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


def _engine(url: URL, refused: Callable[[Exception], PromptLabError]) -> Engine:
    """Create the engine on a server; nothing is opened yet.

    Args:
        refused: makes a sentence of what the driver says when it cannot connect.

    Raises:
        ImportError, SQLAlchemyError: when there is no such driver.
    """
    from sqlalchemy import create_engine, event

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
        if is_writer(connection):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT:.0f}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")

    return engine


def _login() -> str:
    return f"{ref_value('database_url', 'postgresql://USER:PASSWORD@HOST/NAME')}, or set PGPASSWORD"


def _refused(
    address: ServerAddress, problem: str, *, allowed: str | None = None, hint: str | None = None
) -> WorkspaceError:
    """Return the error that names the address and what is wrong with it."""
    return WorkspaceError("database", address.shown, problem=problem, allowed=allowed, hint=hint)


def _connection_refused(address: ServerAddress, error: Exception) -> WorkspaceError:
    """Return what the driver raised when it could not connect, as a sentence of ours.

    The driver's sentences are recognised by their words, because a connection that never came to be has no error code.
    What is not recognised is said in the driver's own words.
    """
    line, tool = _said(address, error), address.client_options
    if found := re.search(r'password authentication failed for user "([^"]*)"', line):
        return _refused(address, f"does not know {found[1]} with this password", hint=_login())
    if "no password supplied" in line:
        return _refused(address, "asks for a password", hint=_login())
    if found := re.search(r'role "([^"]*)" does not exist', line):
        new = f"createuser{tool} {shlex.quote(found[1])}, or another USER in the address"
        return _refused(address, f"has no user {found[1]}", hint=new)
    if re.search(r'database "[^"]*" does not exist', line):
        new = _CREATE.format(options=tool, name=shlex.quote(address.name))
        return _refused(address, "is not there, though its server is", hint=new)
    if re.search(r"resolve host|translate host name|Name or service not known", line):
        return _refused(
            address,
            f"is on a host that is not known, {address.host}",
            hint=f"{ref('database_url')} with another HOST",
        )
    if re.search(r"Connection refused|No such file or directory|Network is unreachable|No route to host", line):
        return _refused(address, f"cannot be reached: nobody listens at {address.place}", hint=f"pg_isready{tool}")
    if "timeout" in line:
        return _refused(address, f"cannot be reached: {address.place} does not answer", hint=f"pg_isready{tool}")
    if found := re.search(r'invalid connection option "([^"]*)"', line):
        return _refused(address, f"has an option that PostgreSQL does not know, {found[1]}")
    return _refused(address, f"cannot be opened: {line}")


def _said(address: ServerAddress, error: object) -> str:
    """Return an error in one line, without password and without the address, which is said already."""
    line = address.without_secrets(one_line(error))
    return re.sub(r"^connection (failed|is bad): (connection to server (at|on) .*? failed: )?(FATAL: )?", "", line)
