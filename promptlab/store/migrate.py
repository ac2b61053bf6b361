"""Which schema a database has, and how it comes to have ours.

A database is one of: *empty* (none of our tables), *current*, *older* (backed up, then upgraded when opened) or *newer*
(refused: an older PromptLab must not write what it does not understand). Telling them apart takes one ``SELECT``;
alembic is imported only when there is something to migrate.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import StoreError, WorkspaceError, one_line

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "HEAD",
    "REVISIONS",
    "VERSION_TABLE",
    "backup",
    "backup_to",
    "check",
    "is_mapped",
    "is_ours",
    "migrations_folder",
    "upgrade",
]

VERSION_TABLE: Final = "promptlab_alembic_version"
REVISIONS: Final[Sequence[str]] = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision this PromptLab knows, oldest first. A test holds this to the migrations folder."""
HEAD: Final = REVISIONS[-1]


def is_ours(table: str | None) -> bool:
    """Whether a table is PromptLab's and not MLflow's."""
    return table is not None and table.startswith("promptlab_")


def is_mapped(table: str | None) -> bool:
    """Whether SQLAlchemy knows the table: all of ours but the full-text index, which is SQLite's own."""
    return is_ours(table) and table is not None and not table.startswith("promptlab_search")


def migrations_folder() -> Path:
    """Alembic's scripts: inside the installed package, or beside it in a checkout.

    Raises:
        WorkspaceError: when the installation holds none.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise WorkspaceError(
        "promptlab", problem="was installed without its migrations", hint="pip install --force-reinstall promptlab"
    )


def check(revision: str | None, database: str) -> None:
    """Refuse a database that a newer PromptLab has written.

    Raises:
        WorkspaceError: naming both versions.
    """
    if revision is not None and revision not in REVISIONS:
        raise WorkspaceError(
            "database", database,
            problem=f"was written by a newer PromptLab (schema {revision})",
            allowed=f"schema {HEAD} and older",
            hint="pip install --upgrade promptlab",
        )  # fmt: skip


def upgrade(connection: Connection) -> None:
    """Bring our tables to :data:`HEAD`. Foreign keys must be off on ``connection``; they are checked afterwards.

    Raises:
        WorkspaceError: when the upgraded rows point at rows that are not there.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        broken = [row for row in connection.exec_driver_sql("PRAGMA foreign_key_check") if is_ours(row[0])]
        if broken:
            raise WorkspaceError(
                "database", str(connection.engine.url.database),
                problem=f"has rows of {broken[0][0]} that point nowhere", hint="put back the backup beside it",
            )  # fmt: skip


def backup(database: Path, label: str) -> Path:
    """Copy a SQLite file that others may be writing to, through SQLite's own backup, and give the copy's path."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return backup_to(database, database.with_name(f"{database.name}.{label}-{stamp}.bak"))


def backup_to(database: Path, copy: Path | None) -> Path:
    """Copy a SQLite file that others may be writing to: to ``copy``, or beside it under a name of its own.

    Raises:
        StoreError: when it cannot be read or written.
    """
    if copy is None:
        return backup(database, "backup")
    unfinished = copy.with_name(f"{copy.name}.part")
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(unfinished)) as target:
            source.backup(target)
        shutil.move(unfinished, copy)
    except (sqlite3.Error, OSError) as error:
        unfinished.unlink(missing_ok=True)
        raise StoreError(f"{database} could not be copied to {copy}: {one_line(error)}") from error
    return copy
