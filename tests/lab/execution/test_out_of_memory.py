"""A batch that does not fit is halved: what is owed is made in smaller ones, rows say so, and everything built on rows
understands it. The painter says when a batch does not fit."""

import shutil

import pytest

from promptlab.errors import EngineError
from promptlab.images.metadata import self_description
from promptlab.lab import Lab
from promptlab.lab.execution.events import BatchSizeReduced, ImagesGenerated, RunReused
from promptlab.plan import requests_of
from promptlab.records import Outcome, RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.workspace import Workspace
from tests.engine.drawing import resolve

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"), Variant(prompt="a dog")), seeds=(0, 1, 2),
    batch_size=4,
)  # fmt: skip


@pytest.fixture
def short(workspace):
    """A lab whose painter runs out of memory above two images."""
    return Lab(workspace, engine=Painter(most_rows=2))


def keys(batch_size, spec=SPEC):
    return [task.recipe_key for task in requests_of(resolve(Painter(), spec.vary(batch_size=batch_size)))]


def test_out_of_memory_halves_the_batch_and_rows_say_so(short):
    """All are made, by the recipe of the size that fitted; the run still says what was asked for."""
    events = []
    run = short.run(SPEC, watch=events.append)
    assert run.complete
    assert run.spec.batch_size == 4
    assert [image.recipe_key for image in run.images] == keys(2)
    assert [image.asked_key for image in run.images] == keys(4)
    assert {image.batch_size for image in run.images} == {2}
    assert [event for event in events if isinstance(event, BatchSizeReduced)] == [
        BatchSizeReduced(run_id=run.id, rows=4, batch_size=2, images=6)
    ]
    assert {task.batch_size for task in short.engine.painted} == {2}
    told = self_description(short.workspace.root / run.images[0].path)
    assert (told.spec.batch_size, told.recipe_key) == (2, run.images[0].recipe_key)


def test_out_of_memory_again_halves_again(workspace):
    """To one image, and what was made before stays as it is."""
    painter = Painter()
    lab = Lab(workspace, engine=painter)

    def tighten(event):
        if isinstance(event, ImagesGenerated) and event.count == 4:
            painter.most_rows = 1

    run = lab.run(SPEC, watch=tighten)
    assert [image.batch_size for image in run.images] == [None] * 4 + [1] * 2
    assert [image.recipe_key for image in run.images] == keys(4)[:4] + keys(1)[4:]
    assert run.made_smaller.keys() == {1}


def test_out_of_memory_of_one_image_is_an_error(workspace):
    """There is nothing smaller: the run fails in a sentence, and can be taken up where there is more memory."""
    lab = Lab(workspace, engine=Painter(most_rows=0))
    with pytest.raises(EngineError, match=r"^out of memory: one image does not fit; type: vae_slicing"):
        lab.run(SPEC)
    failed = lab.history.find("last").run
    assert (failed.status, len(failed.made)) == (RunStatus.FAILED, 0)
    lab.engine.most_rows = None
    (run,) = lab.resume()
    assert run.complete


def test_out_of_memory_with_exact_fails_and_says_what_to_type(short):
    """Not one picture of another size: the run fails, and says what to type for any of the ways out."""
    with pytest.raises(EngineError, match=r"exact makes no smaller ones; type: .*batch.size.2.*exact"):
        short.run(SPEC.vary(exact=True))
    run = short.history.find("last").run
    assert (run.status, run.made, run.images[0].batch_size) == (RunStatus.FAILED, (), None)
    assert run.spec.machine.exact


def test_run_made_smaller_asked_for_again_makes_nothing(short):
    """It is found by what was asked for, and a plan knows that nothing is owed."""
    run = short.run(SPEC)
    painted, events = len(short.engine.painted), []
    assert short.plan([SPEC]).owed == 0
    assert short.run(SPEC, watch=events.append).id == run.id
    assert RunReused(run_id=run.id) in events
    assert len(short.engine.painted) == painted


def test_larger_run_links_what_was_made_smaller(short):
    """The batch that does not fit is tried, and what exists at the smaller size is linked: only new seeds are made."""
    first = short.run(SPEC)
    painted = len(short.engine.painted)
    assert short.plan([SPEC.vary(seeds=(0, 1, 2, 3))]).owed == 2
    run = short.run(SPEC.vary(seeds=(0, 1, 2, 3)))
    assert run.complete
    assert len(short.engine.painted) == painted + 2
    assert [image.linked and image.linked[0] for image in run.images] == [first.id] * 3 + [None] + [first.id] * 3 + [
        None
    ]
    assert {image.batch_size for image in run.images} == {2}


