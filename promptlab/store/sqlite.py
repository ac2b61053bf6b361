"""Keeps rows in a SQLite file: MLflow's, beside its own tables, or one of ours alone.

WAL, so that readers and writers do not wait for each other; foreign keys on; a busy timeout of 30 s; and ``BEGIN
IMMEDIATE`` for what writes: a transaction that starts as a reader and then writes is refused at once, timeout or not,
when another has written meanwhile.

Whatever is asked before a run begins goes through :mod:`sqlite3`; SQLAlchemy is imported for whole records only. The
file is only ever looked at through SQLite: opening and closing it otherwise would take away the locks that other
connections of this process have on it (https://sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab._locks import TABLES_TIMEOUT, file_locked
from promptlab.errors import StoreError, WorkspaceError, one_line, ref_value
from promptlab.store import migrate
from promptlab.store.database import BUSY_TIMEOUT, Database, is_writer, store_errors
from promptlab.store.readonly import Reading, SqliteReading, SqliteWriting, Writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["SqliteDatabase", "connect_readonly", "lacks_room"]

_MOST: Final = 20
"""What SQLite lists of one damage: the first lines tell as much as thousands."""

_ROOM: Final = 64 * 1024
"""Bytes that a log and its index need before anything can be read."""


@dataclass(frozen=True, slots=True)
class SqliteDatabase(Database):
    """Opens the file at ``path``, which need not be there yet."""

    path: Path

    @property
    def name(self) -> str:
        """Return the path."""
        return str(self.path)

    @property
    def file(self) -> Path:
        """Return the path."""
        return self.path

    @property
    def lock(self) -> Path:
        """Return the file that is locked while tables are made; MLflow's are made under the same lock."""
        return self.path.with_name(".promptlab.lock")

    @property
    def is_begun(self) -> bool:
        """Return whether the file is there."""
        return self.path.exists()

    def revision(self) -> str | None:
        """See :meth:`Database.revision`; ``None`` also where there is no file."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refused(f"cannot be read: {error.strerror}") from error
        if size == 0:
            return None
        try:
            with closing(connect_readonly(self.path)) as connection:
                row = connection.execute(f"SELECT version_num FROM {migrate.VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            if lacks_room(self.path.parent):  # its write-ahead log's index has to be made
                raise self._refused("cannot be read: its disk is full", hint="df -h .") from error
            raise self._refused(f"cannot be read: {error}") from error
        except (sqlite3.DatabaseError, UnicodeError) as error:  # also of what SQLite says of it, in its bytes
            if "not a database" in str(error):
                raise self._refused("is not a SQLite file", allowed="a file that PromptLab or MLflow made") from error
            raise self._refused(f"is damaged: {error}", hint="put back a backup") from error
        return str(row[0]) if row else None

    @contextmanager
    def reading(self, doing: str) -> Iterator[Reading]:
        """See :meth:`Database.reading`."""
        try:
            with closing(connect_readonly(self.path)) as connection:
                yield SqliteReading(connection)
        except (sqlite3.Error, UnicodeError, JSONDecodeError) as error:  # the last two of a damaged file
            raise StoreError(f"{doing} failed: {error}") from error

    @contextmanager
    def writing(self, doing: str) -> Iterator[Writing]:
        """See :meth:`Database.writing`."""
        try:
            with closing(_connect_writer(self.path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield SqliteWriting(connection)
                connection.execute("COMMIT")  # closed without, nothing was written
        except (sqlite3.Error, OverflowError, UnicodeError) as error:  # as store_errors has it
            raise StoreError(f"the database failed while {doing}: {error}") from error

    def engine(self, *, writes: bool = False) -> Engine:
        """See :meth:`Database.engine`. A file that may not be written is opened for reading."""
        engine = _engine(self.path)
        return engine.execution_options(writes=True) if writes else engine

    def check_writable(self) -> None:
        """See :meth:`Database.check_writable`."""
        if self.path.exists():
            if not os.access(self.path, os.W_OK):
                raise self._refused("is read-only", allowed="a file you may write to")
            return
        nearest = next(folder for folder in self.path.parents if folder.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
            raise self._refused("cannot be made: its folder is read-only", allowed="a folder you may write to")

    def upgrade(self) -> str | None:
        """See :meth:`Database.upgrade`; an older file is copied first.

        Invariant: in one transaction, begun before alembic looks, which would commit each step: nobody sees a schema
        between the one before and ours, and none is left by a process that is killed.
        """
        with file_locked(self.lock, timeout=TABLES_TIMEOUT, error=StoreError):
            revision = self.revision()
            migrate.check(revision, self.name)
            if revision == migrate.HEAD:
                return revision
            if revision is not None:
                self.backup(self._copy_named(revision))
            engine = _engine(self.path, foreign_keys=False)
            with (
                store_errors("making its tables"),
                engine.connect().execution_options(writes=True) as connection,
                connection.begin(),
            ):
                migrate.upgrade(connection)
            return revision

    def backup(self, copy: Path | None) -> Path:
        """See :meth:`Database.backup`; through SQLite's own. Without a name, it is put beside the file."""
        wanted = copy or self._copy_named("backup")
        unfinished = wanted.with_name(f"{wanted.name}.{os.getpid()}.part")
        try:
            with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(unfinished)) as target:
                source.backup(target)
            return _put(unfinished, wanted)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self.path} could not be copied to {wanted}: {one_line(error)}") from error
        finally:
            with suppress(OSError):  # after Ctrl-C, too
                unfinished.unlink(missing_ok=True)

    def broken_pages(self) -> tuple[str, ...]:
        """Return what ``PRAGMA integrity_check`` says."""
        try:
            with closing(connect_readonly(self.path)) as connection:
                lines = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST})")]
        except sqlite3.DatabaseError as error:
            return (str(error),)
        return () if lines == ["ok"] else tuple(lines)

    def dangling_rows(self) -> tuple[tuple[str, int, str], ...]:
        """Return what ``PRAGMA foreign_key_check`` says of our tables; MLflow's may be what it cannot check."""
        counted = 'SELECT "table", count(*), parent FROM pragma_foreign_key_check(?) GROUP BY parent'
        try:
            with closing(connect_readonly(self.path)) as connection:
                tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
                ours = [(name,) for (name,) in tables if migrate.is_ours(name)]
                return tuple(row for name in ours for row in connection.execute(counted, name).fetchall())
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path} is damaged, or not what it was: {error}") from error

    def _copy_named(self, label: str) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        return self.path.with_name(f"{self.path.name}.{label}-{stamp}.bak")

    def _refused(self, problem: str, *, allowed: str | None = None, hint: str | None = None) -> WorkspaceError:
        hint = hint or ref_value("workspace", "FOLDER")
        return WorkspaceError("database", self.name, problem=problem, allowed=allowed, hint=hint)


