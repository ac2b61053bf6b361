"""MLflow's tables: made once, whole, whoever asks and however many at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from filelock import FileLock

from promptlab.errors import TrackerError
from promptlab.lab import Lab
from promptlab.testing import Painter
from promptlab.tracking import MlflowTracker, internals, schema
from promptlab.tracking.schema import has_schema
from promptlab.workspace import Workspace

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]

PREPARE = """
import sys
from promptlab.tracking import MlflowTracker
from promptlab.workspace import Workspace
MlflowTracker(Workspace.at(sys.argv[1])).prepare()
"""
THREE = """
import os, sys
from promptlab.tracking import MlflowTracker
from promptlab.tracking.schema import import_mlflow_quietly
from promptlab.workspace import Workspace
import_mlflow_quietly()  # once for all three: it takes seconds
import mlflow.store.tracking.sqlalchemy_store
for _ in range(3):
    if os.fork() == 0:
        MlflowTracker(Workspace.at(sys.argv[1])).prepare()
        os._exit(0)
sys.exit(any(os.wait()[1] for _ in range(3)))
"""
KILLED = """
import os, signal, sys
import mlflow.store.db.utils as utils

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(utils, sys.argv[2], killed)
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


def older_tables(database, revision):
    """The tables of an MLflow of an earlier revision, with a run in its first experiment, in a new file."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{database}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(f"sqlite:///{database}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    with closing(sqlite3.connect(database)) as plain:
        plain.execute(
            "INSERT INTO experiments (name, artifact_location, lifecycle_stage) VALUES ('theirs', '/x', 'active')"
        )
        plain.commit()


def test_upgrade_schema_of_an_older_mlflow_keeps_its_rows(tmp_path):
    """Recording into it is refused by a line that says what to type; upgraded, it is recorded into."""
    workspace = Workspace.at(tmp_path)
    older_tables(workspace.database, "5b0e9adcef9c")  # of MLflow 2.14
    tracker = MlflowTracker(workspace)
    with pytest.raises(TrackerError, match=r"older MLflow \(schema 5b0e9adcef9c\).*type.*: promptlab db upgrade$"):
        tracker.prepare()
    maintenance = Lab(workspace, engine=Painter()).maintenance
    before, after = maintenance.upgrade_mlflow()
    assert (before, after, has_schema(workspace)) == ("5b0e9adcef9c", internals.revisions()[1], True)
    assert maintenance.upgrade_mlflow() is None
    (copy,) = tmp_path.glob("mlflow.db.backup-*.bak")
    with closing(sqlite3.connect(copy)) as plain:
        assert plain.execute("SELECT version_num FROM alembic_version").fetchall() == [("5b0e9adcef9c",)]
    tracker.prepare()
    with closing(sqlite3.connect(workspace.database)) as plain:
        assert ("theirs",) in plain.execute("SELECT name FROM experiments").fetchall()
    tracker.close()


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
@pytest.mark.exhaustive
def test_make_schema_by_three_at_once_makes_one_set_of_tables(tmp_path):
    """Without the lock, two of three leave a file half made for good."""
    new = Workspace.at(tmp_path / "new")
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", THREE, new.root], capture_output=True, text=True, env=quiet)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert has_schema(new)
    with closing(sqlite3.connect(new.database)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT name, artifact_location FROM experiments").fetchall() == [
            ("Default", "mlflow-artifacts:/0")
        ]


def names(workspace, kind="table"):
    """The tables (or other things) in a workspace's file, our own and MLflow's."""
    with closing(sqlite3.connect(workspace.database)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = ?", [kind])}


def half_made(workspace):
    """Leave what MLflow's set-up has made of its tables half-way, a table that it renames at the end among it."""
    with closing(sqlite3.connect(workspace.database, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys=OFF")
        for table in sorted(name for name in names(workspace) if not name.startswith(("promptlab_", "sqlite_")))[::2]:
            if table not in ("alembic_version", "experiments"):
                database.execute(f'DROP TABLE "{table}"')
        database.execute("DELETE FROM experiments")
        database.execute("UPDATE alembic_version SET version_num = 'a_step_half_way'")
        database.execute("CREATE TABLE _alembic_tmp_runs (run_uuid)")


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("step", ["_verify_schema", "_upgrade_db"])
def test_make_schema_after_a_killed_one_makes_the_tables(tmp_path, step):
    """Whenever the first command ends: the next makes MLflow's tables whole."""
    new = Workspace.at(tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, new.root, step], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not has_schema(new)
    MlflowTracker(new).prepare()
    assert has_schema(new)


@pytest.mark.slow
def test_make_schema_on_a_full_disk_leaves_nothing_half_made(tmp_path):
    """No more can be written than a few pages: one line, and all is made when there is room."""
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)){PREPARE}"
    said = subprocess.run([sys.executable, "-c", full, tmp_path], capture_output=True, text=True)
    assert "TrackerError: MLflow's tables could not be made in" in said.stderr.splitlines()[-1]
    new = Workspace.at(tmp_path)
    assert names(new) == set()
    MlflowTracker(new).prepare()
    assert has_schema(new)


@pytest.mark.slow
def test_make_schema_over_half_made_tables_makes_them_anew(workspace):
    """Those that an earlier version left; ours, in the same file, are not touched."""
    whole = {kind: names(workspace, kind) for kind in ("table", "index", "trigger", "view")}
    with closing(sqlite3.connect(workspace.database)) as database, database:
        database.execute("INSERT INTO promptlab_environments (hash, created_at, facts) VALUES ('a', 'b', '{}')")
    half_made(workspace)
    assert not has_schema(workspace)
    MlflowTracker(workspace).prepare()
    assert has_schema(workspace)
    assert {kind: names(workspace, kind) for kind in whole} == whole
    with closing(sqlite3.connect(workspace.database)) as database:
        assert database.execute("SELECT count(*) FROM promptlab_environments").fetchone() == (1,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_make_schema_over_tables_with_rows_keeps_them(workspace):
    """Without an experiment and yet not half made: who deleted the last for good may have models."""
    with closing(sqlite3.connect(workspace.database)) as database, database:
        database.execute("DELETE FROM experiments")
        database.execute("INSERT INTO registered_models (name, workspace) VALUES ('mine', 'default')")
    MlflowTracker(workspace).prepare()
    assert has_schema(workspace)
    with closing(sqlite3.connect(workspace.database)) as database:
        assert database.execute("SELECT name FROM registered_models").fetchall() == [("mine",)]
