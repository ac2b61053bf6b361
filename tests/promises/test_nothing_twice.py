"""Nothing twice: what exists by recipe and environment is linked, never made again unless asked for."""

import pytest

from promptlab.errors import EngineError
from promptlab.expand import Axis, build_sweep
from promptlab.lab import Lab
from promptlab.lab.execution.events import ImagesGenerated, RunReused, SweepStarted
from promptlab.records import RunStatus
from promptlab.specs import PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.testing import Painter

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"), Variant(prompt="b")), seeds=(0, 1, 2)
)
SWEEP = build_sweep(
    SPEC,
    [
        Axis(field="scheduler", values=(SchedulerSpec(name="PNDMScheduler"), SchedulerSpec(name="DDIMScheduler"))),
        Axis(field="steps", values=(5, 9)),
    ],
)


def test_run_asked_for_again_makes_nothing(lab):
    """It is given back as it is, said so, and is what `last` means."""
    first = lab.run(SPEC)
    other = lab.run(SPEC.vary(num_inference_steps=7))
    lab.engine.painted.clear()
    heard = []
    again = lab.run(SPEC, watch=heard.append)
    assert (again.id, heard, lab.engine.painted) == (first.id, [RunReused(run_id=first.id)], [])
    assert lab.history.find("last").run.id == first.id
    assert [summary.id for summary in lab.history.list()] == [other.id, first.id]


def test_run_with_one_seed_more_makes_only_that(lab):
    """A new run whose old cells are links: same file, same hash, marked; parents and order as asked."""
    first = lab.run(SPEC)
    lab.engine.painted.clear()
    more = lab.run(SPEC.vary(seeds=(2, 0, 9), batch_size=first.spec.batch_size))
    assert more.id == 2
    assert {(task.prompt, task.seed) for task in lab.engine.painted} == {("a", 9), ("b", 9)}
    assert [image.linked for image in more.images] == [(1, 2), (1, 0), None, (1, 5), (1, 3), None]
    for image in more.images:
        if image.linked:
            original = first.images[image.linked[1]]
            assert (image.path, image.pixel_sha256) == (original.path, original.pixel_sha256)
    assert len(more.made) == 6
    assert len(more.made_here) == 2


def test_link_leads_to_what_was_made_not_to_another_link(lab):
    """However often cells are asked for, links stay one step long."""
    size = lab.run(SPEC).spec.batch_size
    lab.run(SPEC.vary(seeds=(0, 1, 2, 3), batch_size=size))
    third = lab.run(SPEC.vary(seeds=(0, 3), batch_size=size))
    assert [image.linked for image in third.images] == [(1, 0), (2, 3), (1, 3), (2, 7)]


def test_run_again_makes_everything_anew(lab):
    """Asked for, every picture is drawn again, in a run of its own."""
    lab.run(SPEC)
    lab.engine.painted.clear()
    again = lab.run(SPEC, again=True)
    assert (again.id, len(lab.engine.painted), len(again.made_here)) == (2, 6, 6)


@pytest.mark.quick
def test_run_in_another_environment_links_nothing(workspace):
    """What was made with other versions or another device is another picture until it is compared."""

    Lab(workspace, engine=Painter()).run(SPEC)
    elsewhere = Lab(workspace, engine=Painter(facts={"torch": "another"}))
    run = elsewhere.run(SPEC)
    assert (run.id, len(run.made_here)) == (2, 6)


def test_run_with_a_name_is_a_run_of_its_own(lab):
    """Nothing is drawn for it, and the first run keeps its name."""
    lab.run(SPEC)
    lab.engine.painted.clear()
    named = lab.run(SPEC, name="mine", note="for the record")
    assert (named.id, named.name, lab.engine.painted, len(named.made)) == (2, "mine", [], 6)


def test_link_to_a_lost_file_is_not_made(lab):
    """A cell whose original was deleted is drawn."""
    first = lab.run(SPEC)
    (lab.workspace.root / first.images[0].path).unlink()
    run = lab.run(SPEC.vary(seeds=(0,), batch_size=first.spec.batch_size))
    assert [image.linked for image in run.images] == [None, (1, 3)]


@pytest.mark.mlflow
def test_sweep_is_one_run_a_point_and_one_overview(lab):
    """Every cell has its run with its axis values; the sweep knows its dimensions; the overview and MLflow are made."""
    heard = []
    record = lab.run_sweep(SWEEP, experiment="warrior", watch=heard.append)
    assert record.dimensions == (("scheduler",), ("steps",))
    assert [one.place for one in record.runs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    runs = [lab.history.find(str(one.run_id)).run for one in record.runs]
    assert {(run.status, run.experiment, run.sweep_id) for run in runs} == {(RunStatus.FINISHED, "warrior", record.id)}
    assert [run.spec.call.num_inference_steps for run in runs] == [5, 9, 5, 9]
    assert [run.sweep_values for run in runs] == [one.values for one in record.runs]
    assert lab.workspace.sweep_grid(record.id, 1).is_file()
    assert record.mlflow_run_id
    assert heard[0] == SweepStarted(sweep_id=1, runs=4, images=24)
    assert lab.history.sweep(1) == record


def test_sweep_asked_for_again_makes_nothing(lab):
    """It is the same sweep, with the same runs."""
    first = lab.run_sweep(SWEEP)
    lab.engine.painted.clear()
    again = lab.run_sweep(SWEEP)
    assert (again.id, again.runs, lab.engine.painted) == (first.id, first.runs, [])


def test_sweep_interrupted_is_known_whole_and_completed(lab):
    """All its runs are in the notebook before the first pixel; resume, or asking again, makes what is owed."""

    def stop(event):
        if event == ImagesGenerated(count=4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.run_sweep(SWEEP, watch=stop)
    statuses = [summary.status for summary in reversed(lab.history.list())]
    assert statuses == [RunStatus.KILLED, *[RunStatus.SCHEDULED] * 3]
    lab.engine.painted.clear()
    completed = lab.resume("sweep:1")
    assert [run.id for run in completed] == [1, 2, 3, 4]
    assert len(lab.engine.painted) == 24 - 4
    assert lab.run_sweep(SWEEP).id == 1
    assert lab.resume() == ()


def test_sweep_with_failing_images_makes_the_others(workspace):
    """The sweep goes on, and says at the end how many runs failed."""
    lab = Lab(workspace, engine=Painter(fail_on="b"))
    with pytest.raises(EngineError, match="4 of 4 runs failed"):
        lab.run_sweep(SWEEP)
    assert [summary.made for summary in lab.history.list()] == [3, 3, 3, 3]
    assert len(Lab(workspace, engine=Painter()).resume()) == 4


def test_plan_counts_what_is_there(lab):
    """Runs, images, batches, loads, and what exists already; the plan writes nothing."""
    before = lab.plan(SWEEP.specs)
    assert (before.images, before.there, before.owed, before.loads, before.guess) == (24, 0, 24, 1, True)
    assert not lab.history.list()
    lab.run(SWEEP.specs[2])
    after = lab.plan(SWEEP.specs)
    assert (after.images, after.there, after.owed) == (24, 6, 18)
    assert lab.plan(SWEEP.specs, again=True).there == 0


def test_sweep_order_puts_slow_changes_outermost(lab):
    """Cells are carried out model by model, whatever the order of the axes."""
    two = build_sweep(SPEC, [Axis(field="steps", values=(5, 9)), Axis(field="model", values=("mini", "other"))])
    record = lab.run_sweep(two)
    models = [lab.history.find(str(one.run_id)).run.spec.pipeline.model for one in record.runs]
    assert models == ["mini", "mini", "other", "other"]
