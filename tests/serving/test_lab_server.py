"""What a server does between jobs and beside them."""

import os
import shutil
import signal
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from promptlab import __version__
from promptlab._locks import file_locked
from promptlab.engine import NO_PERMISSIONS, Permissions
from promptlab.errors import PromptLabError, ServerError, UnknownValue
from promptlab.lab import Lab, PromptEdit
from promptlab.lab.execution.events import RunStarted, TrackingFailed
from promptlab.serving.connection import request
from promptlab.serving.job_stream import carry_out
from promptlab.serving.jobs import Job, QueueClosed
from promptlab.serving.lab_server import LabServer
from promptlab.serving.messages import JobRequest
from promptlab.serving.remote_lab import RemoteLab
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.wire import encode
from tests.serving.running import running_server

SPEC = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(0, 1))


class Patient(Painter):
    """Paints once it may, and keeps what it was permitted."""

    def __init__(self):
        super().__init__()
        self.may, self.begun, self.permitted = threading.Event(), threading.Event(), []

    def resolve(self, specs, *, permissions=NO_PERMISSIONS):
        self.permitted.append(permissions)
        return super().resolve(specs, permissions=permissions)

    def _paint(self, request, **where):
        self.begun.set()
        self.may.wait()
        return super()._paint(request, **where)


def job_of(workspace):
    return Job(JobRequest(verb="resume", workspace=workspace), {}, theirs="0")


@pytest.fixture
def patient():
    return Patient()


@pytest.fixture
def busy(patient, workspace):
    """What finds a server that is at a picture until ``patient.may`` is set."""
    with running_server(patient) as find:
        job = threading.Thread(target=lambda: RemoteLab(find, workspace).run(SPEC))
        job.start()
        patient.begun.wait()
        yield find
        patient.may.set()
        job.join()


def test_lookups_beside_a_job_do_not_wait_for_it(busy, patient, workspace):
    """The run that is being made is found while it is made; the status names the job."""
    lab = RemoteLab(busy, workspace)
    assert lab.history.find("last").run.owed
    assert lab.history.count() == (1, 0)
    assert not patient.may.is_set()
    (job,) = request(busy(), "GET", "/jobs")["jobs"]
    assert (job["verb"], job["ahead"]) == ("run", 0)


def test_flood_of_jobs_is_carried_out_in_order(busy, patient, tmp_path):
    """Two hundred wait behind one that takes long; all are told their place, and all are answered."""
    places, answers = [], []

    def ask(number):
        heard = []
        answers.append(RemoteLab(busy, tmp_path / str(number)).resume(watch=heard.append))
        places.append(heard[0].ahead)

    flood = [threading.Thread(target=ask, args=(number,)) for number in range(200)]
    for each in flood:
        each.start()
    while len(request(busy(), "GET", "/jobs")["jobs"]) < 201:
        pass
    assert request(busy(), "GET", "/status")["status"]["jobs_done"] == 0
    patient.may.set()
    for each in flood:
        each.join()
    assert answers == [()] * 200
    assert sorted(places) == list(range(1, 201))


def test_permission_to_unpickle_is_of_one_request(patient, workspace):
    """The next request has it only where it says so itself."""
    patient.may.set()
    with running_server(patient) as find:
        RemoteLab(find, workspace, allow_pickle=True).plan([SPEC])
        RemoteLab(find, workspace).plan([SPEC])
    assert patient.permitted == [Permissions(allow_pickle=True), Permissions(allow_pickle=False)]


def test_password_of_a_tracking_uri_is_of_one_request(served, workspace, unused_port):
    """It is in the environment while the job lasts, for MLflow to find, and not afterwards."""
    heard = []
    lab = RemoteLab(served, workspace, tracking_uri=f"http://name:secret@127.0.0.1:{unused_port}")
    run = lab.run(SPEC, watch=heard.append)
    assert (run.complete, run.tracked_at) == (True, None)
    (failed,) = [event for event in heard if isinstance(event, TrackingFailed)]
    assert "secret" not in failed.reason
    assert lab.tracking_uri == f"http://127.0.0.1:{unused_port}"
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


def test_sync_with_a_server_elsewhere_waits_for_the_job_under_way(busy, patient, workspace, unused_port):
    """Whose password is in the environment meanwhile, for MLflow to find: it is not shown to another server."""
    lab = RemoteLab(busy, workspace, tracking_uri=f"http://127.0.0.1:{unused_port}")
    assert lab.history.count() == (1, 0)  # which asks no MLflow

    def tell():
        with suppress(PromptLabError):  # nobody listens there
            lab.maintenance.sync()

    sync = threading.Thread(target=tell)
    sync.start()
    while len(request(busy(), "GET", "/jobs")["jobs"]) < 2:
        pass
    patient.may.set()
    sync.join()


