"""Runs have one order, that of their numbers: in lists, as ``last``, in the tree and in MLflow."""

import json

import pytest

from promptlab.store.notebook import Notebook
from promptlab.tracking.schema import database_uri


@pytest.fixture
def swept(begin_with, promptlab):
    """Runs 2 to 4 are a sweep, of which run 3 is there already: it is started when the others have been made."""
    begin_with(
        ("run", "a {red|blue} fox", "--seeds", "0-1", "--steps", "4"),
        ("run", "a {red|blue} fox", "--seeds", "0-1", "--steps", "3", "--steps", "4", "--steps", "5"),
    )
    return promptlab


def shown(promptlab, ref):
    return json.loads(promptlab("show", ref, "--json").out)


@pytest.mark.mlflow
def test_order_of_runs_after_a_sweep_is_one_everywhere(swept, workspace):
    """``list`` begins with what ``last`` means; the sweep, the tree and MLflow go the same way."""
    assert [one["id"] for one in json.loads(swept("list", "--json").out)] == [4, 3, 2, 1]
    assert shown(swept, "last")["run"]["id"] == 4
    assert [one["run_id"] for one in shown(swept, "sweep:1")["sweep"]["runs"]] == [2, 3, 4]
    assert swept("tree", "last").out == swept("tree", "4").out
    book = Notebook.at(workspace)
    mine = [one.mlflow_run_id for number in (1, 2, 3, 4) for one in book.run(number).variants]
    from mlflow import MlflowClient

    client = MlflowClient(database_uri(workspace))
    experiment = client.get_run(mine[0]).info.experiment_id
    found = client.search_runs([experiment], order_by=["attributes.start_time ASC"])
    assert [one.info.run_id for one in found if one.info.run_id in mine] == mine
    assert len({one.info.start_time for one in found}) == len(found)


def test_last_after_an_earlier_sweep_is_asked_for_again_is_its_last_run(swept):
    """Nothing is made of it, and it is what was asked for last; so is a run of it that is named."""
    swept("run", "an owl")
    assert shown(swept, "last")["run"]["id"] == 5
    swept("run", "a {red|blue} fox", "--seeds", "0-1", "--steps", "3", "--steps", "4", "--steps", "5")
    assert shown(swept, "last")["run"]["id"] == 4
    swept("run", "a {red|blue} fox", "--seeds", "0-1", "--steps", "3")
    assert shown(swept, "last")["run"]["id"] == 2


def test_last_after_a_resume_is_the_last_of_the_resumed_runs(swept, workspace):
    """Whichever of them is started first."""
    swept("run", "an owl")
    for run in ("00002", "00004"):
        (workspace.root / f"images/{run}/v00-seed0.png").unlink()
    assert swept("resume", "sweep:1").code == 0
    assert shown(swept, "last")["run"]["id"] == 4


def test_verify_last_after_a_sweep_says_what_it_did_not_look_at(swept):
    """One run of several; not where the whole sweep, or another run, was asked for."""
    note = "run 4 is one of the 3 runs of sweep 1; type: promptlab verify sweep:1"
    assert swept("verify", "last").out.splitlines()[-1] == note
    for refs in (("sweep:1",), ("4",), ("last", "sweep:1")):
        assert note not in swept("verify", *refs).out
