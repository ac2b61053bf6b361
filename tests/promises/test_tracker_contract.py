"""What every tracker promises: MLflow's, and the one that leaves MLflow out, which most tests record with."""

import pytest

from promptlab.tracking import MlflowTracker
from tests.images.sweeping import paint_sweep
from tests.tracking.painting import paint_run, spec
from tests.tracking.without_mlflow import TrackerWithoutMlflow

pytestmark = pytest.mark.mlflow


@pytest.fixture(params=["MLflow's", "without MLflow"])
def tracker(request, workspace):
    tracker = MlflowTracker(workspace) if request.param == "MLflow's" else TrackerWithoutMlflow()
    yield tracker
    tracker.close()


def test_tracker_told_twice_of_a_run_gives_the_same_ids(tracker, workspace):
    """One a variant, whoever asks; the report is told of them, and of MLflow's experiment."""
    run, told = paint_run(workspace, 3, spec(["one", "two"], [1])), []
    tracker.prepare()
    first, second = (
        tracker.record(run, parent=None, thumbnail=b"", report=lambda *addresses: told.append(addresses))
        for _ in range(2)
    )
    assert first == second
    assert first.keys() == {0, 1}
    assert {len(run_id) for run_id in set(first.values())} == {32}
    assert len(set(first.values())) == 2
    assert told == [("1", {(3, 0): first[0], (3, 1): first[1]})] * 2


def test_tracker_told_twice_of_a_sweep_gives_the_same_id(tracker, workspace):
    """That of the run above those of its runs, of which the report is told."""
    sweep, runs = paint_sweep(workspace, [[{"num_inference_steps": steps} for steps in ("5", "9")]])
    below = {(run.id, place): found for run in runs for place, found in tracker.record(
        run, parent=None, thumbnail=b"").items()}  # fmt: skip
    told = []
    first, second = (
        tracker.record_sweep(sweep, runs, thumbnail=b"", overviews=(), report=lambda *addresses: told.append(addresses))
        for _ in range(2)
    )
    assert first == second
    assert first not in below.values()
    assert told == [("1", below)] * 2
