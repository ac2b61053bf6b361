"""The story in code, with a painter: run, rerun, look up, tell; and what stays when it goes wrong."""

import pytest

from promptlab.errors import TrackerError
from promptlab.lab import Lab
from promptlab.lab.execution.events import ImagesGenerated, TrackingFailed
from promptlab.records import ImageStatus, RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant

CHIEF = "portrait photo of a old warrior chief"
SPEC = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt=CHIEF),), seeds=tuple(range(8)))


class Deaf:
    """A tracker that cannot be told, as a server that is down."""

    def prepare(self):
        raise TrackerError("MLflow is down")

    def record(self, run, *, parent, thumbnail, report=None):
        raise TrackerError("MLflow is down")

    def compare(self, runs, sweeps, *, known):
        raise TrackerError("MLflow is down")


def test_run_interrupted_keeps_what_was_made(lab):
    """An interrupted run is KILLED; what was made before stays made."""

    def stop_at_the_fifth(event):
        if event == ImagesGenerated(count=5):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.run(SPEC, watch=stop_at_the_fifth)
    run = lab.history.find("last").run
    assert run.status is RunStatus.KILLED
    assert [image.status for image in run.images] == [ImageStatus.MADE] * 5 + [ImageStatus.OWED] * 3


@pytest.mark.mlflow
def test_run_with_unreachable_tracker_is_whole(workspace, painter):
    """The run is whole, it is said once, and sync tells MLflow later."""
    heard = []
    run = Lab(workspace, engine=painter, tracker=Deaf()).run(SPEC, watch=heard.append)
    assert (run.status, run.tracked_at) == (RunStatus.FINISHED, None)
    assert [event for event in heard if isinstance(event, TrackingFailed)] == [
        TrackingFailed(run_id=1, reason="MLflow is down")
    ]
    lab = Lab(workspace, engine=painter)
    assert lab.maintenance.sync().runs == (1,)
    assert lab.history.find("1").run.tracked_at is not None
    assert lab.maintenance.sync().runs == ()
    deaf = Lab(workspace, engine=painter, tracker=Deaf())
    assert deaf.rerun(lab.history.find("1"), changes={"num_inference_steps": 3}).tracked_at is None
    with pytest.raises(TrackerError, match="MLflow is down"):
        deaf.maintenance.sync()


def test_run_of_many_images_waits_for_the_disk(lab, monkeypatch):
    """A slow disk makes the engine wait: no more than UNSAVED pictures are ever held."""
    from promptlab.lab.execution import image_writer

    honest, waiting, most = image_writer.write_png, set(), []
    unsaved = lambda: len(lab.engine.painted) - len(saved)  # noqa: E731
    saved = []

    def slow(path, pixels, text):
        waiting.add(path)
        most.append(unsaved())
        honest(path, pixels, text)
        saved.append(path)

    monkeypatch.setattr(image_writer, "write_png", slow)
    run = lab.run(SPEC.vary(seeds=tuple(range(120))))
    assert len(run.made) == 120
    assert max(most) <= image_writer.UNSAVED + 2
