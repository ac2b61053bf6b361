"""Tells which schema a database has, and upgrades it to ours.

A database is one of: *empty* (none of our tables), *current*, *older* (upgraded when opened; a file is copied first, a
server does all of it or nothing) or *newer* (refused: an older PromptLab must not write what it does not understand).
Telling them apart takes one ``SELECT``; alembic is imported only when there is something to migrate.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import WorkspaceError

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "HEAD",
    "REVISIONS",
    "VERSION_TABLE",
    "check",
    "is_mapped",
    "is_ours",
    "migrations_folder",
    "upgrade",
]

VERSION_TABLE: Final = "promptlab_alembic_version"


def is_ours(table: str | None) -> bool:
    """Return whether a table is PromptLab's and not MLflow's."""
    return table is not None and table.startswith("promptlab_")


def is_mapped(table: str | None) -> bool:
    """Return whether SQLAlchemy maps the table: ours, but not the full-text index."""
    return is_ours(table) and table is not None and not table.startswith("promptlab_search")


def migrations_folder() -> Path:
    """Return the folder of alembic's scripts: in the installed package, or beside it in a checkout.

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


REVISIONS: Final[Sequence[str]] = tuple(
    sorted(file.name[:4] for file in migrations_folder().glob("versions/[0-9]*.py"))
)
"""Every revision this PromptLab knows, oldest first: the numbers that the files in the migrations folder begin with."""
HEAD: Final = REVISIONS[-1]


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


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Upgrade our tables to the revision ``to``.

    On SQLite, foreign keys must be off; they are checked afterwards.

    Raises:
        WorkspaceError: when the upgraded rows point at rows that are not there.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    if connection.dialect.name == "sqlite":
        broken = [row for row in connection.exec_driver_sql("PRAGMA foreign_key_check") if is_ours(row[0])]
        if broken:
            raise WorkspaceError(
                "database", str(connection.engine.url.database),
                problem=f"has rows of {broken[0][0]} that point nowhere", hint="put back the backup beside it",
            )  # fmt: skip
