"""MLflow's tables: made once, whole, whoever asks and however many at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from filelock import FileLock

from promptlab.errors import TrackerError
from promptlab.tracking import MlflowTracker, schema
from promptlab.tracking.schema import has_schema
from promptlab.workspace import Workspace

PREPARE = """
import sys
from promptlab.tracking import MlflowTracker
from promptlab.workspace import Workspace
MlflowTracker(Workspace.at(sys.argv[1])).prepare()
"""
LOOK = """
import sys
from promptlab.tracking.schema import make_schema
from promptlab.workspace import Workspace
make_schema(Workspace.at(sys.argv[1]))
assert "mlflow" not in sys.modules
assert "sqlalchemy" not in sys.modules
"""


def test_has_schema_finds_tables_without_mlflow(workspace):
    """The command that only starts the server need not import MLflow itself."""
    done = subprocess.run([sys.executable, "-c", LOOK, workspace.root], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_has_schema_in_an_empty_folder_is_false(tmp_path):
    """Nothing is made by looking."""
    assert not has_schema(Workspace.at(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_has_schema_of_our_tables_alone_is_false(tmp_path):
    """Our tables lie in the same file, and may have come first."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("CREATE TABLE promptlab_runs (id)")
    assert not has_schema(Workspace.at(tmp_path))


def test_has_schema_of_a_set_up_under_way_is_false(workspace):
    """MLflow writes its first experiment last."""
    with closing(sqlite3.connect(workspace.database)) as database, database:
        database.execute("DELETE FROM experiments")
    assert not has_schema(workspace)


def test_has_schema_of_a_newer_mlflow_is_refused(workspace):
    """It cannot be read, and trying could harm it."""
    with closing(sqlite3.connect(workspace.database)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    with pytest.raises(TrackerError, match=r"newer MLflow \(schema from_the_future\).*type: pip install"):
        MlflowTracker(workspace).prepare()


def test_make_schema_in_a_file_that_is_no_database_is_one_line(tmp_path):
    """And at once: MLflow alone would try for minutes."""
    (tmp_path / "mlflow.db").write_bytes(b"no database, whatever its name" * 100)
    with pytest.raises(TrackerError, match=r"could not be made in .*mlflow\.db: file is not a database"):
        MlflowTracker(Workspace.at(tmp_path)).prepare()


@pytest.mark.parametrize("name", ["what?", "100%20"])
def test_database_uri_that_means_another_file_is_refused(tmp_path, name):
    """``?`` and ``%`` would make MLflow write beside the workspace."""
    with pytest.raises(TrackerError, match=r"a path with \? or %"):
        MlflowTracker(Workspace.at(tmp_path / name)).prepare()
    assert [path.name for path in tmp_path.iterdir()] in ([], [name])


def test_locked_for_minutes_is_said(tmp_path, monkeypatch):
    """Waiting for ever is no answer."""
    monkeypatch.setattr(schema, "TABLES_TIMEOUT", 0.05)
    empty = Workspace.at(tmp_path)
    with FileLock(empty.lock), pytest.raises(TrackerError, match="is held by another process"):
        MlflowTracker(empty).prepare()


@pytest.mark.slow
def test_make_schema_by_three_at_once_makes_one_set_of_tables(tmp_path):
    """Without the lock, two of three leave a file half made for good."""
    new = Workspace.at(tmp_path / "new")
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE, new.root], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=quiet
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=600)[0].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert said == ["", "", ""]
    assert has_schema(new)
    with closing(sqlite3.connect(new.database)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT name, artifact_location FROM experiments").fetchall() == [
            ("Default", "mlflow-artifacts:/0")
        ]
