"""Creates MLflow's tables in the workspace's file once, and finds them there without MLflow.

MLflow makes them in some fifty steps, each of which stays: whoever ends between two, or two who make them at once,
would leave a file that no MLflow goes on with. So they are made in a file of their own, under the workspace's file
lock, and come into the workspace's file in one transaction: all of them or none.
Whether they are there is read with :mod:`sqlite3` and from the names of MLflow's own migration files: asking MLflow
itself costs its import, and this is asked before every run.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Set
from contextlib import closing, contextmanager
from pathlib import Path

from promptlab._locks import TABLES_TIMEOUT, file_locked
from promptlab.errors import PromptLabError, TrackerError, one_line, ref_value
from promptlab.tracking import internals
from promptlab.workspace import Workspace

__all__ = [
    "close_stores",
    "database_uri",
    "has_schema",
    "import_mlflow_quietly",
    "import_stores",
    "locked",
    "make_schema",
    "translate_errors",
    "upgrade_schema",
]


@contextmanager
def translate_errors(failing: str) -> Iterator[None]:
    """Translate whatever MLflow, SQLite, HTTP or the file system raise into one line of ours."""
    try:
        yield
    except PromptLabError:
        raise
    except Exception as error:
        said = str(error).partition("[SQL:")[0]  # statements say nothing to who reads one line
        raise TrackerError(f"{failing}: {one_line(said) or type(error).__name__}") from error


def database_uri(workspace: Workspace) -> str:
    """Return the workspace's file as MLflow wants it named: absolute, because MLflow caches stores by it.

    Raises:
        TrackerError: when the path has a sign that MLflow would read as something else, and open another file.
    """
    if any(sign in str(workspace.database) for sign in "?%"):
        raise TrackerError(
            f"MLflow cannot open {workspace.database}: a path with ? or % means another file to it; "
            f"type: {ref_value('workspace', 'FOLDER')}"
        )
    return f"sqlite:///{workspace.database}"


def import_mlflow_quietly() -> None:
    """Import mlflow with nothing sent home and nothing printed.

    Files go to a server through the server alone, as :mod:`promptlab.tracking.bounded_http` bounds it.

    What the user's environment says already is left alone.
    """
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    }.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401 - for its effect


def import_stores(*, own: bool) -> None:
    """Import what recording needs. Opens no file and no connection.

    Args:
        own: whether runs are recorded in a workspace's file, by MLflow's own store.
    """
    import_mlflow_quietly()
    import mlflow.tracking.client  # noqa: F401 - for its effect

    if own:
        internals.import_own_stores()


def close_stores(workspace: Workspace) -> None:
    """Close the workspace's file, which MLflow's stores keep open.

    Its write-ahead log goes with the last connection.
    """
    internals.close_stores(database_uri(workspace))


def has_schema(workspace: Workspace) -> bool:
    """Return whether MLflow's tables exist, whole, and of the installed version.

    Imports no mlflow; 1–10 ms.

    Raises:
        TrackerError: when a newer MLflow made them, or an older one: the installed one cannot read them, and must not
            try; a file that somebody's older MLflow shows is upgraded when one asks for it.
    """
    version, (known, head) = _version(workspace), internals.revisions()
    if version in known - {head}:
        raise TrackerError(
            f"{workspace.database} has the tables of an older MLflow (schema {version}), which no longer reads them "
            "once they are upgraded; type, to copy and upgrade the file: promptlab db upgrade"
        )
    if version is not None and known and version not in known:
        raise TrackerError(
            f"{workspace.database} was last opened by a newer MLflow (schema {version}) than the installed one; "
            "type: pip install --upgrade promptlab"
        )
    return version is not None and (version == head or not known)  # of unknown migrations MLflow itself says the rest


def make_schema(workspace: Workspace) -> None:
    """Make MLflow's tables unless they are there. Waits for another process that is making them.

    Raises:
        TrackerError: when the lock is not given up.
        Exception: whatever MLflow and SQLite raise; the caller translates.
    """
    if has_schema(workspace):
        return
    with locked(workspace):
        if not has_schema(workspace):
            _make(workspace)


def upgrade_schema(workspace: Workspace, backup: Callable[[], Path]) -> tuple[str, str] | None:
    """Upgrade the tables of an older MLflow, by its own migrations.

    Args:
        backup: copies the file before anything is changed; called where there is something to upgrade.

    Returns:
        The schema that they had and the one that they have; None where they are not an older MLflow's.

    Raises:
        TrackerError: when MLflow could not; the sentence names the copy.
    """
    version, (known, head) = _version(workspace), internals.revisions()
    if version is None or head is None or version not in known - {head}:
        return None
    with locked(workspace):
        copy = backup()
        with translate_errors(f"MLflow's tables could not be upgraded; {copy} is the file as it was"):
            import_mlflow_quietly()
            internals.upgrade_tables(database_uri(workspace))
    return version, head


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace's file lock. Not to be taken twice by one thread.

    Raises:
        TrackerError: when another process holds it for minutes.
    """
    with file_locked(workspace.lock, timeout=TABLES_TIMEOUT, error=TrackerError):
        yield


