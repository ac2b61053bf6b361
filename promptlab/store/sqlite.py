"""Rows in a SQLite file: MLflow's, in which our tables stand beside its own, or one of ours alone.

Whatever is asked before a run begins goes through :mod:`sqlite3`; SQLAlchemy is imported for whole records only. The
file is only ever looked at through SQLite: opening and closing it otherwise would take away the locks that other
connections of this process have on it (https://sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import StoreError, WorkspaceError, one_line
from promptlab.store import migrate
from promptlab.store.database import Database
from promptlab.store.readonly import Reading, SqliteReading

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["BUSY_TIMEOUT", "SqliteDatabase", "connect_reading"]

BUSY_TIMEOUT: Final = 30.0
"""Seconds to wait for another writer. MLflow's own is 20 s; no transaction of ours lasts longer than a moment."""

_MOST: Final = 20
"""What SQLite lists of one damage: the first lines tell as much as thousands."""


@dataclass(frozen=True, slots=True)
class SqliteDatabase(Database):
    """The file at ``path``, which need not be there yet."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def file(self) -> Path:
        """The path."""
        return self.path

    @property
    def lock(self) -> Path:
        """The file that is locked while tables are made; MLflow's are made under the same."""
        return self.path.with_name(".promptlab.lock")

    @property
    def is_begun(self) -> bool:
        """Whether the file is there."""
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
            with closing(connect_reading(self.path)) as connection:
                row = connection.execute(f"SELECT version_num FROM {migrate.VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise self._refused(f"cannot be read: {error}") from error
        except sqlite3.DatabaseError as error:
            if "not a database" in str(error):
                raise self._refused("is not a SQLite file", allowed="a file that PromptLab or MLflow made") from error
            raise self._refused(f"is damaged: {error}", hint="put back a backup") from error
        return str(row[0]) if row else None

    @contextmanager
    def reading(self, doing: str) -> Iterator[Reading]:
        """See :meth:`Database.reading`."""
        try:
            with closing(connect_reading(self.path)) as connection:
                yield SqliteReading(connection)
        except sqlite3.Error as error:
            raise StoreError(f"{doing} failed: {error}") from error

    def engine(self, *, writes: bool = False) -> Engine:
        """See :meth:`Database.engine`. A file that may not be written is opened for reading."""
        from promptlab.store.engines import sqlite_engine

        engine = sqlite_engine(self.path)
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
        """See :meth:`Database.upgrade`; an older file is copied first."""
        from filelock import FileLock

        from promptlab.store.engines import sqlite_engine, translated

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.lock, timeout=120):
            revision = self.revision()
            migrate.check(revision, self.name)
            if revision == migrate.HEAD:
                return revision
            if revision is not None:
                self.backup(self._copy_named(revision))
            engine = sqlite_engine(self.path, foreign_keys=False)
            with translated("making its tables"), engine.connect().execution_options(writes=True) as connection:
                migrate.upgrade(connection)
                connection.commit()
            return revision

    def backup(self, copy: Path | None) -> Path:
        """See :meth:`Database.backup`; through SQLite's own. Without a name, it is put beside the file."""
        copy = copy or self._copy_named("backup")
        unfinished = copy.with_name(f"{copy.name}.part")
        try:
            with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(unfinished)) as target:
                source.backup(target)
            shutil.move(unfinished, copy)
        except (sqlite3.Error, OSError) as error:
            unfinished.unlink(missing_ok=True)
            raise StoreError(f"{self.path} could not be copied to {copy}: {one_line(error)}") from error
        return copy

    def broken_pages(self) -> tuple[str, ...]:
        """What ``PRAGMA integrity_check`` says."""
        try:
            with closing(connect_reading(self.path)) as connection:
                lines = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST})")]
        except sqlite3.DatabaseError as error:
            return (str(error),)
        return () if lines == ["ok"] else tuple(lines)

    def dangling_rows(self) -> tuple[tuple[str, int, str], ...]:
        """What ``PRAGMA foreign_key_check`` says; MLflow writes to this file as well, and with keys off."""
        with closing(connect_reading(self.path)) as connection:
            found = connection.execute(
                'SELECT "table", count(*), parent FROM pragma_foreign_key_check GROUP BY "table", parent'
            ).fetchall()
        return tuple((table, count, parent) for table, count, parent in found if migrate.is_ours(table))

    def _copy_named(self, label: str) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        return self.path.with_name(f"{self.path.name}.{label}-{stamp}.bak")

    def _refused(self, problem: str, *, allowed: str | None = None, hint: str = "--workspace FOLDER") -> WorkspaceError:
        return WorkspaceError("database", self.name, problem=problem, allowed=allowed, hint=hint)


def connect_reading(database: Path) -> sqlite3.Connection:
    """A plain connection that changes no row, also where the folder itself may not be written.

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
