"""MLflow is told by a process of its own, where a command asks for that."""

import os
import signal
import sys

import pytest

from promptlab.errors import NotFound
from promptlab.lab import Lab
from promptlab.lab.execution.recorder import Recorder, RecorderLost
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.tracking import MlflowTracker
from promptlab.workspace import Workspace

pytestmark = pytest.mark.mlflow


def spec_of(prompt):
    return RunSpec(
        pipeline=PipelineSpec(model="mini"), call=CallSpec(height=64, width=64), variants=(Variant(prompt=prompt),),
        seeds=(0,),
    )  # fmt: skip


@pytest.mark.slow
def test_recorder_records_what_the_command_made(workspace):
    """The run is in MLflow when the call returns, also where the process was killed; the file is closed at the end."""
    lab = Lab(workspace, engine=Painter(), record_apart=True)
    run = lab.run(spec_of("a fox"))
    recorder = lab.context.recorder
    assert run.tracked_at is not None
    with pytest.raises(NotFound, match="999"):
        recorder.record_run(999)
    process = recorder._process
    lab.context.publisher.record_run(run)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    after = lab.run(spec_of("an owl"))
    assert after.tracked_at is not None
    assert process.returncode == -signal.SIGKILL
    tracker = MlflowTracker(workspace)
    assert list(tracker.compare([run, after], [], known=frozenset({run.uid, after.uid}))) == []
    tracker.close()
    lab.close()
    assert not list(workspace.root.glob("mlflow.db-*"))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_recorder_ends_by_itself_and_closes_the_file(workspace):
    """No process and no write-ahead log stay behind."""
    lab = Lab(workspace, engine=Painter(), record_apart=True)
    assert lab.run(spec_of("a fox")).tracked_at is not None
    process = lab.context.recorder._process
    lab.close()
    assert process.returncode == 0
    assert not list(workspace.root.glob("mlflow.db-*"))


def test_recorder_asked_for_nothing_leaves_no_trace(tmp_path):
    """A command that is refused writes nothing and leaves no process behind."""
    recorder = Recorder(Workspace.at(tmp_path))
    recorder.start()
    process = recorder._process
    recorder.start()
    assert recorder._process is process
    recorder.close()
    recorder.close()
    assert process.returncode is not None
    assert list(tmp_path.iterdir()) == []


def test_recorder_that_is_not_there_says_so(tmp_path, monkeypatch):
    """Then whoever asks records by itself."""
    recorder = Recorder(Workspace.at(tmp_path))
    with pytest.raises(RecorderLost):
        recorder.prepare()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    recorder.start()
    with pytest.raises(RecorderLost):
        recorder.record_sweep(1)
    recorder.close()
