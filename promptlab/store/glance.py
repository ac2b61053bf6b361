"""A quick look at a SQLite workspace without SQLAlchemy: which schema it has, and the lines of ``promptlab list``.

Importing SQLAlchemy takes four times as long as everything else that ``promptlab list`` does, and a list is what people
ask for most. So the two questions asked before anything else are put in plain SQL through the standard library. This
module only reads; everything that writes, and every whole record, goes through :mod:`promptlab.store.notebook`.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from promptlab.errors import WorkspaceError
from promptlab.records import RunStatus, RunSummary
from promptlab.store.migrate import HEAD, VERSION_TABLE, check
from promptlab.workspace import Workspace

__all__ = ["BUSY_TIMEOUT", "check_workspace", "connect_reading", "is_readable", "revision_of", "summaries"]

BUSY_TIMEOUT: Final = 30.0
"""Seconds to wait for another writer. MLflow's own is 20 s; no transaction of ours lasts longer than a moment."""

_SUMMARIES: Final = """
    SELECT run.id, run.experiment, run.name, run.status, run.created_at, run.scheduler, run.num_inference_steps,
           run.dtype, run.model, run.vae, run.parent_run_id, run.tracked_at IS NOT NULL AS tracked,
           (SELECT prompt FROM promptlab_variants WHERE run_id = run.id ORDER BY position LIMIT 1) AS prompt,
           (SELECT count(*) FROM promptlab_variants WHERE run_id = run.id) AS variants,
           count(image.id) AS images,
           coalesce(sum(image.status = 'MADE'), 0) AS made,
           avg(CASE WHEN image.status = 'MADE' THEN image.seconds END) AS seconds_per_image
    FROM (SELECT * FROM promptlab_runs WHERE :experiment IS NULL OR experiment = :experiment
          ORDER BY id DESC LIMIT :limit) run
    LEFT JOIN promptlab_images image ON image.run_id = run.id
    GROUP BY run.id
    ORDER BY run.id DESC
"""


def revision_of(database: Path) -> str | None:
    """The schema revision of our tables in the file; ``None`` where there is no file, or none of our tables.

    The file is only ever looked at through SQLite: opening and closing it otherwise would take away the locks that
    other connections of this process have on it (https://sqlite.org/howtocorrupt.html, section 2.2).

    Raises:
        WorkspaceError: when the file is no SQLite database or cannot be read.
    """
    try:
        size = database.stat().st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkspaceError(
            "database", str(database), problem=f"cannot be read: {error.strerror}", hint="--workspace FOLDER"
        ) from error
    if size == 0:
        return None
    try:
        with closing(connect_reading(database)) as connection:
            row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise WorkspaceError(
            "database", str(database), problem=f"cannot be read: {error}", hint="--workspace FOLDER"
        ) from error
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise WorkspaceError(
                "database", str(database), problem="is not a SQLite file",
                allowed="a file that PromptLab or MLflow made", hint="--workspace FOLDER",
            ) from error  # fmt: skip
        raise WorkspaceError(
            "database", str(database), problem=f"is damaged: {error}", hint="put back a backup"
        ) from error
    return str(row[0]) if row else None


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


def check_workspace(workspace: Workspace) -> str | None:
    """Make sure, without writing anything, that ``workspace`` can be written to by this PromptLab.

    Returns:
        Its schema revision; ``None`` where there are no tables of ours yet.

    Raises:
        WorkspaceError: when the folder or the file is read-only, the file no database, or a newer PromptLab's.
    """
    workspace.check_writable()
    revision = revision_of(workspace.database)
    check(revision, str(workspace.database))
    if workspace.database.exists() and not os.access(workspace.database, os.W_OK):
        raise WorkspaceError(
            "database", str(workspace.database), problem="is read-only", allowed="a file you may write to",
            hint="--workspace FOLDER",
        )  # fmt: skip
    return revision


def is_readable(database: Path) -> bool:
    """Whether there are tables of ours to read.

    Raises:
        WorkspaceError: when the file is no database, or a newer PromptLab's, or an older one that wants upgrading.
    """
    revision = revision_of(database)
    if revision is None:
        return False
    check(revision, str(database))
    if revision != HEAD:
        raise WorkspaceError(
            "database", str(database), problem=f"has the older schema {revision}", allowed=f"schema {HEAD}",
            hint="promptlab db upgrade",
        )  # fmt: skip
    return True


def summaries(database: Path, *, experiment: str | None = None, limit: int | None = None) -> tuple[RunSummary, ...]:
    """The runs of a workspace, newest first; none where there is no database yet.

    Raises:
        WorkspaceError: when the file is no database, or a newer PromptLab's, or an older one that wants upgrading.
    """
    if not is_readable(database):
        return ()
    with closing(connect_reading(database)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(_SUMMARIES, {"experiment": experiment, "limit": -1 if limit is None else limit})
        return tuple(
            RunSummary(
                **{
                    **dict(row),
                    "status": RunStatus(row["status"]),
                    "created_at": datetime.fromisoformat(row["created_at"]).replace(tzinfo=UTC),
                    "tracked": bool(row["tracked"]),
                }
            )
            for row in rows
        )
