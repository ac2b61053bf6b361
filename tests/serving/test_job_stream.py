"""A job from its client's side: stopped, left, and with a server that dies in the middle of it."""

import signal
import subprocess
import sys
import threading

import pytest

from promptlab._locks import file_locked
from promptlab.errors import ServerError
from promptlab.lab import Lab
from promptlab.lab.execution.events import ImagesGenerated, Interrupted, JobWaiting, RunStarted, TrackingStarted
from promptlab.records import RunStatus
from promptlab.serving.connection import Endpoint
from promptlab.serving.remote_lab import RemoteLab
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from tests.serving.running import server_process

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=tuple(range(40)), batch_size=4
)
LEFT = """
import os, signal, sys
from pathlib import Path
from promptlab.lab.execution.events import ImagesGenerated
from promptlab.serving.connection import Endpoint
from promptlab.serving.remote_lab import RemoteLab
from tests.serving.test_job_stream import SPEC

def leave(event):
    if isinstance(event, ImagesGenerated):
        os.kill(os.getpid(), signal.SIGKILL)

RemoteLab(lambda _: Endpoint(socket=Path(sys.argv[1])), sys.argv[2]).run(SPEC, watch=leave)
"""


def remote(place, workspace):
    return RemoteLab(lambda _replacing: Endpoint(socket=place.socket, log=place.log), workspace)


def last_run(workspace):
    return Lab(workspace, engine=Painter()).history.find("last").run


@pytest.mark.parametrize("presses", [pytest.param(1, marks=pytest.mark.exhaustive), 2], ids=["once", "twice"])
def test_ctrl_c_in_a_client_stops_its_job(place, workspace, presses):
    """Once, the batch under way is finished; twice, it ends at once. The server goes on and makes the next."""
    heard = []

    def press(event):
        heard.append(event)
        if event == ImagesGenerated(count=3):
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)

    with server_process(place):
        lab = remote(place, workspace)
        with pytest.raises(KeyboardInterrupt):
            lab.run(SPEC, watch=press)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        run = last_run(workspace)
        assert run.status is RunStatus.KILLED
        assert 0 < len(run.made) < 40
        if presses == 1:
            assert Interrupted() in heard
            assert len(run.made) % 4 == 0
        assert lab.resume("last")[0].complete


@pytest.mark.parametrize("happens", ["end", pytest.param("hang up", marks=pytest.mark.exhaustive)])
def test_server_that_is_told_to_end_finishes_the_batch(place, workspace, happens):
    """SIGTERM, and a closed terminal, are Ctrl-C for the job under way; the process ends with nothing left behind."""
    with server_process(place, seed=5, happens=happens) as process:
        with pytest.raises(KeyboardInterrupt):
            remote(place, workspace).run(SPEC)
        assert process.wait() == 0
        assert not place.socket.exists()
    run = last_run(workspace)
    assert run.status is RunStatus.KILLED
    assert 8 <= len(run.made) < 40
    assert len(run.made) % 4 == 0
    assert run.tracked_at is not None


def test_server_that_is_killed_loses_nothing(place, workspace):
    """``kill -9`` in a picture: the client is told in a line, and resume makes the rest."""
    begun = []
    with (
        server_process(place, seed=9, happens="kill"),
        pytest.raises(ServerError, match=r"^the server is gone before the end \(its log: .*\); what was made stays$"),
    ):
        remote(place, workspace).run(SPEC, watch=begun.append)
    assert [event.run.id for event in begun if isinstance(event, RunStarted)] == [1]
    assert last_run(workspace).status is RunStatus.RUNNING
    (run,) = Lab(workspace, engine=Painter()).resume("1")
    assert run.complete


@pytest.mark.mlflow
@pytest.mark.parametrize(
    ("moment", "made"),
    [pytest.param(RunStarted, 0, marks=pytest.mark.exhaustive), (TrackingStarted, 40)],
    ids=["before the first picture", "after the last"],
)
def test_server_that_is_killed_before_or_after_a_picture_loses_nothing(place, workspace, moment, made):
    """What is owed is made, or told to MLflow, by the command that the client names."""

    def kill(event):
        if isinstance(event, moment):
            process.kill()
            process.wait()

    telling = file_locked(workspace.lock, timeout=1, error=ServerError)  # MLflow is told under it: not before the end
    with (
        server_process(place, in_mlflow=True) as process,
        telling,
        pytest.raises(ServerError, match=r"^the server is gone before the end .*; what was made stays$"),
    ):
        remote(place, workspace).run(SPEC, watch=kill)
    assert len(last_run(workspace).made) >= made
    lab = Lab(workspace, engine=Painter())
    lab.resume("1")
    lab.maintenance.sync()
    run = lab.history.find("1").run
    assert (run.complete, run.tracked_at is not None) == (True, True)
    assert lab.maintenance.doctor() == ()


@pytest.mark.mlflow
def test_server_that_is_killed_after_an_early_answer_loses_nothing(place, workspace):
    """The run is whole; MLflow, which was not told yet, is told by sync."""
    telling = file_locked(workspace.lock, timeout=1, error=ServerError)  # MLflow is told under it
    with server_process(place, in_mlflow=True) as process, telling:
        run = RemoteLab(lambda _replacing: Endpoint(socket=place.socket), workspace, early=True).run(SPEC)
        process.kill()
        process.wait()
    lab = Lab(workspace, engine=Painter())
    assert run.complete
    assert lab.history.find("last").run == run
    assert lab.maintenance.sync().runs == (run.id,)


def test_client_that_is_killed_leaves_its_job_to_the_server(place, workspace):
    """It goes on to the end; a job that comes later waits for it."""
    heard = []
    with server_process(place):
        words = [sys.executable, "-c", LEFT, str(place.socket), str(workspace.root)]
        assert subprocess.run(words).returncode == -signal.SIGKILL
        assert remote(place, workspace).resume(watch=heard.append) == ()
    assert isinstance(heard[0], JobWaiting)
    assert last_run(workspace).complete


@pytest.mark.exhaustive
def test_watch_that_raises_ends_the_job(place, workspace):
    """As it does in one process."""

    def burst(event):
        if isinstance(event, ImagesGenerated):
            raise OSError("the terminal is gone")

    with server_process(place):
        with pytest.raises(OSError, match="the terminal is gone"):
            remote(place, workspace).run(SPEC, watch=burst)
        assert remote(place, workspace).resume("last")[0].complete


def test_client_of_a_server_that_is_not_there_says_so(place, tmp_path):
    """Whatever it asks for."""
    place.folder.mkdir(mode=0o700)
    with pytest.raises(ServerError, match=r"does not answer: .*No such file"):
        remote(place, tmp_path).history.count()
    assert list(place.folder.iterdir()) == []


def test_job_that_waits_for_a_server_that_is_killed_is_told_that_it_never_began(place, workspace, tmp_path):
    """There is nothing to resume: it is typed again."""
    told = []

    def ask():
        with pytest.raises(ServerError, match=r"^the server is gone before it began \(its log: .*\); type it again$"):
            remote(place, tmp_path).resume(watch=told.append)
        told.append("gone")

    def watch(event):
        if isinstance(event, RunStarted):
            waiting.start()

    waiting = threading.Thread(target=ask)
    with server_process(place, seed=30, happens="kill"):
        with pytest.raises(ServerError, match="the server is gone before the end"):
            remote(place, workspace).run(SPEC, watch=watch)
        waiting.join()
    assert told == [JobWaiting(ahead=1), "gone"]