def test_status_tells_model_memory_jobs_and_time_left(served, workspace):
    """What ``promptlab server status`` says."""

    def status():
        return request(served(), "GET", "/status")["status"]

    assert (status().get("model"), status()["jobs_done"]) == (None, 0)
    RemoteLab(served, workspace, keep_alive=2.0).run(SPEC)
    assert (status()["model"], status()["jobs_done"], status()["keep_alive"]) == ("mini", 1, 2.0)
    assert 0 < status()["seconds_left"] <= 120
    assert status()["memory"] > 10**6


@pytest.mark.mlflow
def test_run_is_answered_early_before_mlflow_is_told(painter, workspace):
    """Its grid is drawn, nobody waits any more, and MLflow is told all the same."""
    telling = file_locked(workspace.lock, timeout=1, error=ServerError)  # MLflow is told under it
    with running_server(painter) as find, telling:
        run = RemoteLab(find, workspace, early=True).run(SPEC)
        assert (run.complete, run.tracked_at) == (True, None)
        assert workspace.grid(run.id).is_file()
        assert request(find(), "GET", "/jobs")["jobs"] == []
    assert Lab(workspace, engine=painter).history.find("last").run.tracked_at is not None


@pytest.mark.mlflow
def test_failure_of_mlflow_after_an_early_answer_is_told_to_the_next_job(painter, workspace, tmp_path):
    """Of the same workspace, once; not to a plan, of which nobody hears what happens meanwhile."""
    with closing(sqlite3.connect(workspace.database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of a newer MLflow'")
    told, again, elsewhere = [], [], []
    with running_server(painter) as find:
        lab = RemoteLab(find, workspace, early=True)
        run = lab.run(SPEC)
        RemoteLab(find, tmp_path / "other").resume(watch=elsewhere.append)
        lab.plan([SPEC])
        assert lab.resume(watch=told.append) == lab.resume(watch=again.append) == ()
    assert [event.run_id for event in told if isinstance(event, TrackingFailed)] == [run.id]
    assert not [event for event in again + elsewhere if isinstance(event, TrackingFailed)]


@pytest.mark.mlflow
def test_workspace_that_was_deleted_is_begun_anew(served, workspace, needed_database):
    """Nothing of it stays open in a server: rows, pictures and MLflow's pages are those of the new folder."""
    for _ in range(2):
        lab = RemoteLab(served, workspace)
        run = lab.run(SPEC)
        assert (run.id, run.complete) == (1, True)
        assert lab.maintenance.doctor() == ()
        shutil.rmtree(workspace.root)
        workspace.root.mkdir()
        shutil.copy(needed_database, workspace.database)


def test_server_whose_code_has_changed_ends_after_its_job(tmp_path):
    """What it was asked for is made; the next client finds no server, and starts another."""
    server = LabServer(Painter, is_outdated=lambda: True)
    with running_server(Painter(), server=server) as find:
        assert RemoteLab(find, tmp_path / "new").resume() == ()
    with pytest.raises(QueueClosed):
        server.submit(job_of(tmp_path))


def test_server_that_no_client_finds_any_more_ends_while_it_is_idle(tmp_path):
    """The code was upgraded, or its socket was taken away: it holds no memory for nobody."""
    server = LabServer(Painter, keep_alive="forever", is_outdated=lambda: True, look_every=0)
    server.work()
    with pytest.raises(QueueClosed):
        server.submit(job_of(tmp_path))


def test_ctrl_c_that_comes_as_a_job_is_being_answered_answers_it(tmp_path):
    """Its client would wait for ever else, and the next jobs be told that one is before them."""

    class Pressed(LabServer):
        presses = 0

        def _answer(self, job, outcome):
            self.presses += 1
            if self.presses == 1:
                raise KeyboardInterrupt
            super()._answer(job, outcome)

    server, heard = Pressed(Painter, keep_alive=0), []
    for _ in range(2):
        job = job_of(tmp_path / "new")
        job.listen(lambda _job, line: heard.append(line))
        server.submit(job)
    server.work()
    assert [line for line in heard if "event" not in line] == [{"interrupted": True}, {"result": []}]


class PressedAtOnce(Painter):
    """Presses Ctrl-C, or what is given in its place, once the first picture is painted."""

    def __init__(self, press=lambda: signal.raise_signal(signal.SIGINT)):
        super().__init__()
        self._press = press

    def _paint(self, request, **where):
        if not self.painted:
            self._press()
        return super()._paint(request, **where)


def run_of(workspace, heard):
    """A run of twelve pictures, one after the other; what comes of it is heard."""
    asked = {"spec": encode(replace(SPEC, seeds=tuple(range(12)), batch_size=1))}
    job = Job(JobRequest(verb="run", workspace=workspace.root), asked, theirs=__version__)
    job.listen(lambda _job, line: heard.append(line) if "event" not in line else None)
    return job


def test_ctrl_c_in_the_terminal_of_a_server_ends_it_after_the_pictures_under_way(workspace):
    """Pressed once: jobs that wait are not begun."""
    painter, heard = PressedAtOnce(), []
    server = LabServer(lambda: painter, keep_alive=0)
    for _ in range(2):
        server.submit(run_of(workspace, heard))
    server.work()
    assert heard[0] == {"interrupted": True}
    assert "was told to end before this began" in heard[1]["error"]["message"]
    assert 0 < len(painter.painted) < 12


def test_ctrl_c_in_the_terminal_of_a_server_ends_it_after_a_client_stopped_a_job(workspace):
    """Pressed once: the job's own ending is not taken for it."""
    heard, told = [], []

    class Told(LabServer):
        def stop(self):
            told.append("to end")
            super().stop()

    def idle():
        looks.append(None)
        if len(looks) < 3:  # after the job, and once more while there is none
            return False
        before = threading.enumerate()
        signal.raise_signal(signal.SIGINT)
        for thread in set(threading.enumerate()) - set(before):
            thread.join()
        return True

    looks = []
    painter = PressedAtOnce(lambda: server.cancel(job.id))
    server, job = Told(lambda: painter, is_outdated=idle, look_every=0), run_of(workspace, heard)
    server.submit(job)
    server.work()
    assert (heard, told) == ([{"interrupted": True}], ["to end"])


def test_server_that_is_idle_long_enough_ends(tmp_path):
    """At once, where nothing is to be kept."""
    server = LabServer(Painter, keep_alive=0)
    server.work()
    with pytest.raises(QueueClosed):
        server.submit(job_of(tmp_path))


@pytest.mark.parametrize("verb", ["context.notebook", "_share", "__init__", "maintenance.serve", "nothing", ""])
def test_verb_that_is_not_listed_is_refused(served, tmp_path, verb):
    """What is not meant to be asked from outside cannot be."""
    with pytest.raises(UnknownValue, match="verb"):
        carry_out(served, JobRequest(verb=verb, workspace=tmp_path), {}, print)


def test_argument_that_a_verb_does_not_take_is_refused_with_both_versions(served, tmp_path):
    """A newer client's is not dropped in silence."""
    with pytest.raises(ServerError, match=r"resume of PromptLab \S+ takes colour, that of \S+ does not"):
        carry_out(served, JobRequest(verb="resume", workspace=tmp_path), {"colour": "red"}, print)


def test_workspace_that_is_relative_is_refused(served, tmp_path):
    """A server has no current folder to look for it in."""
    with pytest.raises(ServerError, match="no absolute path"):
        carry_out(served, JobRequest(verb="resume", workspace=tmp_path.relative_to("/")), {}, print)


def test_error_that_nobody_expected_has_the_name_it_had(workspace):
    """The client says what it would have said itself; the trace is in its notes."""

    class Broken(Painter):
        def resolve(self, specs, *, permissions=NO_PERMISSIONS):
            raise ZeroDivisionError("by chance")

    with running_server(Broken()) as find, pytest.raises(RuntimeError, match="by chance") as raised:
        RemoteLab(find, workspace).run(SPEC)
    assert type(raised.value).__name__ == "ZeroDivisionError"
    assert "in resolve" in raised.value.__notes__[0]


def test_run_started_is_heard_as_the_lab_tells_it(served, workspace):
    """With the whole record, so that progress can count."""
    heard = []
    run = RemoteLab(served, workspace).run(SPEC, watch=heard.append)
    (started,) = [event for event in heard if isinstance(event, RunStarted)]
    assert (started.run.id, started.run.spec) == (run.id, run.spec)


def test_rerun_of_the_last_run_is_of_what_was_last_when_it_was_typed(workspace, painter):
    """Not of the run that somebody else's job, which came first, has made meanwhile."""
    server = LabServer(lambda: painter, keep_alive=5)

    def other(job):
        if job is not None and job.request.verb == "rerun":
            Lab(workspace, engine=Painter()).run(SPEC.vary(seeds=(7,)))

    with running_server(painter, server=server) as find, server.observed(other):
        lab = RemoteLab(find, workspace)
        lab.run(SPEC)
        again = lab.rerun("last/1", edit=PromptEdit(append=(", red",)))
    assert [again.id, again.parent_run_id, again.parent_image] == [3, 1, (1, 1)]
