"""``auto`` is the largest batch that fits: searched for in few tries, remembered, not believed of another setting."""

import dataclasses
import json

import pytest

from promptlab.engine import ImageDone, StepDone
from promptlab.errors import OutOfMemory, TrackerError
from promptlab.expand import Axis, build_sweep
from promptlab.lab import Lab
from promptlab.lab.execution.events import BatchSizeChosen, ProbeStarted, ProbeTrackingFailed
from promptlab.lab.maintenance.batch_size_probe import SHARE, Prober, probe_key
from promptlab.specs import AUTO, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from tests.engine.drawing import resolve

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=tuple(range(20)), batch_size=AUTO
)
GIB = 2**30


class Weighing(Painter):
    """A painter whose pictures take memory: a base, and so much a picture."""

    def __init__(self, *, base=0, each=0, room=2**40, **given):
        super().__init__(memory=room, **given)
        self.base, self.each = base, each

    def generate(self, requests, **given):
        for event in super().generate(requests, **given):
            if isinstance(event, ImageDone):
                yield StepDone(batch=event.batch, batches=1, step=1, steps=1)
                yield dataclasses.replace(event, peak_memory=self.base + self.each * requests[0].batch_size)
            else:
                yield event


def tried(events):
    return [event.batch_size for event in events if isinstance(event, ProbeStarted)]


@pytest.mark.parametrize("most", [1, 2, 3, 5, 8, 13, 19, 20, 50])
def test_auto_finds_the_largest_batch_that_fits(workspace, most):
    """To the image, in a handful of tries; no more than there are images."""
    events = []
    lab = Lab(workspace, engine=Painter(most_rows=most))
    (spec,) = Prober(lab.engine, lab.notebook, events.append).settled([SPEC])
    assert spec.batch_size == min(most, 20)
    assert len(tried(events)) <= 8
    assert events[-1] == BatchSizeChosen(batch_size=spec.batch_size, tried=len(tried(events)))


def test_auto_where_not_even_one_fits_is_an_error(lab):
    """What to type is said."""
    lab.engine.most_rows = 0
    with pytest.raises(OutOfMemory, match="one image does not fit; type: vae_slicing"):
        lab.run(SPEC)
    assert lab.history.list() == ()


def test_auto_on_a_cpu_stays_below_a_share_of_the_memory(workspace):
    """A batch that a straight line puts above it is never begun: the system would stop the process."""
    engine, events = Weighing(base=2 * GIB, each=GIB, room=10 * GIB), []
    lab = Lab(workspace, engine=engine)
    (spec,) = Prober(engine, lab.notebook, events.append).settled([SPEC])
    assert spec.batch_size == 6  # 2 + 6 = 8 GiB of 10, at a share of 0.8
    assert SHARE == 0.8
    assert max(tried(events)) == 6


def test_auto_is_remembered_for_its_setting_alone(workspace):
    """Weights, size, dtype and flags: another of these is tried out anew; steps and words are not looked at."""
    engine, events = Painter(most_rows=4), []
    lab = Lab(workspace, engine=engine)
    run = lab.run(SPEC, watch=events.append)
    assert (run.spec.batch_size, run.complete) == (4, True)
    assert {image.recipe_key for image in run.images} == {
        image.recipe_key for image in lab.run(SPEC.vary(batch_size=4)).images
    }
    events.clear()
    other = SPEC.vary(num_inference_steps=7, variants=(Variant(prompt="a dog"),))
    assert Lab(workspace, engine=engine).run(other, watch=events.append).spec.batch_size == 4
    assert [event for event in events if isinstance(event, ProbeStarted | BatchSizeChosen)] == [
        BatchSizeChosen(batch_size=4, tried=0)
    ]
    resolved = resolve(engine, SPEC)
    keys = {
        probe_key(resolve(engine, SPEC.vary(**changes)), "e" * 64)
        for changes in ({}, {"model": "x"}, {"vae": "v"}, {"width": 64}, {"dtype": "float16"}, {"guidance_scale": 1.0})
    }
    assert len(keys) == 6
    assert probe_key(resolved, "f" * 64) not in keys


def test_auto_with_less_memory_than_then_takes_less(workspace):
    """What was measured is remembered, and held against the memory that there is now."""
    engine = Weighing(base=GIB, each=GIB, room=20 * GIB)
    lab, events = Lab(workspace, engine=engine), []
    assert lab.run(SPEC).spec.batch_size == 15
    engine.memory = 10 * GIB
    run = lab.run(SPEC.vary(variants=(Variant(prompt="a dog"),)), watch=events.append)
    assert (run.spec.batch_size, max(tried(events), default=0) <= 15) == (7, True)


