"""Where the rows are: one noun for a SQLite file and for a server, so that nobody else asks which of them it is.

::

    Database
    ├── SqliteFile    the workspace's mlflow.db, or another file (promptlab.store.sqlite)
    └── Server        PostgreSQL (promptlab.store.postgresql)

Both keep one promise: writers come one after the other, readers see one state and wait for nobody, rows point only at
rows that are there, and a schema is brought up to date by one process while the others wait.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import WorkspaceError
from promptlab.store.migrate import HEAD, check
from promptlab.store.readonly import Reading

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["Database"]


class Database(ABC):
    """The rows' home. Making one opens nothing."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in a sentence: a path, or an address without its password."""

    @property
    @abstractmethod
    def file(self) -> Path | None:
        """The file that all of it is; ``None`` on a server."""

    @property
    @abstractmethod
    def is_begun(self) -> bool:
        """Whether there is anything to look into."""

    @abstractmethod
    def revision(self) -> str | None:
        """The schema revision of our tables; ``None`` where there are none.

        Raises:
            WorkspaceError: when it cannot be asked: no database, damaged, away, refused.
        """

    @abstractmethod
    def reading(self, doing: str) -> AbstractContextManager[Reading]:
        """A connection for plain SQL, as long as the context lasts.

        Raises:
            StoreError: when SQL fails in it: the sentence begins with ``doing``.
        """

    @abstractmethod
    def engine(self, *, writes: bool = False) -> Engine:
        """SQLAlchemy's, for whole records.

        Args:
            writes: the transactions are a writer's, of which there is one at a time.
        """

    @abstractmethod
    def check_writable(self) -> None:
        """Make sure, without writing anything, that it takes rows.

        Raises:
            WorkspaceError: when it does not.
        """

    @abstractmethod
    def upgrade(self) -> str | None:
        """Bring the tables to this PromptLab's schema. Safe when several commands start at once: others wait.

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

    @abstractmethod
    def broken_pages(self) -> tuple[str, ...]:
        """What is damaged in the store itself, a line each; nothing when it is sound."""

    @abstractmethod
    def dangling_rows(self) -> tuple[tuple[str, int, str], ...]:
        """Our rows that point at rows that are not there: table, number of rows, the table pointed at."""

    def check(self) -> str | None:
        """Make sure, without writing anything, that this PromptLab can write to it; and give its revision.

        Raises:
            WorkspaceError: when it cannot.
        """
        revision = self.revision()
        check(revision, self.name)
        self.check_writable()
        return revision

    def is_readable(self) -> bool:
        """Whether there are tables of ours to read.

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
