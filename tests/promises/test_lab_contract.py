"""What a lab promises, asked of the lab itself and of its twin that a server stands behind; a painter draws."""

from contextlib import ExitStack, contextmanager

import pytest
from PIL import Image

from promptlab.errors import EngineError, InputError, NotFound, PromptLabError, StoreError, to_dict
from promptlab.expand.axes import Axis
from promptlab.expand.sweep import build_sweep
from promptlab.images.metadata import ParentImage, self_description
from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab import Lab, PromptEdit
from promptlab.lab.execution.events import (
    BatchSizeReduced,
    ImagesGenerated,
    ImageStored,
    PromptsTruncated,
    RunReused,
    RunSaved,
    RunStarted,
    TrackingFailed,
    TrackingStarted,
)
from promptlab.plan import TruncatedPrompt
from promptlab.records import ImageStatus, Outcome, RunStatus
from promptlab.serving.remote_lab import RemoteLab
from promptlab.specs import Change, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.workspace import Workspace
from tests.serving.running import running_server

CHIEF = "portrait photo of a old warrior chief"
SPEC = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt=CHIEF),), seeds=tuple(range(8)))


@pytest.fixture(params=["Lab", "RemoteLab"])
def open_lab(request):
    """Open a lab of a workspace and an engine: in this process, or behind a server."""
    with opening(request.param) as opened:
        yield opened


@contextmanager
def opening(kind):
    with ExitStack() as servers:

        def opened(workspace, engine, **given):
            if kind == "Lab":
                return Lab(workspace, engine=engine, **given)
            return RemoteLab(servers.enter_context(running_server(engine)), workspace, **given)

        yield opened


@pytest.fixture
def remote_lab():
    """Open a lab behind a server, for what tests/lab asks of the lab itself."""
    with opening("RemoteLab") as opened:
        yield opened


@pytest.fixture
def lab(open_lab, workspace, painter):
    """A lab whose pictures are painted."""
    return open_lab(workspace, painter)


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


def test_rerun_of_a_name_is_that_of_what_it_names(lab):
    """Named, found, and a file of it: one child each, with the same parent."""
    parent = lab.run(SPEC.vary(seeds=(0, 1)))
    picture = str(lab.workspace.root / parent.images[1].path)
    sources = ("last", f"{parent.id}/1", picture, lab.history.find(f"{parent.id}/1"))
    children = [
        lab.rerun(source, seeds=(1,), edit=PromptEdit(append=(f", number {place}",)))
        for place, source in enumerate(sources)
    ]
    assert [child.spec.variants[0].prompt for child in children] == [
        f"{CHIEF}, number 0", *(f"{CHIEF}, number {place}" for place in (1, 2, 3))
    ]  # fmt: skip
    assert {child.parent_image for child in children} == {(parent.id, 1)}
    other = lab.rerun(f"{parent.id}/1", changes={"num_inference_steps": 7})
    assert (other.spec.call.num_inference_steps, other.spec.seeds) == (7, (1,))
    with pytest.raises(NotFound):
        lab.rerun("99")


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


def test_run_with_wrong_input_writes_nothing(open_lab, tmp_path, painter):
    """What the engine refuses leaves no folder, no database, no row."""
    workspace = Workspace.at(tmp_path / "new")
    with pytest.raises(InputError):
        open_lab(workspace, painter).run(SPEC.vary(device="cuda"))
    assert not workspace.root.exists()


def test_run_with_failing_engine_keeps_what_was_made(open_lab, workspace):
    """The run is FAILED with its reason, the pictures before stay, MLflow and grid show it."""
    lab = open_lab(workspace, Painter(fail_on="ugly"))
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


def test_run_events_come_in_order(lab):
    """RunBegan first, Generated 1 … n, Telling last."""
    heard = []
    lab.run(SPEC, watch=heard.append)
    assert isinstance(heard[0], RunStarted)
    assert [event.count for event in heard if isinstance(event, ImagesGenerated)] == list(range(1, 9))
    assert [event for event in heard if not isinstance(event, RunSaved)][-1] == TrackingStarted()


def test_lookup_in_a_workspace_that_does_not_exist_is_refused_and_makes_none(open_lab, tmp_path, painter):
    """Whoever mistypes a folder is told that nothing is there, and finds none afterwards."""
    lab = open_lab(tmp_path / "nowhere", painter)
    with pytest.raises(NotFound, match="run 'last' does not exist; allowed: none yet in this workspace"):
        lab.history.find("last")
    assert (lab.resume(), lab.history.list(), lab.history.count()) == ((), (), (0, 0))
    assert not (tmp_path / "nowhere").exists()


