"""What the tests share: a workspace that is ready in milliseconds, a lab with a painter, a command line."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # whichever test imports it first: promptlab.tracking.schema
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
from promptlab.workspace import Workspace
from tests import postgresql
from tests.fuzzing import PROPERTY
from tests.tracking.without_mlflow import recording
from tests.workspaces import (
    copy_workspace,
    made_once,
    prepared_workspace,
    remember_mlflows_tables,
    share_compiled_statements,
)

share_compiled_statements()
settings.register_profile("house", deadline=None, max_examples=PROPERTY)  # nothing timed: a first call may import torch
settings.load_profile("house")

for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # as a shell has it for what it runs in the background
        signal.signal(number, usual)


def pytest_ignore_collect(collection_path, config):
    """Leave out of ``make check`` what has no quick test: importing these modules takes longer than many tests.

    tests/training imports torch and diffusers to be read at all.
    """
    if config.option.markexpr != "not slow":
        return None
    if collection_path == Path(__file__).parent / "training":
        return True
    if collection_path.name.startswith("test_") and collection_path.suffix == ".py":
        return _ALL_SLOW in collection_path.read_text(encoding="utf-8") or None
    return None


_ALL_SLOW = "\npytestmark = pytest.mark.slow\n"
"""The line by which a module says so."""


_MAKES_A_WORKSPACE = {"prepared_database", "needed_database", "all_tables"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark what writes to a workspace as slow, and leave ``exhaustive`` out where nobody asks for it.

    A run in a workspace takes a fifth of a second, and half a second with MLflow: too long, for hundreds of them, for
    ``make check``. A few tests that are marked quick stay in it. Exhaustive tests are asked for by their marker
    (``-m exhaustive``) or by their full name. Where tests are shared out by groups, as ``make check`` does it, one
    worker alone imports torch.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if not _MAKES_A_WORKSPACE.isdisjoint(fixtures) and not item.get_closest_marker("quick"):
            item.add_marker(pytest.mark.slow)
        if "engine" in fixtures:
            item.add_marker(pytest.mark.xdist_group("torch"))
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


@pytest.fixture(scope="session", autouse=True)
def no_config_file(tmp_path_factory):
    """Take no defaults from the config file of whoever runs the tests."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Leave MLflow out, but where a test is marked ``mlflow``."""
    with recording(in_mlflow=item.get_closest_marker("mlflow") is not None):
        return (yield)


@pytest.fixture(scope="session")
def our_tables(tmp_path_factory):
    """A file with our tables, made once a test run by all migrations."""
    return made_once("ours", tmp_path_factory, Notebook.at)


@pytest.fixture(scope="session")
def all_tables(tmp_path_factory):
    """A file with MLflow's tables and ours, made once a test run: MLflow takes seconds for it."""
    remember_mlflows_tables()

    def make(workspace):
        Notebook.at(workspace)
        MlflowTracker(workspace).prepare()

    return made_once("all", tmp_path_factory, make)


@pytest.fixture(scope="session")
def prepared_database(our_tables):
    """The same. Whoever asks for this one makes something in a workspace, and is marked slow."""
    return our_tables


@pytest.fixture
def needed_database(request):
    """A file with the tables that a test needs."""
    looks_at_mlflow = request.node.get_closest_marker("mlflow") is not None
    return request.getfixturevalue("all_tables" if looks_at_mlflow else "prepared_database")


@pytest.fixture
def workspace(tmp_path, needed_database):
    """A fresh workspace whose tables are there, in a folder with a blank in its name."""
    return prepared_workspace(tmp_path / "work space", needed_database)


@pytest.fixture(scope="session")
def made_workspaces(tmp_path_factory):
    """Hold what :func:`begin_from` and :func:`begin_with` made, and where."""
    return {}, tmp_path_factory.mktemp("made")


@pytest.fixture
def begin_from(made_workspaces, needed_database, workspace, painter):
    """Begin a test with what ``make(lab)`` makes: ``lab = begin_from(make)``.

    It is carried out once in a test run; each test has a copy, and may change it.
    """

    def begun(make):
        made, folder = made_workspaces
        key = make, needed_database
        if key not in made:
            made[key] = prepared_workspace(folder / str(len(made)), needed_database)
            make(Lab(made[key], engine=Painter()))
        copy_workspace(made[key], workspace)
        return Lab(workspace, engine=painter)

    return begun


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
