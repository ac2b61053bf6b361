"""The story as Python tells it: the same in this process and on a server; a painter draws."""

import pytest

from promptlab import Lab, PipelineSpec, PromptEdit, RunSpec, Variant
from promptlab.api import Image, Run
from promptlab.errors import InputError, NotFound
from promptlab.expand import build_sweep
from promptlab.expand.axes import Axis
from promptlab.records import RunRecord
from promptlab.testing import Painter
from tests.serving.running import running_server


@pytest.fixture(params=["here", "served"])
def opened(request, workspace, runtime):
    """A lab in this process, or one of this environment's own server."""
    if request.param == "here":
        yield Lab(workspace, engine=Painter())
        return
    with running_server(Painter(), place=runtime):
        yield Lab(workspace, server=True)


def test_story_in_python_is_the_same_here_and_on_a_server(opened, capsys):
    """A grid, one seed of it in other words, the last run once more; each shows itself, and knows its parent."""
    run = opened.run("portrait of a {old|young} chief", seeds=range(3), scheduler="dpmsolver++", steps=20)
    assert (run.id, run.prompts, run.seeds) == (1, ("portrait of a old chief", "portrait of a young chief"), (0, 1, 2))
    assert run.spec.pipeline.scheduler.name == "DPMSolverMultistepScheduler"
    assert (len(run.images), run.images[4].ref, run.images[4].seed) == (6, "1/4", 1)
    ages = run.images[1].rerun(replace="old=>{oldest|young}")
    assert (ages.prompts, ages.seeds) == (("portrait of a oldest chief", "portrait of a young chief"), (1,))
    assert ages.record.parent_image == (1, 1)
    last = opened.rerun("last", seed=1, append=", tribal")
    assert last.prompts == ("portrait of a oldest chief, tribal", "portrait of a young chief, tribal")
    assert (last.record.parent_run_id, last.rerun(steps=5).spec.call.num_inference_steps) == (ages.id, 5)
    assert [each.id for each in opened.runs()] == [4, 3, 2, 1]
    assert opened.runs()[1:3][0].prompts == last.prompts
    assert capsys.readouterr().err == ""


def test_handles_open_and_show_what_lies_in_the_workspace(opened):
    """Pictures as pictures, a table of all; what is owed or gone is said."""
    run = opened.run(["a king", "a queen"], seeds="0-1", size=32)
    assert run.images[3].open().size == (32, 32)
    assert (run.images[3].prompt, run.images[3].run, run.images[3].path.is_file()) == ("a queen", run, True)
    assert run.images[3]._repr_png_() == run.images[3].path.read_bytes()
    assert "data:image/png;base64," in run._repr_html_()
    assert run._repr_png_().startswith(b"\x89PNG")
    assert run.grid.width > 64
    assert run.report_path.is_file()
    assert repr(run) == "<run 1, finished: 4 of 4 images>"
    assert "<td>a king (+1)</td>" in opened.runs()._repr_html_()
    assert opened.find("1/3") == run.images[3]
    assert opened.find(run.record) == opened.find("last") == run
    run.grid_path.write_bytes(run.grid_path.read_bytes()[:99])
    with pytest.raises(InputError, match="damaged"):
        _ = run.grid
    run.grid_path.unlink()
    with pytest.raises(NotFound, match=r"grid .* does not exist"):
        _ = run.grid


def test_sweep_in_python_has_its_runs_and_an_overview(opened):
    """A list is several values; the same sweep is completed, not made twice."""
    sweep = opened.sweep("a king", seeds=[1], steps=[2, 3], cfg=1.5)
    assert [run.spec.call.num_inference_steps for run in sweep.runs] == [2, 3]
    assert {run.spec.call.guidance_scale for run in sweep.runs} == {1.5}
    assert (repr(sweep), sweep.grid.width > 32) == ("<sweep 1: 2 runs>", True)
    assert "data:image/png;base64," in sweep._repr_html_()
    assert opened.sweep("a king", seeds=[1], steps="2-3", cfg=1.5) == sweep
    plan = opened.plan("a king", seeds=[1], steps="2-4", cfg=1.5)
    assert (plan.images, plan.owed) == (3, 1)


