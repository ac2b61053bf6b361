"""Reads which words were varied in a workspace, in plain SQL: for suggestions while one types."""

from __future__ import annotations

from typing import Final

from promptlab.store.database import Database

__all__ = ["rewordings"]

_REWORDINGS: Final = """
    SELECT DISTINCT replacement, template FROM promptlab_variants
    WHERE id > (SELECT coalesce(max(id), 0) - :newest FROM promptlab_variants)
      AND (replacement IS NOT NULL OR template IS NOT NULL)
"""

_NEWEST: Final = 5000
"""Variants that are looked at."""


def rewordings(database: Database) -> tuple[tuple[str | None, str | None], ...]:
    """Return the replacements and templates that the newest variants came of, each pair once.

    Raises:
        StoreError: when it fails while it is read.
    """
    if not database.is_readable():
        return ()
    with database.reading("reading what was tried") as reading:
        rows = reading.rows(_REWORDINGS, {"newest": _NEWEST})
        return tuple((row["replacement"], row["template"]) for row in rows)
