"""Creates MLflow's tables in the workspace's file once, and finds them there without MLflow.

Two processes that make them at once leave a file half made for good, so they are made under the workspace's file lock.
Whether they are there is read with :mod:`sqlite3` and from the names of MLflow's own migration files: asking MLflow
itself costs its import, and this is asked before every run.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from promptlab._locks import TABLES_TIMEOUT, file_locked
from promptlab.errors import PromptLabError, TrackerError, one_line, ref_value
from promptlab.workspace import Workspace

__all__ = ["database_uri", "has_schema", "import_mlflow_quietly", "locked", "make_schema", "translate_errors"]


@contextmanager
def translate_errors(failing: str) -> Iterator[None]:
    """Translate whatever MLflow, SQLite, HTTP or the file system raise into one line of ours."""
    try:
        yield
    except PromptLabError:
        raise
    except Exception as error:
        raise TrackerError(f"{failing}: {one_line(error) or type(error).__name__}") from error


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
    """Import mlflow with nothing sent home, nothing printed, and no minutes of retries.

    What the user's environment says already is left alone.
    """
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    }.items():
        os.environ.setdefault(name, value)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it announces every retry
    import mlflow  # noqa: F401 - for its effect


def has_schema(workspace: Workspace) -> bool:
    """Return whether MLflow's tables exist, whole, and of the installed version.

    Imports no mlflow; 1–10 ms.

    Raises:
        TrackerError: when a newer MLflow made them: the installed one cannot read them, and must not try.
    """
    version, (known, head) = _version(workspace), _revisions()
    if version is not None and known and version not in known:
        raise TrackerError(
            f"{workspace.database} was last opened by a newer MLflow (schema {version}) than the installed one; "
            "type: pip install --upgrade promptlab"
        )
    return version is not None and version == head


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
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with closing(sqlite3.connect(workspace.database, timeout=30)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # kept by the file; small writes are 2 to 6 times faster
    # The store and not the client, because only it lets one say where MLflow's own "Default" experiment keeps its
    # files: otherwise that is the absolute path of the current folder, and a workspace could not be moved.
    SqlAlchemyStore(database_uri(workspace), "mlflow-artifacts:/")  # type: ignore[no-untyped-call]


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


@cache
def _revisions() -> tuple[frozenset[str], str | None]:
    """Return the installed MLflow's migrations, and the newest, which no other comes after."""
    found = find_spec("mlflow")
    if found is None or not found.submodule_search_locations:
        return frozenset(), None
    folder = Path(found.submodule_search_locations[0], "store", "db_migrations", "versions")
    revisions: set[str] = set()
    before: set[str] = set()
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        revisions.update(re.findall(r"""^revision\b[^=]*=\s*["'](\w+)""", text, re.MULTILINE))
        for line in re.findall(r"^down_revision\b[^=]*=(.*)", text, re.MULTILINE):
            before.update(re.findall(r"""["'](\w+)""", line))
    heads = revisions - before
    return frozenset(revisions), heads.pop() if len(heads) == 1 else None
