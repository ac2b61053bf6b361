"""What the tests share: a workspace that is ready in milliseconds, a lab with a painter, a command line."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import sqlite3
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("PROMPTLAB_WAIT", "1")  # no test leaves a process behind: promptlab.cli.telling
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: promptlab.engine.machine.torch_setup
os.environ["PROMPTLAB_KEEP_ALIVE"] = "0"  # commands make pictures in their own process, but where a test says otherwise
os.environ.pop("PROMPTLAB_SERVER", None)

from filelock import FileLock
from hypothesis import settings

from promptlab.lab import Lab
from promptlab.store.notebook import Notebook
from promptlab.testing import Painter
from promptlab.tracking import MlflowTracker
from promptlab.tracking.schema import import_mlflow_quietly
from promptlab.workspace import Workspace
from tests import postgresql

settings.register_profile("house", deadline=None)  # nothing timed is asserted: a first call may import torch
settings.load_profile("house")

for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # as a shell has it for what it runs in the background
        signal.signal(number, usual)


def pytest_ignore_collect(collection_path, config):
    """Leave tests/training out of ``make check``: it imports torch and diffusers to be read at all."""
    if config.option.markexpr == "not slow" and collection_path == Path(__file__).parent / "training":
        return True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark what writes to a workspace with MLflow as slow, and leave ``exhaustive`` out where nobody asks for it.

    Such a workspace takes a third of a second: too long, for hundreds of them, for ``make check``. A few tests that are
    marked quick stay in it. Exhaustive tests are asked for by their marker (``-m exhaustive``) or by their full name.
    Where tests are shared out by groups, as ``make check`` does it, one worker alone imports torch, and one MLflow.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "prepared_database" in fixtures and not item.get_closest_marker("quick"):
            item.add_marker(pytest.mark.slow)
        for library, fixture in (("torch", "engine"), ("mlflow", "prepared_database")):
            if fixture in fixtures:
                item.add_marker(pytest.mark.xdist_group(library))
    if "exhaustive" in config.option.markexpr or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


gc.disable()  # until everything is collected
gc.set_threshold(50_000, 20, 20)  # what holds much memory asks for a collection of its own when it is let go of


def pytest_collection_finish():
    """Look for garbage from now on; see :func:`pytest_runtest_logfinish`."""
    _look_past_modules()
    gc.enable()


def pytest_runtest_logfinish():
    """Have Python's garbage collector look past what a test has imported: it stays to the end.

    Libraries and tests are a million objects. To look at them all again whenever a model is loaded or let go of was
    half of what the suite took.
    """
    if len(sys.modules) > _passed["modules"] + 100:
        _look_past_modules()


_passed = {"modules": 0}


def _look_past_modules():
    _passed["modules"] = len(sys.modules)
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Keep what is remembered of weights and pictures in a folder of the tests, not of whoever runs them."""
    os.environ["PROMPTLAB_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def prepared_database(tmp_path_factory):
    """A database with MLflow's tables and ours, made once a test run: MLflow takes seconds for it."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a worker of pytest-xdist: its siblings share the folder above
        shared = shared.parent
    template = shared / "prepared.db"
    remember_mlflows_tables()
    with FileLock(shared / "prepared.lock"):
        if not template.exists():
            workspace = Workspace.at(shared / "prepared")
            Notebook.at(workspace)
            MlflowTracker(workspace).prepare()
            # Not a copy of the file: MLflow's pool keeps it open, and part of it lies in the write-ahead log beside it.
            with closing(sqlite3.connect(workspace.database)) as source, closing(sqlite3.connect(template)) as plain:
                source.backup(plain)
    return template


def remember_mlflows_tables():
    """Have MLflow make the tables of a new file by its fifty migrations once, and every other file from their outcome.

    Each time would take seconds. Processes that tests start make their own.
    """
    import_mlflow_quietly()
    from mlflow.store.db import utils

    initialize, made = utils._initialize_tables, []

    def initialized(engine):
        if engine.dialect.name != "sqlite":
            initialize(engine)
            return
        if not made:
            initialize(engine)
        with closing(engine.raw_connection()) as connection:
            if not made:
                made.append("\n".join(connection.driver_connection.iterdump()))
                return
            connection.driver_connection.executescript(made[0])

    utils._initialize_tables = initialized


@pytest.fixture
def workspace(tmp_path, prepared_database):
    """A fresh workspace whose tables are there, in a folder with a blank in its name."""
    return prepared_workspace(tmp_path / "work space", prepared_database)


def prepared_workspace(folder, prepared_database):
    space = Workspace.at(folder)
    space.root.mkdir()
    shutil.copy(prepared_database, space.database)
    return space


@pytest.fixture(scope="session")
def made_workspaces(tmp_path_factory):
    """Hold what :func:`begin_from` and :func:`begin_with` made, and where."""
    return {}, tmp_path_factory.mktemp("made")


@pytest.fixture
def begin_from(made_workspaces, prepared_database, workspace, painter):
    """Begin a test with what ``make(lab)`` makes: ``lab = begin_from(make)``.

    It is carried out once in a test run; each test has a copy, and may change it.
    """

    def begun(make):
        made, folder = made_workspaces
        if make not in made:
            made[make] = prepared_workspace(folder / str(len(made)), prepared_database)
            make(Lab(made[make], engine=Painter()))
        copy_workspace(made[make], workspace)
        return Lab(workspace, engine=painter)

    return begun


def copy_workspace(made, to):
    copies = {}

    def copy_file(file, target):
        """What MLflow shows is the very file in the images' folder, by a hard link."""
        number = Path(file).stat().st_ino
        if number in copies:
            os.link(copies[number], target)
        else:
            copies[number] = shutil.copy2(file, target)

    ignored = shutil.ignore_patterns("mlflow.db*")
    shutil.copytree(made.root, to.root, ignore=ignored, copy_function=copy_file, dirs_exist_ok=True)
    # Not a copy of the file: part of a database in use lies in the write-ahead log beside it.
    with closing(sqlite3.connect(made.database)) as source, closing(sqlite3.connect(to.database)) as copy:
        source.backup(copy)


@pytest.fixture
def painter():
    return Painter()


@pytest.fixture
def lab(workspace, painter):
    """The whole of PromptLab but the model: a painter draws."""
    return Lab(workspace, engine=painter)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def unused_port():
    """A port at which nobody listens."""
    return free_port()


@pytest.fixture(scope="session")
def local_ray():
    """A Ray on this machine with four places, for all tests of a process: starting one takes seconds."""
    from promptlab.cluster.connection import connect

    connection = connect(None, workers=4)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def postgresql_server():
    """A PostgreSQL server, and in it the database ``prepared`` with our tables. In CI it may not be missing."""
    if postgresql.programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed; .ci/run installs it")
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    with postgresql.running(free_port()) as server:
        server.create("prepared")
        Notebook.at(Workspace.at("nowhere", server.url("prepared")))
        yield server


@pytest.fixture
def postgresql_url(postgresql_server):
    """The address of a database with our tables and no rows."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgresql_server.create(name, template="prepared")
    yield postgresql_server.url(name)
    postgresql_server.drop(name)


@pytest.fixture
def empty_postgresql_url(postgresql_server):
    """The address of a database in which nothing is."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgresql_server.create(name)
    yield postgresql_server.url(name)
    postgresql_server.drop(name)


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@pytest.fixture
def promptlab(workspace, monkeypatch, capsys):
    """Type a command: ``promptlab("run", "a fox")``. The painter draws; the workspace is the test's own."""
    from promptlab import cli

    monkeypatch.setenv("PROMPTLAB_ENGINE", "painter")
    monkeypatch.setenv("PROMPTLAB_WORKSPACE", str(workspace.root))
    monkeypatch.delenv("PROMPTLAB_DEBUG", raising=False)

    def typed(*words: str) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        said = capsys.readouterr()
        return Said(code=int(left.value.code or 0), out=said.out, err=said.err)

    return typed


@pytest.fixture
def runtime(monkeypatch):
    """Let commands start and find servers, in a folder of the test's own; one that still runs is stopped."""
    from promptlab.serving.connection import request
    from promptlab.serving.discovery import ServerPlace, find
    from tests.serving.running import short_folder

    with short_folder() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        monkeypatch.setenv("PROMPTLAB_ENGINE", "painter")
        monkeypatch.setenv("PROMPTLAB_KEEP_ALIVE", "5")
        here = ServerPlace.here()
        yield here
        address = find(here)
        if address is not None:
            request(address, "POST", "/stop")
        if here.living.exists():
            with FileLock(here.living):  # which a server holds for as long as it lives
                pass
