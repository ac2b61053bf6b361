"""A server elsewhere that is not well is waited for as long as is allowed, and nobody else waits with it."""

import os
import signal
import threading
from contextlib import contextmanager

import pytest

from promptlab.cli import promptlab as group
from promptlab.cli.commands import COMMANDS
from promptlab.errors import InputError, TrackerError
from promptlab.models import bundled
from promptlab.tracking import MlflowTracker, bounded_http
from promptlab.tracking.deadlines import Deadlines
from promptlab.tracking.schema import locked
from promptlab.workspace import Workspace
from tests.engine.test_clip import tiny_clip  # noqa: F401 - a fixture
from tests.tracking import stub_server
from tests.tracking.painting import paint_run, spec

UNWELL = {
    "busy for an hour": (stub_server.busy(429, 3600), r"is busy \(status 429, and wants to be left alone for 3600 s\)"),
    "busy until a date": (stub_server.busy(503, "Fri, 31 Dec 2100 23:59:59 GMT"), r"is busy \(status 503\)"),
    "silent": (stub_server.silent, r"does not answer within 0\.3 s"),
    "header byte by byte": (stub_server.drip_header, r"does not answer within 0\.3 s"),
    "body byte by byte": (stub_server.drip_body, r"does not answer within 0\.3 s"),
    "endless": (stub_server.endless, r"answers without an end, with more than 1 MiB"),
    "endless on its way elsewhere": (stub_server.redirect, r"answers without an end, with more than 1 MiB"),
    "no HTTP": (stub_server.garbage, r"cannot be reached"),
}

MINUTES = "600"
"""A deadline that is not reached in a test: what ends then was ended by something else."""


@pytest.fixture(scope="session")
def mini():
    return bundled("mini")


@pytest.fixture
def run(tmp_path):
    return paint_run(Workspace.at(tmp_path / "here"), 1, spec(["x"], [1]))


@pytest.fixture
def workspace_here(tmp_path):
    return Workspace.at(tmp_path / "here")


@pytest.fixture
def impatient(monkeypatch):
    """Waits for tenths of a second, and takes a megabyte."""
    monkeypatch.setenv("PROMPTLAB_TRACKING_TIMEOUT", "0.3")
    monkeypatch.setattr(bounded_http, "LARGEST_BODY", 2**20)


@contextmanager
def all_threads_ended():
    """Fails unless the block leaves no thread of a request behind."""
    yield
    for thread in threading.enumerate():
        if thread.name == "tracking":
            thread.join()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", UNWELL)
