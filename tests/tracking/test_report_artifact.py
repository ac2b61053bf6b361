"""The report in MLflow: beside every run, above every sweep, with a way to each and from each."""

import json
import re

import pytest

from promptlab.expand import Axis, build_sweep
from promptlab.lab.execution.events import GridFailed
from promptlab.records import RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.tracking.schema import database_uri

pytestmark = pytest.mark.mlflow

ASKED = RunSpec(
    pipeline=PipelineSpec(model="mini"),
    variants=(Variant(prompt="a wizard"), Variant(prompt="the wizard")),
    seeds=(0, 11),
)
SWEEP = build_sweep(ASKED.vary(variants=ASKED.variants[:1]), [Axis(field="steps", values=(5, 9))])


@pytest.fixture
def shown(lab):
    """MLflow's runs, looked at anew each time."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=database_uri(lab.workspace))
    return lambda: {run.info.run_id: run for run in client.search_runs(["1"])}


def addresses_in(path):
    return json.loads(re.search(r'id="addresses">([^<]*)<', path.read_text(encoding="utf-8"))[1])


def test_report_artifact_is_in_every_variants_run(lab, shown):
    """A link to the one file, which knows the MLflow runs and the names of the pictures there."""
    run = lab.run(ASKED, experiment="chiefs")
    report = lab.workspace.report(run.id)
    ids = [record.mlflow_run_id for record in run.variants]
    assert addresses_in(report) == {"experiment": "1", "runs": {"1/0": ids[0], "1/1": ids[1]}}
    for run_id in ids:
        (folder,) = lab.workspace.artifacts.glob(f"*/{run_id}/artifacts")
        assert (folder / "report.html").samefile(report)
        assert (folder / "pictures/seed-00.png").is_file()
        note = shown()[run_id].data.tags["mlflow.note.content"]
        assert f"(#/experiments/1/runs/{run_id}/artifacts/report.html)" in note
    assert '"artifact":"pictures/seed-00.png"' in report.read_text(encoding="utf-8")


def test_report_artifact_of_a_sweep_addresses_all_its_runs(lab, shown):
    """It leads the sweep's page, and each run's page leads to it."""
    told = lab.run_sweep(SWEEP, experiment="chiefs")
    report = lab.workspace.sweep_report(told.id)
    below = {run_id for run_id, run in shown().items() if run_id != told.mlflow_run_id}
    assert set(addresses_in(report)["runs"].values()) == below
    assert addresses_in(report)["runs"].keys() == {"1/0", "2/0"}
    (folder,) = lab.workspace.artifacts.glob(f"*/{told.mlflow_run_id}/artifacts")
    assert (folder / "report.html").samefile(report)
    note = shown()[told.mlflow_run_id].data.tags["mlflow.note.content"]
    links = re.findall(r"\]\(([^)]*)\)", note)
    assert links[1] == f"#/experiments/1/runs/{told.mlflow_run_id}/artifacts/report.html"
    for run_id in below:
        child = shown()[run_id].data.tags["mlflow.note.content"]
        assert (
            f"**Part of [sweep 1](#/experiments/1/runs/{told.mlflow_run_id}?workflowType=machine_learning):**" in child
        )


def test_description_of_a_run_recorded_again_still_links_its_sweep(lab, shown):
    """What MLflow knows of the sweep is not forgotten."""
    told = lab.run_sweep(SWEEP, experiment="chiefs")
    run = lab.notebook.run(told.runs[0].run_id)
    (run_id,) = lab.tracker.record(run, parent=None, thumbnail=b"").values()
    assert (
        f"**Part of [sweep 1](#/experiments/1/runs/{told.mlflow_run_id}?"
        in (shown()[run_id].data.tags["mlflow.note.content"])
    )


def test_report_artifact_that_cannot_be_written_takes_nothing_down(lab):
    """The run is whole and told of, and it is said what was not drawn."""
    seen = []
    lab.workspace.report(1).mkdir(parents=True)
    run = lab.run(ASKED, experiment="chiefs", watch=seen.append)
    assert run.status is RunStatus.FINISHED
    assert run.tracked_at is not None
    (undrawn,) = [event for event in seen if isinstance(event, GridFailed)]
    assert "report.html could not be written" in undrawn.reason


def test_report_artifact_is_renewed_with_its_run(lab):
    """A resumed or repeated run has a report of what there is now."""
    first = lab.run(ASKED, experiment="chiefs")
    before = lab.workspace.report(first.id).read_bytes()
    lab.workspace.report(first.id).write_bytes(b"old")
    lab.run(ASKED, experiment="chiefs", again=True, name="again")
    assert lab.workspace.report(first.id).read_bytes() == b"old"
    assert lab.workspace.report(2).stat().st_size == pytest.approx(len(before), rel=0.2)