def test_sweep_is_made_linked_and_found(lab):
    """Its record, its runs, and nothing made twice."""
    sweep = build_sweep(SPEC.vary(seeds=(0, 1)), [Axis(field="num_inference_steps", values=(5, 6))])
    plan = lab.plan(sweep.specs)
    assert (plan.images, plan.there, len(plan.runs)) == (4, 0, 2)
    made = lab.run_sweep(sweep, experiment="warrior")
    assert (made.id, made.dimensions, [run.place for run in made.runs]) == (
        1,
        (("num_inference_steps",),),
        [(0,), (1,)],
    )
    assert lab.history.sweep(1) == made
    assert lab.history.find_sweep("sweep:1") == 1
    (steps,) = lab.effect("last", by=["steps"]).settings
    assert (steps.name, steps.values, steps.seeds, lab.effect("sweep:1").settings) == (
        "steps", ("5", "6"), (0, 1), (steps,),
    )  # fmt: skip
    assert [run.status for run in lab.history.list()] == [RunStatus.FINISHED] * 2
    assert lab.run_sweep(sweep, experiment="warrior") == made
    assert lab.plan(sweep.specs).there == 4


@pytest.mark.mlflow
def test_probe_verify_effect_and_ratings_give_their_records(lab):
    """The other verbs."""
    run = lab.run(SPEC.vary(variants=(Variant(prompt="a"), Variant(prompt="b")), seeds=(0, 1), batch_size=2))
    heard = []
    assert [one.verification.outcome for one in lab.verify(["last"], watch=heard.append)] == [Outcome.EXACT] * 4
    assert heard
    assert lab.effect("last").seeds == (0, 1)
    assert [image.stars for image in lab.ratings.rate([f"{run.id}/0"], 4)] == [4]
    assert lab.ratings.favourite([f"{run.id}/1"])[0].favourite
    found = lab.probe(SPEC, sizes=(1, 2), slicing=(False,))
    assert [(trial.batch_size, trial.fits) for trial in found.tried] == [(1, True), (2, True)]
    assert lab.maintenance.doctor() == ()
    assert lab.maintenance.sync().runs == ()


def test_batch_that_does_not_fit_is_made_smaller(remote_lab, workspace):
    """It is said, the rows say so, and asked for again nothing is made; with ``exact`` it is an error instead."""
    lab, heard = remote_lab(workspace, Painter(most_rows=2)), []
    run = lab.run(SPEC, watch=heard.append)
    assert (run.complete, {image.batch_size for image in run.images}) == (True, {2})
    assert BatchSizeReduced(run_id=1, rows=4, batch_size=2, images=8) in heard
    lab.run(SPEC, watch=heard.append)
    assert heard[-1] == RunReused(run_id=1)
    with pytest.raises(EngineError, match=r"exact makes no smaller ones; type: .*batch.size.2.*exact"):
        lab.run(SPEC.vary(exact=True, seeds=(50, 51, 52, 53)))


@pytest.mark.mlflow
def test_run_with_unreachable_tracker_is_whole(remote_lab, workspace, painter, unused_port):
    """It is said once, without what the server at fault was told; sync tells MLflow later."""
    heard = []
    lab = remote_lab(workspace, painter, tracking_uri=f"http://127.0.0.1:{unused_port}")
    run = lab.run(SPEC, watch=heard.append)
    assert (run.status, run.tracked_at) == (RunStatus.FINISHED, None)
    (failed,) = [event for event in heard if isinstance(event, TrackingFailed)]
    assert "refuses the connection" in failed.reason
    own = remote_lab(workspace, painter)
    assert own.maintenance.sync().runs == (1,)
    assert own.history.find("1").run.tracked_at is not None


def test_words_that_are_cut_are_told_before_anything_is_made(remote_lab, workspace, painter):
    """Which, and by which encoder; so says a plan."""
    lab, heard = remote_lab(workspace, painter), []
    spec = SPEC.vary(variants=(Variant(prompt="word " * 75 + "left out"),), seeds=(1,))
    cut = (TruncatedPrompt(prompt=spec.variants[0].prompt, encoder="tokenizer", words="left out"),)
    assert lab.plan([spec]).cut == cut
    lab.run(spec, watch=heard.append)
    assert heard.index(PromptsTruncated(prompts=cut)) < min(
        place for place, event in enumerate(heard) if isinstance(event, ImagesGenerated)
    )


