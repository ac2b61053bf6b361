"""Says what a database can do, so that nobody else asks whether it is a SQLite file or a server.

::

    Database
    ├── SqliteDatabase       the workspace's mlflow.db, or another file (promptlab.store.sqlite)
    └── PostgresqlDatabase   a server (promptlab.store.postgresql)

Both keep one promise: writers come one after the other, readers see one state and wait for nobody, rows point only at
rows that are there, and a schema is brought up to date by one process while the others wait.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import StoreError, WorkspaceError, one_line
from promptlab.store.lock_table import LockTable
from promptlab.store.migrate import HEAD, check
from promptlab.store.readonly import Reading, Writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["BUSY_TIMEOUT", "Database", "is_writer", "store_errors"]

BUSY_TIMEOUT: Final = 30.0
"""Seconds to wait for another writer. MLflow's own is 20 s; no transaction of ours lasts longer than a moment."""


class Database(ABC):
    """Opens the place where the rows are. Making one opens nothing."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return what it is called in a sentence: a path, or an address without its password."""

    @property
    @abstractmethod
    def file(self) -> Path | None:
        """Return the file that all of it is; ``None`` on a server."""

    @property
    @abstractmethod
    def is_begun(self) -> bool:
        """Return whether there is anything to look into."""

    @abstractmethod
    def revision(self) -> str | None:
        """Return the schema revision of our tables; ``None`` where there are none.

        Raises:
            WorkspaceError: when it cannot be asked: no database, damaged, away, refused.
        """

    @abstractmethod
    def reading(self, doing: str) -> AbstractContextManager[Reading]:
        """Open a connection for plain SQL, for as long as the context lasts.

        Raises:
            StoreError: when SQL fails in it: the sentence begins with ``doing``.
        """

    @abstractmethod
    def writing(self, doing: str) -> AbstractContextManager[Writing]:
        """Open a writer's transaction for plain SQL, committed at the end of the context.

        Raises:
            StoreError: when SQL fails in it, a sentence about what it was ``doing``; then nothing is written.
        """

    @abstractmethod
    def engine(self, *, writes: bool = False) -> Engine:
        """Return SQLAlchemy's engine, for whole records.

        Args:
            writes: the transactions are a writer's, of which there is one at a time.
        """

    @abstractmethod
    def check_writable(self) -> None:
        """Check, without writing anything, that it takes rows.

        Raises:
            WorkspaceError: when it does not.
        """

    @abstractmethod
    def upgrade(self) -> str | None:
        """Upgrade the tables to this PromptLab's schema.

        Safe when several commands start at once: others wait.

        Returns:
            The revision it had before; ``None`` when there were no tables of ours.

        Raises:
            WorkspaceError: when a newer PromptLab wrote it, or it cannot be written.
        """

    @abstractmethod
    def backup(self, copy: Path | None) -> Path:
        """Copy all of it, also while others write: to ``copy``, or to a name of its own.

        Raises:
            StoreError: when it cannot be read or written.
            InputError: when it has a tool of its own for this; the sentence says which.
        """

    def locks(self) -> LockTable | None:
        """Return locks that hold among all machines that use it; None where those of files do."""
        return None

    @abstractmethod
    def broken_pages(self) -> tuple[str, ...]:
        """Return what is damaged in the store itself, a line each; nothing when it is sound."""

    @abstractmethod
    def dangling_rows(self) -> tuple[tuple[str, int, str], ...]:
        """Return our rows that point at rows that are not there: table, how many, the table pointed at."""

    def check(self) -> str | None:
        """Check, without writing anything, that this PromptLab can write to it; return its revision.

        Raises:
            WorkspaceError: when it cannot.
        """
        revision = self.revision()
        check(revision, self.name)
        self.check_writable()
        return revision

    def prepare(self) -> None:
        """Create the tables if there are none, upgrade them if they are older; a file is copied first.

        Where nothing may be written, tables that need no upgrade can still be read.

        Raises:
            WorkspaceError: when it is no database, a newer PromptLab's, or must be written and cannot be.
        """
        revision = self.revision()
        check(revision, self.name)
        if revision != HEAD:
            self.check()
            self.upgrade()

    def is_readable(self) -> bool:
        """Return whether there are tables of ours to read.

        Raises:
            WorkspaceError: when it cannot be asked, is a newer PromptLab's, or an older one that wants upgrading.
        """
        revision = self.revision()
        if revision is None:
            return False
        check(revision, self.name)
        if revision != HEAD:
            raise WorkspaceError(
                "database", self.name, problem=f"has the older schema {revision}", allowed=f"schema {HEAD}",
                hint="promptlab db upgrade",
            )  # fmt: skip
        return True


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Translate SQLAlchemy's exceptions into one line: the border of this room.

    Raises:
        StoreError: for every database error inside, a server that went away among them.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except WorkspaceError as error:
        raise StoreError(f"the database failed while {doing}: {error}") from error
    except (SQLAlchemyError, OverflowError, UnicodeError) as error:  # numbers and signs that drivers have no words for
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the database failed while {doing}: {one_line(cause)}") from error


def is_writer(connection: Connection) -> bool:
    """Return whether a transaction on ``connection`` writes: one of ``Database.engine(writes=True)``."""
    return bool(connection.get_execution_options().get("writes", False))