def test_run_that_begins_from_a_picture_remembers_it(opened, tmp_path):
    """A run and a sweep, as on the command line; a picture of another workspace is no parent."""
    run = opened.run(["a king", "a queen"], seeds="0-1")
    like = opened.run(like=run.images[3].path, seeds=1, steps=3)
    assert (like.prompts, like.record.parent_run_id, like.record.parent_image) == (("a queen",), 1, (1, 3))
    sweep = opened.sweep(like=str(run.images[3].path), seeds=1, steps=[4, 5])
    assert {each.record.parent_image for each in sweep.runs} == {(1, 3)}
    elsewhere = Lab(tmp_path / "elsewhere", engine=Painter()).run(like=run.images[3].path)
    assert (elsewhere.prompts, elsewhere.record.parent_run_id) == (("a queen",), None)


def test_what_was_returned_names_itself_to_every_verb(opened):
    """Runs, images and sweeps, as well as their numbers and names; specs among words are refused."""
    run = opened.run(["a king", "a queen"], seeds="0-1", size=32)
    sweep = opened.sweep("a king", steps=[2, 3], size=32)
    assert opened.find(run) == run == opened.find(1)
    assert opened.find(run.images[3]) == run.images[3]
    assert opened.resume(run) == opened.resume(sweep) == ()
    assert [len(opened.verify(each)) for each in (1, run, run.images[1], sweep, [run, "2/0"])] == [4, 4, 1, 2, 5]
    assert (opened.plan(run.spec).images, opened.plan([run.spec, run.spec]).images) == (4, 8)
    with pytest.raises(InputError, match="prompts is no text but RunSpec"):
        opened.plan([run.spec, "a king"])


def test_workers_of_a_file_are_said_to_be_for_the_command_line(workspace, tmp_path, capsys):
    """A lab is open already when the file is read: nothing of it is left out without a word."""
    file = tmp_path / "fox.yaml"
    file.write_text("prompts: a king\nseeds: 1\nworkers: 2\n", encoding="utf-8")
    assert Lab(workspace, engine=Painter()).plan(file=file).images == 1
    said = capsys.readouterr().err
    assert (said.count("\n"), "workers and cluster of " in said, "fox.yaml are for the command line" in said) == (
        1, True, True
    )  # fmt: skip


def test_specs_give_records_as_ever(opened):
    """Whoever writes specs gets the records that a lab gives."""
    spec = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a king"),), seeds=(0, 1))
    heard = []
    record = opened.run(spec, experiment="specs", watch=heard.append)
    assert (type(record), record.experiment, bool(heard)) == (RunRecord, "specs", True)
    edited = opened.rerun("last", seeds=(1,), edit=PromptEdit(append=(", red",)))
    assert (type(edited), edited.spec.seeds, edited.parent_image) == (RunRecord, (1,), (1, 1))
    changed = opened.rerun(opened.history.find("1"), changes={"num_inference_steps": 3})
    assert changed.spec.call.num_inference_steps == 3
    assert opened.plan([spec]).owed == 0
    sweep = opened.run_sweep(build_sweep(spec, [Axis(field="num_inference_steps", values=(5, 6))]), experiment="specs")
    assert len(sweep.runs) == 2
    assert opened.resume() == ()
    assert [one.verification.outcome for one in opened.verify("1/0")] == ["exact"]
    assert isinstance(opened.find(edited.id), Run)
    assert isinstance(opened.find("1@seed:1"), Image)


@pytest.mark.exhaustive
def test_table_of_runs_has_a_row_for_each_image(opened):
    """Of a run, a sweep, and of all; pandas is imported for it."""
    run = opened.run("a king", seeds="0-1")
    sweep = opened.sweep("a queen", steps=[2, 3])
    assert list(run.to_pandas()["seed"]) == [0, 1]
    assert list(sweep.to_pandas()["num_inference_steps"]) == [2, 3]
    assert list(opened.runs().to_pandas()["run"]) == [1, 1, 2, 3]


@pytest.mark.exhaustive
def test_lab_of_a_named_server_makes_its_images_there(workspace, unused_port, monkeypatch):
    """By its address and token, as the command line asks it."""
    monkeypatch.setenv("PROMPTLAB_SERVER_TOKEN", "secret-of-this-test-and-no-other")
    with running_server(Painter(), port=unused_port):
        run = Lab(workspace, server=f"http://127.0.0.1:{unused_port}").run("a king")
    assert (run.id, len(run.record.made)) == (1, 1)