def test_auto_in_a_rerun_and_a_sweep_is_a_number(workspace):
    """As a change of a rerun, and beside other values on an axis; a plan counts with the default and makes nothing."""
    engine, events = Painter(most_rows=2), []
    lab = Lab(workspace, engine=engine)
    assert lab.plan([SPEC]).runs[0].rows == 4
    assert engine.painted == []
    parent = lab.run(SPEC.vary(batch_size=1, seeds=(0, 1, 2)))
    rerun = lab.rerun(lab.history.find(str(parent.id)), changes={"batch_size": AUTO})
    assert rerun.spec.batch_size == 2
    made = lab.run_sweep(
        build_sweep(SPEC.vary(seeds=(0, 1, 2)), [Axis(field="steps", values=(3, 4))]), watch=events.append
    )
    assert {lab.notebook.run(one.run_id).spec.batch_size for one in made.runs} == {2}
    assert tried(events) == []


@pytest.mark.mlflow
def test_probe_is_recorded_in_mlflow(workspace):
    """Each size with and without attention slicing until one does not fit; metrics by batch size, a table."""
    from mlflow import MlflowClient

    engine = Weighing(base=GIB, each=GIB, most_rows=4)
    lab, events = Lab(workspace, engine=engine), []
    found = lab.probe(SPEC.vary(num_inference_steps=20), watch=events.append)
    assert tried(events) == [1, 2, 4, 8] * 2
    assert [(one.batch_size, one.fits) for one in found.tried if one.attention_slicing] == [
        (1, True), (2, True), (4, True), (8, False),
    ]  # fmt: skip
    assert found.largest(attention_slicing=False) == found.largest(attention_slicing=True) == 4
    assert (found.tried[2].peak_memory, found.tried[3].peak_memory) == (5 * GIB, None)
    client = MlflowClient(f"sqlite:///{workspace.database}")
    (told,) = client.search_runs([client.get_experiment_by_name("probes").experiment_id])
    assert told.info.status == "FINISHED"
    history = client.get_metric_history(told.info.run_id, "peak_memory_mb")
    assert [(metric.step, metric.value) for metric in history] == [(1, 2048), (2, 3072), (4, 5120)]
    assert told.data.metrics["largest_batch_size_sliced"] == 4
    assert told.data.params["num_inference_steps"] == "20"
    assert "| 8 | on | does not fit |  |" in told.data.tags["mlflow.note.content"]
    assert len(list(workspace.artifacts.glob("probes/*/artifacts/probe.md"))) == 1
    assert lab.maintenance.doctor() == ()
    assert lab.run(SPEC).spec.batch_size == 4  # knows what was found


def test_probe_with_mlflow_away_is_kept(workspace, monkeypatch):
    """What was measured is kept and given back; why MLflow does not know is said."""
    lab, events = Lab(workspace, engine=Painter()), []

    def away(*_):
        raise TrackerError("nobody answers")

    monkeypatch.setattr(type(lab.tracker), "record_probe", away)
    assert lab.probe(SPEC, sizes=(1,), slicing=(False,), watch=events.append).largest(attention_slicing=False) == 1
    assert events[-1] == ProbeTrackingFailed(reason="nobody answers")


def test_probe_command_prints_the_search(promptlab):
    """Sizes down, ways across, what to type next; several values of a setting, and what is no size, are refused."""
    said = promptlab("probe", "--steps", "20", "--vae-slicing")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[1].split("  ") == ["BATCH SIZE", "S/IMAGE", "PEAK MEMORY", "S/IMAGE SLICED", "PEAK MEMORY SLICED"]
    assert [line.split()[0] for line in lines[2:6]] == ["1", "2", "4", "8"]
    assert lines[-1] == 'next: promptlab run "…" --steps 20 --vae-slicing --batch-size 8'
    told = json.loads(promptlab("probe", "--batch-size", "1,3", "--no-attention-slicing", "--json").out)
    assert [(one["batch_size"], one["attention_slicing"]) for one in told["tried"]] == [(1, False), (3, False)]
    assert "--dtype has 2 values" in promptlab("probe", "--dtype", "float16", "--dtype", "float32").err
    assert "'some' is not a whole number" in promptlab("probe", "--batch-size", "some").err
    run = promptlab("run", "a fox", "--seeds", "0-9", "--batch-size", "auto")
    assert "batch size 10: the most that fit into one forward (1 size tried out)" in run.err
    assert "batch size auto: run tries out how many fit" in promptlab("plan", "a fox", "--batch-size", "auto").out


def test_probe_record_is_plain():
    """Frozen, and its share of a forward is what it says."""
    from promptlab.records import ProbeTrial

    one = ProbeTrial(batch_size=4, fits=True, seconds=2.0, step_seconds=0.5)
    assert one.seconds_per_image(20) == 3.0
    assert ProbeTrial(batch_size=4, fits=False).seconds_per_image(20) is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.fits = False
