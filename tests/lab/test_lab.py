"""The story in code, with a painter: run, rerun, look up, tell; and what stays when it goes wrong."""

import pytest
from PIL import Image

from promptlab.errors import EngineError, InputError, StoreError, TrackerError
from promptlab.images.metadata import ParentImage, self_description
from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab import Lab, PromptEdit
from promptlab.lab.execution.events import ImagesGenerated, RunStarted, TrackingFailed, TrackingStarted
from promptlab.records import ImageStatus, RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.workspace import Workspace

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


def test_run_ends_with_every_image_whole(lab):
    """Rows, files, hashes, metadata and grid agree with each other."""
    run = lab.run(SPEC, experiment="warrior", name="first", note="why")
    assert (run.status, run.experiment, run.name, run.note) == (RunStatus.FINISHED, "warrior", "first", "why")
    assert len(run.made) == 8
    for image in run.images:
        path = lab.workspace.root / image.path
        assert pixel_sha256(read_pixels(path)) == image.pixel_sha256
        with Image.open(path) as picture:
            assert picture.size == (image.width, image.height)
        described = self_description(path)
        assert (described.run_uid, described.position) == (run.uid, image.position)
        assert described.spec == run.spec.vary(seeds=(image.seed,))
    assert lab.workspace.grid(run.id).is_file()
    assert run.tracked_at is not None
    assert run.variants[0].mlflow_run_id is not None
    assert {(image.batch, image.slot) for image in run.images} == {(b, s) for b in (0, 1) for s in range(4)}


def test_run_of_the_recorded_spec_has_the_same_recipe_keys(lab):
    """The spec read back runs to the same recipe keys: a rerun starts from the whole truth."""
    run = lab.run(SPEC)
    again = lab.run(lab.history.find("last").run.spec)
    assert [image.recipe_key for image in again.images] == [image.recipe_key for image in run.images]
    assert [image.pixel_sha256 for image in again.images] == [image.pixel_sha256 for image in run.images]


@pytest.mark.quick
def test_rerun_of_one_seed_with_other_words_has_a_parent(lab):
    """The tutorial's last step: four ages at seed 1, each image pointing at the one it came from, batch size kept."""
    parent = lab.run(SPEC, experiment="warrior")
    child = lab.rerun(
        lab.history.find("last"), seeds=(1,), edit=PromptEdit(replace=("a old=>{the oldest|a old|a|a young}",))
    )
    assert [variant.variant.prompt for variant in child.variants] == [
        f"portrait photo of {age} warrior chief" for age in ("the oldest", "a old", "a", "a young")
    ]
    assert [variant.variant.label for variant in child.variants] == ["the oldest", "a old", "a", "a young"]
    assert (child.experiment, child.spec.seeds, child.spec.batch_size) == ("warrior", (1,), parent.spec.batch_size)
    assert {image.parent for image in child.images} == {(parent.id, 1)}
    assert child.parent_image == (parent.id, 1)
    assert {change.field for change in child.changes} == {"prompts", "seeds"}
    assert child.images[1].pixel_sha256 == parent.images[1].pixel_sha256
    described = self_description(lab.workspace.root / child.images[0].path)
    assert described.parent == ParentImage(recipe_key=parent.images[1].recipe_key, run_uid=parent.uid, position=1)


def test_run_with_wrong_input_writes_nothing(tmp_path, painter):
    """What the engine refuses leaves no folder, no database, no row."""
    workspace = Workspace.at(tmp_path / "new")
    with pytest.raises(InputError):
        Lab(workspace, engine=painter).run(SPEC.vary(device="cuda"))
    assert not workspace.root.exists()


def test_run_with_failing_engine_keeps_what_was_made(workspace):
    """The run is FAILED with its reason, the pictures before stay, MLflow and grid show it."""
    lab = Lab(workspace, engine=Painter(fail_on="ugly"))
    spec = SPEC.vary(variants=(Variant(prompt="fine"), Variant(prompt="ugly")), seeds=(1, 2), batch_size=2)
    with pytest.raises(EngineError, match="will not paint 'ugly'"):
        lab.run(spec)
    run = lab.history.find("last").run
    assert run.status is RunStatus.FAILED
    assert run.error == "2 of 4 images could not be made: the painter will not paint 'ugly'"
    assert [image.status for image in run.images] == [ImageStatus.MADE] * 2 + [ImageStatus.FAILED] * 2
    assert all((workspace.root / image.path).is_file() for image in run.made)
    assert run.tracked_at is not None
    assert workspace.grid(run.id).is_file()


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


def test_run_on_full_disk_fails_and_no_row_lies(lab, monkeypatch):
    """When a file cannot be written the run fails with a sentence, and only whole files are called made."""
    from promptlab.lab.execution import image_writer

    honest = image_writer.write_png

    def full(path, pixels, text):
        if "seed6" in path.name:
            raise StoreError(f"{path} could not be written: No space left on device")
        honest(path, pixels, text)

    monkeypatch.setattr(image_writer, "write_png", full)
    with pytest.raises(StoreError, match="No space left on device"):
        lab.run(SPEC)
    run = lab.history.find("last").run
    assert run.status is RunStatus.FAILED
    assert [image.position for image in run.made] == [0, 1, 2, 3, 4, 5, 7]


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


def test_run_events_come_in_order(lab):
    """RunBegan first, Generated 1 … n, Telling last."""
    heard = []
    lab.run(SPEC, watch=heard.append)
    assert isinstance(heard[0], RunStarted)
    assert [event.count for event in heard if isinstance(event, ImagesGenerated)] == list(range(1, 9))
    assert heard[-1] == TrackingStarted()


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