def _make(workspace: Workspace) -> None:
    import_mlflow_quietly()
    uri = database_uri(workspace)
    with closing(sqlite3.connect(workspace.database, timeout=30, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # kept by the file; small writes are 2 to 6 times faster
        known = internals.recognises(internals.TABLES)
        if not known or _has_experiments(database) or not _put_new_tables(database):
            internals.open_store(uri)


def _has_experiments(database: sqlite3.Connection) -> bool:
    """Return whether a set-up of MLflow's has ended in this file: its first experiment comes last."""
    named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'experiments'"
    if database.execute(named).fetchone() is None:
        return False
    return database.execute("SELECT 1 FROM experiments").fetchone() is not None


def _put_new_tables(database: sqlite3.Connection) -> bool:
    """Put new tables of MLflow's into the file in one transaction, in place of half-made ones.

    Returns:
        False, with nothing changed, where somebody wrote into a table: those are not half made.
    """
    with tempfile.TemporaryDirectory(prefix="promptlab-mlflow-") as folder:
        new = Workspace.at(folder)
        internals.open_store(database_uri(new))
        database.execute("PRAGMA foreign_keys=OFF")
        database.execute("ATTACH ? AS new", (str(new.database),))
        try:
            database.execute("BEGIN IMMEDIATE")
            seeded = _filled(database, "new")
            written = _filled(database, "main") - seeded
            if written & _tables(database, "new"):
                return False
            for table in _tables(database, "main") - written:
                database.execute(f'DROP TABLE main."{table}"')
            _copy_tables(database, seeded)
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
            database.execute("DETACH new")
    return True


def _copy_tables(database: sqlite3.Connection, seeded: Set[str]) -> None:
    """Copy tables, the rows of those that have any, and then what belongs to tables."""
    query = "SELECT name, sql FROM new.sqlite_master WHERE type {} 'table' AND sql IS NOT NULL"
    for table, statement in database.execute(query.format("=")).fetchall():
        if not table.startswith("sqlite_"):  # SQLite's own come by themselves
            database.execute(statement)
    for table in seeded:
        database.execute(f'INSERT INTO main."{table}" SELECT * FROM new."{table}"')  # noqa: S608 - MLflow's own names
    for _, statement in database.execute(query.format("!=")).fetchall():
        database.execute(statement)


def _filled(database: sqlite3.Connection, schema: str) -> Set[str]:
    """Return the tables, of those that are not ours, that have a row."""
    return {
        table
        for table in _tables(database, schema)
        if database.execute(f'SELECT 1 FROM {schema}."{table}" LIMIT 1').fetchone()  # noqa: S608 - as above
    }


def _tables(database: sqlite3.Connection, schema: str) -> Set[str]:
    """Return the names of the tables that are neither ours nor SQLite's own."""
    names = database.execute(f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table'")  # noqa: S608 - as above
    return {name for (name,) in names if not name.startswith(("promptlab_", "sqlite_"))}


def _version(workspace: Workspace) -> str | None:
    """Return the name of the newest of MLflow's migrations in the file; None before its set-up ended."""
    if not workspace.database.is_file():
        return None
    uri = f"{workspace.database.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as database:
            row = database.execute(
                # MLflow writes its first experiment last: without one, its set-up is still under way.
                "SELECT version_num FROM alembic_version WHERE EXISTS (SELECT 1 FROM experiments)"
            ).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])