def test_larger_batch_that_fits_is_made_and_not_linked(short):
    """A picture of a smaller batch is another recipe: with more memory the one that was asked for is made."""
    short.run(SPEC)
    short.engine.most_rows = None
    run = short.run(SPEC, again=True)
    assert [image.recipe_key for image in run.images] == keys(4)
    assert {image.batch_size for image in run.images} == {None}


def test_resume_goes_on_at_the_size_that_fitted(workspace):
    """Interrupted after it was halved: what is left is made at that size, though there is more memory now."""
    lab = Lab(workspace, engine=Painter(most_rows=2))

    def interrupt(event):
        if isinstance(event, ImagesGenerated) and event.count == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.run(SPEC, watch=interrupt)
    lab.engine.most_rows = None
    (run,) = lab.resume()
    assert run.complete
    assert [image.recipe_key for image in run.images] == keys(2)
    (lab.workspace.root / run.images[3].path).unlink()
    (again,) = lab.resume(str(run.id))
    assert again.images[3].recipe_key == keys(2)[3]
    assert again.images[3].pixel_sha256 == run.images[3].pixel_sha256


def test_verify_makes_images_again_at_their_own_size(short):
    """Exact, each in the batch that it was made in; where there is more memory, too."""
    short.run(SPEC)
    short.engine.most_rows = None
    assert [verdict.verification.outcome for verdict in short.verify(["last"])] == [Outcome.EXACT] * 6
    assert {task.batch_size for task in short.engine.painted} == {2}
    image = short.history.find("last").run.images[0]
    (verdict,) = short.verify([str(short.workspace.root / image.path)])
    assert verdict.verification.outcome is Outcome.EXACT


def test_rerun_inherits_the_size_that_its_source_was_made_at(workspace):
    """So that what the words leave alone keeps its bytes; of a run made at several, the size that was asked for."""
    painter = Painter()
    lab = Lab(workspace, engine=painter)

    def tighten(event):
        if isinstance(event, ImagesGenerated) and event.count == 4:
            painter.most_rows = 2

    run = lab.run(SPEC, watch=tighten)
    assert [image.batch_size for image in run.images] == [None] * 4 + [2] * 2
    assert lab.rerun_spec(lab.history.find(f"{run.id}/5")).batch_size == 2
    assert lab.rerun_spec(lab.history.find(f"{run.id}/0")).batch_size == 4
    assert lab.rerun_spec(lab.history.find(str(run.id))).batch_size == 4
    image = lab.rerun(lab.history.find(f"{run.id}/5")).images[0]
    assert image.linked == (run.id, 5)


@pytest.mark.mlflow
def test_run_made_smaller_is_sound_and_comes_back_from_its_pictures(short, tmp_path, needed_database):
    """Rows, pictures and MLflow agree; a lost database is put back together from grid and pictures, or these alone."""
    run = short.run(SPEC)
    assert short.maintenance.doctor() == ()
    for name, wanted in (("whole", "*"), ("pictures", "v*.png")):
        there = Workspace.at(tmp_path / name)
        there.root.mkdir()
        shutil.copy(needed_database, there.database)
        other = Lab(there, engine=Painter())
        files = sorted((short.workspace.run_folder(run.id)).glob(wanted))
        other.maintenance.import_images([str(path) for path in files if path.suffix == ".png"])
        restored = other.history.find("last").run
        assert [image.recipe_key for image in restored.images] == keys(2), name
        assert restored.spec.batch_size == (4 if name == "whole" else 2)
        assert [image.batch_size for image in restored.images] == [2 if name == "whole" else None] * 6
        assert [finding for finding in other.maintenance.doctor() if "recipe" in finding.problem] == []


@pytest.mark.mlflow
def test_run_made_smaller_is_shown_and_recorded_in_mlflow(short, promptlab):
    """A line in the summary and in show, a place in its batch, tags in MLflow."""
    from mlflow import MlflowClient

    run = short.run(SPEC)
    said = promptlab("show", str(run.id)).out
    assert "made in batches of 2 instead of 4, out of memory: 1/0, 1/1, 1/2, 1/3, 1/4, 1/5" in said
    said = promptlab("show", f"{run.id}/3").out
    assert "slot 1 of 2" in said
    assert "asked for in batches of 4: out of memory" in said
    client = MlflowClient(f"sqlite:///{short.workspace.database}")
    told = client.get_run(run.variants[0].mlflow_run_id or short.history.find("last").run.variants[0].mlflow_run_id)
    assert told.data.tags["promptlab.smaller_batches"] == "1/0 2, 1/1 2, 1/2 2"
    assert told.data.params["batch_size"] == "4"
