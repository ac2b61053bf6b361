"""MLflow's pages: up when they are said to be, gone when one is done, and nobody else's port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import psutil
import pytest

from promptlab.errors import InputError, TrackerError
from promptlab.tracking import MlflowTracker, serve, server
from promptlab.workspace import Workspace
from tests.tracking.painting import paint_run, spec, thumbnail
from tests.tracking.test_hosts import check_hosts

pytestmark = pytest.mark.mlflow

SERVE = """
import sys
from promptlab.tracking import serve
from promptlab.workspace import Workspace
try:
    with serve(Workspace.at(sys.argv[1]), host="0.0.0.0", port=0) as server:
        print(server.process.pid, server.url, flush=True)
        server.wait()
except KeyboardInterrupt:
    print("stopped by Ctrl-C", flush=True)
"""


def until(condition, seconds=600.0):
    """Wait, without guessing how long, until ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        threading.Event().wait(0.02)


def fetch(url):
    with urllib.request.urlopen(url, timeout=300) as answer:
        return answer.read()


def artifact(url, run_id, path):
    return fetch(f"{url}/get-artifact?run_uuid={run_id}&path={path}")


@pytest.fixture
def taken():
    """A port at which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        yield other.getsockname()[1]


@pytest.fixture
def no_server(monkeypatch):
    """Fails when a server is started after all."""
    monkeypatch.setattr(server, "_start", lambda *_, **__: pytest.fail("a server was started"))


def test_port_taken_is_refused_with_one_that_is_free(workspace, taken, no_server):
    """MLflow itself would say so in passing and report success."""
    with (
        pytest.raises(InputError, match=rf"port {taken} is taken .*; type: port=\d+"),
        serve(workspace, port=taken),
    ):
        pass


def test_port_not_asked_for_is_the_next_free_one(taken, monkeypatch):
    """Another MLflow may be at the usual port: that is no reason to fail."""
    monkeypatch.setattr(server, "DEFAULT_PORT", taken)
    assert taken < server._free_port("127.0.0.1", None) < taken + server.PORTS_TRIED


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_that_is_none_is_refused(workspace, no_server, port):
    """A clear word before anything starts."""
    with (
        pytest.raises(InputError, match=rf"port {port} is no port; allowed: 1 to 65535"),
        serve(workspace, port=port),
    ):
        pass


def test_host_not_of_this_machine_is_refused(workspace, no_server):
    """One cannot listen at somebody else's address."""
    with pytest.raises(InputError, match=r"host '192\.0\.2\.1' is no address"), serve(workspace, host="192.0.2.1"):
        pass


def test_server_that_ends_at_once_is_one_line(workspace, monkeypatch):
    """With the last thing it said."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(TrackerError, match="did not start: it said nothing"), serve(workspace, port=0):
        pass


def test_server_that_never_answers_is_given_up_and_ended(workspace, monkeypatch, tmp_path):
    """Nothing is left of it either."""
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\necho thinking\nexec sleep 600\n")
    mute.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(mute))
    monkeypatch.setattr(server, "START_SECONDS", 0.5)
    before = psutil.Process().children(recursive=True)  # of other tests of this process, which share them
    with pytest.raises(TrackerError, match=r"did not answer in 0 s: thinking"), serve(workspace, port=0):
        pass
    left = [one for one in psutil.Process().children(recursive=True) if one not in before]
    assert not [one for one in left if one.is_running()]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_server_shows_a_workspace_after_it_was_moved(workspace, tmp_path):
    """Addresses, pictures, the empty case, and the same again from another folder."""
    with serve(workspace, port=0) as one:
        assert one.address() == f"{one.url}/#/experiments"
        run = paint_run(workspace, 1, spec(["x"], [1]))
        ids = MlflowTracker(workspace).record(run, parent=None, thumbnail=thumbnail(workspace, run))
        assert one.address() == one.address("warrior chief")
        assert "/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=promptlab" in one.address()
        assert one.address("nobody's") == f"{one.url}/#/experiments"
        pid, url = one.process.pid, one.url
        members = psutil.Process(pid).children(recursive=True)
    assert members
    assert not any(member.is_running() for member in members)
    assert not psutil.pid_exists(pid)

    moved = Workspace.at(tmp_path / "moved")
    shutil.move(workspace.root, moved.root)
    with serve(moved, port=int(url.rpartition(":")[2])) as two:
        assert two.url == url
        assert artifact(url, ids[0], "grid.png") == moved.grid(1).read_bytes()
        picture = (moved.root / run.images[0].path).read_bytes()
        assert artifact(url, ids[0], "pictures/seed-1.png") == picture
        listed = json.loads(fetch(f"{url}/api/2.0/mlflow/artifacts/list?run_id={ids[0]}&path=images"))["files"]
        assert all(artifact(url, ids[0], urllib.request.quote(file["path"])) == picture for file in listed)
        two.process.kill()
        with pytest.raises(TrackerError, match="MLflow's server has ended"):
            two.wait()


@pytest.mark.exhaustive
def test_server_elsewhere_gets_the_files_uploaded(workspace, tmp_path, all_tables):
    """The same layout, uploaded; telling it twice tells it once."""
    here = Workspace.at(tmp_path / "here")
    run = paint_run(here, 1, spec(["one", "two"], [1, 2]))
    with serve(workspace, port=0) as elsewhere:
        tracker = MlflowTracker(here, elsewhere.url)
        tracker.prepare()
        ids = tracker.record(run, parent=None, thumbnail=thumbnail(here, run))
        assert tracker.record(run, parent=None, thumbnail=thumbnail(here, run)) == ids
        sent = artifact(elsewhere.url, ids[1], "pictures/seed-2.png")
        assert sent == (here.root / run.images[3].path).read_bytes()
        assert artifact(elsewhere.url, ids[1], "grid.png") == here.grid(1).read_bytes()
        listed = json.loads(fetch(f"{elsewhere.url}/api/2.0/mlflow/artifacts/list?run_id={ids[1]}&path=images"))
        assert len(listed["files"]) == 4
    assert not here.database.exists()
    assert {path.name for path in here.root.iterdir()} == {"images", here.tracking_lock(elsewhere.url).name}


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [signal.SIGTERM, *(pytest.param(sent, marks=pytest.mark.exhaustive) for sent in (signal.SIGINT, signal.SIGHUP))],
)
def test_server_refuses_strangers_and_leaves_nothing_running_after_a_signal(workspace, sent):
    """At all addresses of this machine, to its names alone. Ctrl-C goes to the whole foreground group: the server is
    not in it, and is ended by us."""
    ours = subprocess.Popen(
        [sys.executable, "-c", SERVE, workspace.root], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        pid, url = ours.stdout.readline().split()
        members = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children(recursive=True)]
        assert fetch(f"{url}/health") == b"OK"
        check_hosts(url)
        os.killpg(ours.pid, sent)
        said, _ = ours.communicate(timeout=600)
    finally:
        ours.kill()
    assert ("stopped by Ctrl-C" in said) == (sent is signal.SIGINT)
    assert ours.returncode == (0 if sent is signal.SIGINT else 128 + sent)
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in members))