def _put(unfinished: Path, wanted: Path) -> Path:
    """Give a whole copy its name, or one with a number where that is taken: nothing is written over.

    Raises:
        OSError: when it cannot be.
    """
    name, number = wanted, 1
    while True:
        try:
            os.link(unfinished, name)
        except OSError:
            if not name.exists():  # no links here
                return unfinished.replace(name)
        else:
            return name
        number += 1
        name = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")


def lacks_room(folder: Path) -> bool:
    """Return whether the disk of ``folder`` is full; a file that cannot be read then is not broken."""
    import shutil

    try:
        return shutil.disk_usage(folder).free < _ROOM
    except OSError:
        return False


def connect_readonly(database: Path) -> sqlite3.Connection:
    """Open a plain connection that changes no row, also where the folder itself may not be written.

    Where it may, the file is opened for writing all the same: after a crash somebody has to bring the write-ahead log
    home, and a reader that cannot would see the file without it, or in pieces.
    """
    address = database.resolve().as_uri()
    if os.access(database, os.W_OK) and os.access(database.parent, os.W_OK):
        connection = sqlite3.connect(f"{address}?mode=rw", uri=True, timeout=BUSY_TIMEOUT)
        connection.execute("PRAGMA query_only=ON")
        return connection
    connection = sqlite3.connect(f"{address}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError:  # a write-ahead log in a read-only folder: its index cannot be made
        connection.close()
        connection = sqlite3.connect(f"{address}?immutable=1", uri=True)
    return connection


def _connect_writer(database: Path) -> sqlite3.Connection:
    """Open a plain connection to an existing file, set as :func:`_engine` sets its own."""
    address = f"{database.resolve().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _engine(path: Path, *, foreign_keys: bool = True) -> Engine:
    """Return the engine on an existing or new file, which the first connection makes, in WAL mode.

    A file that may not be written, or whose folder may not, is opened for reading.

    Args:
        foreign_keys: off for migrations only (see :mod:`promptlab.store.migrate`).
    """
    read_only = path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    return _engine_of(path, foreign_keys=foreign_keys, read_only=read_only)


@lru_cache(maxsize=16)
def _engine_of(path: Path, *, foreign_keys: bool, read_only: bool) -> Engine:
    """Create an engine, once in a process: it keeps the SQL of our statements, and no connection.

    Putting a record's statements into words takes longer than carrying them out, which a server that opens the same
    file for each command would do anew.
    """
    from sqlalchemy import URL, NullPool, create_engine, event

    address = URL.create("sqlite", database=str(path))
    if read_only:
        return create_engine(address, creator=lambda: connect_readonly(path), poolclass=NullPool)
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

    @event.listens_for(engine, "invalidate")
    def _roll_back(connection: Any, _record: Any, _error: Any) -> None:
        """Give up the lock after Ctrl-C: closing alone does so once no statement of the connection is left."""
        with suppress(sqlite3.Error):
            connection.rollback()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer(connection) else "BEGIN")

    return engine