def test_server_that_is_not_well_is_not_waited_for(kind, run, workspace_here):
    """Whatever it does, the run is said to be untold in a few words, and no request is left behind."""
    answer, said = UNWELL[kind]
    with stub_server.answering(answer) as (url, asked), all_threads_ended():
        tracker = MlflowTracker(workspace_here, url)
        with pytest.raises(TrackerError, match=f"run 1: the server at {url} {said}$"):
            tracker.record(run, parent=None, thumbnail=b"")
        before = len(asked)
        with pytest.raises(TrackerError, match=said):
            tracker.address()
        assert len(asked) == before  # it is left alone for a minute


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_server_that_answers_slowly_has_one_deadline_for_a_run(run, workspace_here, monkeypatch):
    """Each call is in time; together they are not."""
    monkeypatch.setenv("PROMPTLAB_TRACKING_DEADLINE", "0.4")

    def late(connection, stop):
        stop.wait(0.15)
        body = b'{"experiment": {"experiment_id": "1", "name": "x", "lifecycle_stage": "active"}, "run": {}}'
        connection.sendall(stub_server.JSON + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with stub_server.answering(late) as (url, asked), all_threads_ended():
        with pytest.raises(TrackerError, match=r"does not answer"):
            MlflowTracker(workspace_here, url).record(run, parent=None, thumbnail=b"")
        assert 2 <= len(asked) <= 3


@pytest.mark.slow
def test_server_busy_for_a_moment_is_asked_again(workspace_here):
    """A pause that fits into the deadline is kept: servers that count requests ask for one often."""
    found = b'{"experiments": []}'

    def well(connection, _stop):
        connection.sendall(stub_server.JSON + b"Content-Length: %d\r\n\r\n" % len(found) + found)

    with stub_server.answering(stub_server.busy(429, 0), stub_server.busy(503, "0.1"), well) as (url, asked):
        assert MlflowTracker(workspace_here, url).address() == f"{url}/#/experiments"
    assert len(asked) == 3


@pytest.mark.slow
def test_server_that_is_waited_for_holds_no_lock_of_the_workspace(run, workspace_here, monkeypatch):
    """A run that is recorded in the workspace's own MLflow waits for nothing; one told there waits its turn."""
    monkeypatch.setenv("PROMPTLAB_TRACKING_TIMEOUT", MINUTES)
    free = []

    def meanwhile(_connection, stop):
        with locked(workspace_here):
            free.append(True)
        monkeypatch.setenv("PROMPTLAB_TRACKING_DEADLINE", "0.2")
        other = MlflowTracker(workspace_here, url)
        with pytest.raises(TrackerError, match=r"tracking-\w+\.lock is held by another process"):
            other.record(run, parent=None, thumbnail=b"")
        tracker.interrupt()

    with stub_server.answering(meanwhile) as (url, _):
        tracker = MlflowTracker(workspace_here, url)
        with pytest.raises(TrackerError, match="was not waited for any longer"):
            tracker.record(run, parent=None, thumbnail=b"")
    assert free == [True]


@pytest.mark.slow
def test_server_that_is_waited_for_is_left_at_once_by_ctrl_c(run, workspace_here, monkeypatch):
    """The first Ctrl-C is enough."""
    monkeypatch.setenv("PROMPTLAB_TRACKING_TIMEOUT", MINUTES)

    def press(_connection, stop):
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait()

    with stub_server.answering(press) as (url, _), all_threads_ended(), pytest.raises(KeyboardInterrupt):
        MlflowTracker(workspace_here, url).record(run, parent=None, thumbnail=b"")


@pytest.mark.mlflow
def test_command_whose_server_is_waited_for_is_ended_at_once_by_ctrl_c(promptlab, monkeypatch):
    """The run is whole and said to be untold, and the command is over."""
    monkeypatch.setenv("PROMPTLAB_TRACKING_TIMEOUT", MINUTES)

    def press(_connection, stop):
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait()

    with stub_server.answering(press) as (url, _):
        said = promptlab("run", "a fox", "--tracking-uri", url)
    assert said.code == 130
    assert (
        f"run 1 is whole, but MLflow was not told: MLflow could not be told of run 1: the server at {url} " in said.err
    )
    assert "was not waited for any longer; type: promptlab sync" in said.err
    assert promptlab("sync").out == "MLflow now knows run 1\n"


ASKING = (
    ("run", "a cat", "--no-show"), ("rerun", "1", "--seeds", "5"), ("resume",), ("rate", "1/0", "3"),
    ("favourite", "1/0"), ("compare", "1", "--pairs", "0"), ("effect", "1"),
    ("score", "1", "--score", "clip=CLIP"), ("probe", "--batch-size", "1"), ("sync", "--all"), ("doctor",),
)  # fmt: skip
"""A command line of each command that has a server of MLflow to tell or to ask; ``ui`` serves until Ctrl-C."""


def test_commands_that_ask_a_server_are_all_known():
    """Whichever has the option."""
    has = {name for name in COMMANDS if any(one.name == "tracking_uri" for one in group.commands[name].params)}
    assert {words[0] for words in ASKING} == has - {"ui"}


@pytest.mark.mlflow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "kind", ["silent", *(pytest.param(kind, marks=pytest.mark.exhaustive) for kind in UNWELL if kind != "silent")]
)
def test_commands_end_whatever_the_server_does(kind, promptlab, monkeypatch, tiny_clip):  # noqa: F811
    """Each says in a line or two what was not told, and keeps what it made."""
    monkeypatch.setenv("PROMPTLAB_TRACKING_DEADLINE", "0.5")
    promptlab("run", "a fox", "a dog", "--seeds", "0-1", "--no-show")
    with stub_server.answering(UNWELL[kind][0]) as (url, _), all_threads_ended():
        for words in ASKING:
            said = promptlab(*(word.replace("CLIP", str(tiny_clip)) for word in words), "--tracking-uri", url)
            assert said.code in (0, 1), (words, said)
            assert "unexpected" not in said.err, (words, said)
            assert said.err.count("\n") <= 4, (words, said)
    assert promptlab("sync").code == promptlab("doctor").code == 0


@pytest.mark.parametrize("text", ["-1", "0", "soon", "inf", "nan"])
def test_deadline_that_is_no_time_is_refused(text, monkeypatch, workspace_here):
    """Before anything is made."""
    monkeypatch.setenv("PROMPTLAB_TRACKING_DEADLINE", text)
    with pytest.raises(InputError, match=r"PROMPTLAB_TRACKING_DEADLINE '.*' is no time; allowed: seconds, more than 0"):
        MlflowTracker(workspace_here, "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("said", "call", "telling"),
    [
        ({}, 10, 30),
        ({"MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}, 60, 60),
        ({"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "PROMPTLAB_TRACKING_TIMEOUT": "0.5"}, 0.5, 30),
        ({"PROMPTLAB_TRACKING_DEADLINE": "5"}, 10, 5),
    ],
)
def test_deadlines_are_read_from_the_environment(said, call, telling, monkeypatch):
    """MLflow's own variable counts where ours is not set."""
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "PROMPTLAB_TRACKING_TIMEOUT", "PROMPTLAB_TRACKING_DEADLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert Deadlines.from_environment() == Deadlines(call=call, telling=telling)
