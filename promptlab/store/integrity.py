"""Whether a SQLite file holds together, asked of SQLite itself: its pages, its indexes, and rows that point nowhere."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from promptlab.store.glance import connect_reading
from promptlab.store.migrate import is_ours

__all__ = ["broken_pages", "dangling_rows"]

_MOST: Final = 20
"""What SQLite lists of one damage: the first lines tell as much as thousands."""


def broken_pages(database: Path) -> tuple[str, ...]:
    """What ``PRAGMA integrity_check`` says, a line each; nothing when the file is sound."""
    try:
        with closing(connect_reading(database)) as connection:
            lines = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST})")]
    except sqlite3.DatabaseError as error:
        return (str(error),)
    return () if lines == ["ok"] else tuple(lines)


def dangling_rows(database: Path) -> tuple[tuple[str, int, str], ...]:
    """Our rows that point at rows that are not there: table, number of rows, the table pointed at."""
    with closing(connect_reading(database)) as connection:
        found = connection.execute(
            'SELECT "table", count(*), parent FROM pragma_foreign_key_check GROUP BY "table", parent'
        ).fetchall()
    return tuple((table, count, parent) for table, count, parent in found if is_ours(table))