def test_picture_that_is_gone_or_failed_is_made_by_resume(remote_lab, workspace):
    """It, and no other; one that failed is tried again."""
    painter = Painter(fail_on="ugly")
    lab = remote_lab(workspace, painter)
    spec = SPEC.vary(variants=(Variant(prompt="fine"), Variant(prompt="ugly")), seeds=(1, 2))
    with pytest.raises(EngineError):
        lab.run(spec)
    made = lab.history.find("1").run.images
    (workspace.root / made[0].path).unlink()
    painter.fail_on = None
    painter.painted.clear()
    (run,) = lab.resume("last")
    assert (run.complete, run.images[0].pixel_sha256) == (True, made[0].pixel_sha256)
    assert sorted(request.id for request in painter.painted) == ["1/0", "1/2", "1/3"]
    assert lab.resume() == ()


def test_model_that_changed_under_its_name_makes_nothing(remote_lab, workspace, painter, monkeypatch):
    """Neither resume nor verify; both say which."""
    lab = remote_lab(workspace, painter)
    (workspace.root / lab.run(SPEC).images[0].path).unlink()
    monkeypatch.setattr("promptlab.testing._identity", lambda name: "sha256:other")
    with pytest.raises(InputError, match="model 'mini' is not what run 1 was made by"):
        lab.resume("1")
    (verdict,) = lab.verify(["1/1"])
    assert (verdict.verification, "model 'mini' is not what run 1 was made by" in verdict.problem) == (None, True)


def test_verify_in_another_environment_says_what_differs(remote_lab, workspace, painter):
    """The server's environment is that of what it makes."""
    run = remote_lab(workspace, painter).run(SPEC)
    elsewhere = remote_lab(workspace, Painter(facts={"torch": "9.9", "threads": 7}))
    (verdict,) = elsewhere.verify(["1/3"])
    assert verdict.verification.outcome is Outcome.EXACT
    assert set(verdict.verification.changes) == {
        Change(field="threads", before=None, after=7), Change(field="torch", before=None, after="9.9"),
    }  # fmt: skip
    assert elsewhere.run(SPEC.vary(seeds=(99,))).environment.facts == {**run.environment.facts, "torch": "9.9",
                                                                       "threads": 7}  # fmt: skip


WRONG = {
    "model": lambda lab: lab.run(SPEC.vary(device="cuda")),
    "reference": lambda lab: lab.history.find("9"),
    "image": lambda lab: lab.ratings.rate(["1/99"], 4),
    "stars": lambda lab: lab.ratings.rate(["1/0"], 9),
    "run to resume": lambda lab: lab.resume("7"),
    "sweep": lambda lab: lab.history.sweep(5),
    "what to verify": lambda lab: lab.verify(["nothing.png"]),
    "effect of a setting that is no axis": lambda lab: lab.effect("1", by=["steps"]),
    "effect of one wording": lambda lab: lab.effect("1"),
    "place of a probe": lambda lab: lab.probe(SPEC.vary(device="cuda")),
}


def test_what_a_lab_refuses_its_twin_refuses_in_the_same_words(remote_lab, workspace, painter):
    """The same class, sentence, field and exit code."""

    def refusals(lab):
        for wrong in WRONG.values():
            with pytest.raises(PromptLabError) as refused:
                wrong(lab)
            yield type(refused.value), str(refused.value), to_dict(refused.value), refused.value.exit_code

    lab = Lab(workspace, engine=painter)
    lab.run(SPEC)
    for what, here, there in zip(WRONG, refusals(lab), refusals(remote_lab(workspace, painter)), strict=True):
        assert (what, there) == (what, here)


@pytest.mark.quick
def test_watch_is_told_of_each_image_once_it_is_stored(lab):
    """Its row is there and its file whole by then; a run that is there already stores nothing."""
    told = []

    def watch(event):
        if isinstance(event, ImageStored):
            is_there = (lab.workspace.root / event.image.path).exists()
            told.append((event.image.position, event.image.pixel_sha256, is_there))

    run = lab.run(SPEC, watch=watch)
    assert sorted(told) == [(image.position, image.pixel_sha256, True) for image in run.images]
    lab.run(SPEC, watch=watch)
    assert len(told) == 8
