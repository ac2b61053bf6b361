"""An MLflow server elsewhere: told, killed in the middle of a run, back again, synced; and its password kept."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing, suppress

import pytest

from promptlab.errors import InputError, TrackerError
from promptlab.lab import Lab
from promptlab.lab.execution.events import ImagesGenerated, TrackingFailed
from promptlab.lab.maintenance.doctor import FindingKind
from promptlab.records import RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.tracking import MlflowTracker, TrackingAddress
from promptlab.workspace import Workspace
from tests.tracking.painting import paint_run, spec

pytestmark = pytest.mark.mlflow

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"), Variant(prompt="a cat")), seeds=(0, 1),
    batch_size=2,
)  # fmt: skip


class Elsewhere:
    """``mlflow server`` with a store of its own, that can be killed and started again on the same port."""

    def __init__(self, folder, port, database):
        self.store, self.port, self.log = folder / "mlflow.db", port, folder / "log"
        self.url = f"http://127.0.0.1:{port}"
        self._folder, self._process = folder, None
        folder.mkdir()
        self.store.write_bytes(database.read_bytes())

    def start(self):
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", f"sqlite:///{self.store}", "--workers", "1"),
            *("--artifacts-destination", str(self._folder / "artifacts")),
        ]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, env=environment, start_new_session=True
            )
        end = time.monotonic() + 600
        while not self._answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            threading.Event().wait(0.1)

    def _answers(self):
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
            return answer.status == 200
        return False

    def kill(self):
        """At once, with nothing said; it and its worker are a session of their own."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def content(self):
        """All that it has: every row, and every file with its bytes and its time."""
        with closing(sqlite3.connect(self.store)) as connection:
            rows = list(connection.iterdump())
        files = sorted(path for path in (self._folder / "artifacts").rglob("*") if path.is_file())
        return rows, [(path, path.stat().st_mtime_ns, path.read_bytes()) for path in files]


@pytest.fixture
def elsewhere(tmp_path, all_tables, unused_port):
    server = Elsewhere(tmp_path / "elsewhere", unused_port, all_tables)
    yield server
    server.kill()


@pytest.fixture
def no_credentials(monkeypatch):
    """What addresses hand over is taken back after the test."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")


@pytest.mark.slow
@pytest.mark.usefixtures("no_credentials")
@pytest.mark.exhaustive
def test_server_killed_in_the_middle_of_a_run_is_synced_when_it_is_back(elsewhere, workspace, promptlab):
    """The run is whole and said to be unsynced; sync tells it, once; and the password is nowhere."""
    elsewhere.start()
    address = elsewhere.url.replace("//", "//me:s3cret@")
    lab = Lab(workspace, engine=Painter(), tracking_uri=address)
    first, heard = lab.run(SPEC), []
    assert first.tracked_at is not None

    def kill_between_pictures(event):
        heard.append(event)
        if event == ImagesGenerated(count=3):
            elsewhere.kill()

    run = lab.run(SPEC.vary(num_inference_steps=9), parent=first, watch=kill_between_pictures)
    assert (run.status, len(run.made), run.tracked_at) == (RunStatus.FINISHED, 4, None)
    reason = f"MLflow could not be told of run 2: the server at {elsewhere.url} refuses the connection"
    assert [event for event in heard if isinstance(event, TrackingFailed)] == [TrackingFailed(run_id=2, reason=reason)]
    assert [finding.kind for finding in lab.maintenance.doctor()] == [FindingKind.MLFLOW]
    asked = ("--tracking-uri", address)
    said = promptlab("sync", *asked)
    assert (said.code, f"the server at {elsewhere.url} refuses the connection" in said.err) == (1, True)

    elsewhere.start()
    said = promptlab("sync", *asked)
    assert (said.code, said.out, said.err) == (0, "MLflow now knows run 2\n", "")
    before = elsewhere.content()
    assert promptlab("sync", *asked).out == "MLflow knows every run already\n"
    assert elsewhere.content() == before
    assert len(before[1]) > 20
    assert promptlab("doctor", *asked).out == "healthy: 2 runs, 8 pictures, and MLflow agree\n"
    shown = promptlab("ui", "--mlflow", *asked).out
    assert shown.startswith(f"MLflow shows the pictures at {elsewhere.url}/#/experiments/1/runs?")
    with closing(sqlite3.connect(workspace.database)) as connection:
        written = "\n".join((*connection.iterdump(), *before[0])).encode()
    written += b"".join(path.read_bytes() for path in workspace.root.rglob("*.png")) + elsewhere.log.read_bytes()
    assert b"s3cret" not in written + repr((lab.tracker, heard)).encode() + shown.encode()


def test_server_away_during_a_run_is_said_in_one_line(promptlab, workspace, unused_port):
    """The exit code is that of a run that is whole; the line says what to type, without the password."""
    address = f"http://127.0.0.1:{unused_port}"
    said = subprocess.run(
        [sys.executable, "-m", "promptlab", "run", "a fox", "--tracking-uri", address.replace("//", "//me:s3cret@")],
        capture_output=True, text=True, env=dict(os.environ), cwd=workspace.root,
    )  # fmt: skip
    assert (said.returncode, "run 1: 1 image" in said.stdout) == (0, True)
    assert said.stderr == (
        "promptlab: run 1 is whole, but MLflow was not told: MLflow could not be told of run 1: "
        f"the server at {address} refuses the connection; type: promptlab sync --tracking-uri {address}\n"
    )
    assert promptlab("sync").out == "MLflow now knows run 1\n"


def test_server_silent_is_not_waited_for_twice(workspace, monkeypatch, unused_port):
    """One who accepts and never answers costs the time MLflow is given once, whatever else is to be told."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    run = paint_run(workspace, 1, spec(["x"], [1]))
    tracker = MlflowTracker(workspace, f"http://127.0.0.1:{unused_port}")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", unused_port))
        silent.listen()
        with pytest.raises(TrackerError, match=r"run 1: the server at .* does not answer"):
            tracker.record(run, parent=None, thumbnail=b"")
    with pytest.raises(TrackerError, match=r"run 1: the server at .* does not answer"):  # nobody listens there now
        tracker.record(run, parent=None, thumbnail=b"")


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize(
    ("typed", "url", "name", "password"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", None, None),
        ("https://mlflow.example/team/", "https://mlflow.example/team", None, None),
        ("https://me:pass%40word@mlflow.example", "https://mlflow.example", "me", "pass@word"),
        ("http://me@[::1]:5000/", "http://[::1]:5000", "me", None),
    ],
)
def test_tracking_address_has_name_and_password_taken_out(typed, url, name, password, workspace):
    """They go where MLflow looks for them; what can be shown has neither."""
    address = TrackingAddress.read(typed)
    assert (address.url, address.username, address.password) == (url, name, password)
    assert address == TrackingAddress.read(typed)
    assert "pass" not in repr(address)
    tracker = MlflowTracker(workspace, typed)
    assert tracker.tracking_uri == url
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == (password or "")


def test_tracking_address_of_another_kind_is_refused(workspace):
    """A database elsewhere would get rows that say where this machine keeps its files."""
    with pytest.raises(InputError, match=r"'sqlite:///x\.db' is no http or https address"):
        MlflowTracker(workspace, "sqlite:///x.db")
    with pytest.raises(InputError, match="is no http or https address"):
        Lab(Workspace.at("nowhere"), tracking_uri="databricks")
