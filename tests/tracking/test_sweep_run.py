"""A sweep in MLflow: one run above those of its runs, led by the overview, told as often as one likes."""

import pytest

from promptlab.expand import Axis, build_sweep
from promptlab.images.grid import thumbnail
from promptlab.lab import Lab
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.tracking.schema import database_uri
from promptlab.workspace import Workspace

pytestmark = pytest.mark.mlflow

SWEEP = build_sweep(
    RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a <b>wizard</b>"),), seeds=(0, 1)),
    [Axis(field="steps", values=(5, 9)), Axis(field="guidance", values=(1.0, 7.5))],
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, all_tables):
    """A lab that the tests of this file share: none changes what another looks at."""
    space = Workspace.at(tmp_path_factory.mktemp("sweeps"))
    space.database.write_bytes(all_tables.read_bytes())
    return Lab(space, engine=Painter())


@pytest.fixture(scope="module")
def told(lab):
    """A sweep of four runs that MLflow has been told of."""
    return lab.run_sweep(SWEEP, experiment="chiefs", note="why <i>not</i>")


@pytest.fixture
def mlflow_runs(lab):
    """All of MLflow's runs of the experiment, looked at anew each time."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=database_uri(lab.workspace))

    def look():
        experiment = client.get_experiment_by_name("chiefs")
        return {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}

    return look


def test_sweep_run_stands_above_the_others(lab, told, mlflow_runs):
    """The runs are below it; their axis values are parameters, so that a table can be sorted by them."""
    shown = mlflow_runs()
    above = shown.pop(told.mlflow_run_id)
    assert len(shown) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in shown.values()} == {told.mlflow_run_id}
    assert {(run.data.params["sweep.steps"], run.data.params["sweep.guidance"]) for run in shown.values()} == {
        ("5", "1"), ("5", "7.5"), ("9", "1"), ("9", "7.5"),
    }  # fmt: skip
    assert all("seconds_per_image" in run.data.metrics for run in shown.values())
    assert above.data.params == {"sweep.steps": "5, 9", "sweep.guidance": "1, 7.5"}
    assert (above.data.metrics["runs"], above.data.metrics["images"]) == (4, 8)
    assert above.info.status == "FINISHED"


def test_sweep_run_description_leads_with_the_overview(lab, told, mlflow_runs):
    """The picture first, then a link to each run; the overview and the table of runs are its files."""
    above = mlflow_runs()[told.mlflow_run_id]
    description = above.data.tags["mlflow.note.content"]
    assert description.startswith(f"![overview](get-artifact?path=thumb.png&run_uuid={told.mlflow_run_id})")
    for run_id in mlflow_runs():
        assert run_id == told.mlflow_run_id or f"/runs/{run_id}" in description
    assert "<i>" not in description
    (folder,) = lab.workspace.artifacts.glob(f"*/{told.mlflow_run_id}/artifacts")
    assert {path.name for path in folder.iterdir()} == {"grid-1.png", "thumb.png", "runs.csv", "report.html"}
    assert (folder / "grid-1.png").samefile(lab.workspace.sweep_grid(told.id, 1))
    assert (folder / "runs.csv").read_text().splitlines()[0] == "run,steps,guidance,seconds_per_image,images,status"


def test_sweep_run_recorded_again_is_updated_not_doubled(lab, told, mlflow_runs):
    """A sweep completed later, or told twice, is one MLflow run."""
    before = mlflow_runs().keys()
    runs = [lab.history.find(str(one.run_id)).run for one in told.runs]
    overview = lab.workspace.sweep_grid(told.id, 1)
    again = lab.tracker.record_sweep(told, runs, thumbnail=thumbnail(overview), overviews=(overview,))
    assert again == told.mlflow_run_id
    assert mlflow_runs().keys() == before
