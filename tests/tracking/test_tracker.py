"""What MLflow knows after it was told: each run once, true to its record, however often it is told."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest

from promptlab.errors import TrackerError
from promptlab.records import RunStatus
from promptlab.specs import Variant
from promptlab.tracking import MlflowTracker, Tracker
from promptlab.tracking.schema import database_uri
from promptlab.tracking.tags import NOTE_TAG
from tests.tracking.painting import paint_run, spec, thumbnail

pytestmark = pytest.mark.mlflow


def client_of(workspace):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=database_uri(workspace))


def tell(workspace, run, parent=None):
    tracker: Tracker = MlflowTracker(workspace)
    return tracker.record(run, parent=parent, thumbnail=thumbnail(workspace, run))


def shown(workspace, name="warrior chief"):
    """The MLflow runs of an experiment, oldest first."""
    client = client_of(workspace)
    experiment = client.get_experiment_by_name(name)
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])


def folder_of(workspace, told):
    return workspace.artifacts / told.info.artifact_uri.removeprefix("mlflow-artifacts:/")


def test_record_makes_one_flat_mlflow_run_a_variant(workspace):
    """Flat, because MLflow hides nested ones from its charts."""
    run = paint_run(workspace, 3, spec(["one", "two"], [1, 2]))
    ids = tell(workspace, run)
    told = shown(workspace)
    assert [one.info.run_id for one in told] == [ids[0], ids[1]]
    assert [one.info.run_name for one in told] == ["3 · one", "3 · two"]
    assert not any("mlflow.parentRunId" in one.data.tags for one in told)


def test_record_of_several_variants_keeps_one_thumbnail(workspace):
    """Each shows the grid of the whole run; the file is on the disk once, also when it is recorded again."""
    run = paint_run(workspace, 3, spec(["one", "two", "three"], [1]))
    for _ in range(2):
        tell(workspace, run)
        files = [folder_of(workspace, told) / "thumb.png" for told in shown(workspace)]
        assert len(files) == 3
        assert {(file.stat().st_ino, file.stat().st_nlink) for file in files} == {(files[0].stat().st_ino, 3)}
        assert files[0].read_bytes() == thumbnail(workspace, run)
    assert not list(workspace.root.glob(".upload-*"))


def test_record_times_and_status_are_the_runs_own(workspace):
    """When it was made, not when MLflow heard of it."""
    run = paint_run(workspace, 1, spec(["x"], [1]))
    tell(workspace, run)
    (told,) = shown(workspace)
    assert told.info.start_time == run.created_at.timestamp() * 1000
    assert told.info.end_time == run.ended_at.timestamp() * 1000
    assert told.info.status == "FINISHED"


def test_record_logs_words_settings_and_measures(workspace):
    """The prompt in full as a tag, settings as parameters, seconds as metrics, the grid in the description."""
    asked = spec([Variant(prompt="a chief " * 40, negative_prompt="blurry")], [1, 2])
    tell(workspace, paint_run(workspace, 1, asked))
    (told,) = shown(workspace)
    assert told.data.tags["prompt"] == "a chief " * 40
    assert told.data.tags["negative_prompt"] == "blurry"
    assert told.data.params["scheduler"] == "DPMSolverMultistepScheduler"
    assert told.data.metrics["seconds_per_image"] == 0.4
    assert f"run_uuid={told.info.run_id}" in told.data.tags[NOTE_TAG]
    assert told.data.tags["mlflow.loggedImages"] == "True"


def test_record_artifacts_lie_where_mlflow_serves_them(workspace):
    """Under the run's artifact address, hard-linked."""
    run = paint_run(workspace, 1, spec(["x"], [1]))
    tell(workspace, run)
    (told,) = shown(workspace)
    folder = folder_of(workspace, told)
    assert (folder / "pictures/seed-1.png").samefile(workspace.root / run.images[0].path)
    assert (folder / "grid.png").samefile(workspace.grid(1))
    assert (folder / "thumb.png").read_bytes() == thumbnail(workspace, run)


def test_record_twice_updates_and_adds_nothing(workspace):
    """A second telling finds what the first one left, by tag, and adds nothing."""
    run = paint_run(workspace, 1, spec(["one", "two"], [1, 2]))
    first = tell(workspace, run)
    before = [dict(one.to_dictionary()) for one in shown(workspace)]
    assert tell(workspace, run) == first
    assert [dict(one.to_dictionary()) for one in shown(workspace)] == before


def test_record_of_a_resumed_run_updates_it(workspace):
    """More pictures, another status, another end: the same MLflow run."""
    asked = spec(["x"], [1, 2, 3])
    half = paint_run(workspace, 1, asked, made=1, status=RunStatus.KILLED)
    ids = tell(workspace, half)
    whole = replace(paint_run(workspace, 1, asked), uid=half.uid)
    assert tell(workspace, whole) == ids
    (told,) = shown(workspace)
    assert told.info.status == "FINISHED"
    assert told.data.metrics["images_made"] == 3
    assert "pictures made" not in told.data.tags[NOTE_TAG]
    assert len(list(folder_of(workspace, told).glob("pictures/*.png"))) == 3


def test_record_of_a_half_recorded_run_completes_it(workspace, monkeypatch):
    """Whatever was told before MLflow failed is found again."""
    from mlflow import MlflowClient

    run = paint_run(workspace, 1, spec(["one", "two"], [1]))
    tracker = MlflowTracker(workspace)
    with monkeypatch.context() as failing:
        failing.setattr(MlflowClient, "set_terminated", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(TrackerError, match=r"run 1.*disk full"):
            tracker.record(run, parent=None, thumbnail=b"")
    assert [one.info.status for one in shown(workspace)] == ["RUNNING", "RUNNING"]
    tracker.record(run, parent=None, thumbnail=b"")
    assert [one.info.status for one in shown(workspace)] == ["FINISHED", "FINISHED"]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.KILLED])
def test_record_of_a_failed_run_says_so(workspace, status):
    """Without a grid, with its error, and in MLflow's own word for it."""
    tell(workspace, paint_run(workspace, 1, spec(["x"], [1, 2]), made=0, status=status, error="out\nof memory"))
    (told,) = shown(workspace)
    assert told.info.status == status.value
    assert told.data.tags["promptlab.error"] == "out of memory"
    assert "mlflow.loggedImages" not in told.data.tags


def test_record_of_a_run_under_way_is_running(workspace):
    """Somebody may look before it is over."""
    tell(workspace, paint_run(workspace, 1, spec(["x"], [1]), made=0, status=RunStatus.RUNNING, ended_at=None))
    (told,) = shown(workspace)
    assert (told.info.status, told.info.end_time) == ("RUNNING", None)


def test_record_of_a_rerun_links_to_the_variant_it_came_from(workspace):
    """Across experiments too."""
    parent = paint_run(workspace, 1, spec(["x", "a old chief"], [1]), experiment="first")
    ids = tell(workspace, parent)
    asked = spec([Variant(prompt="the oldest chief", source=1)], [1])
    tell(workspace, paint_run(workspace, 2, asked, parent=parent, experiment="second"), parent)
    (told,) = shown(workspace, "second")
    experiment = client_of(workspace).get_experiment_by_name("first")
    assert f"#/experiments/{experiment.experiment_id}/runs/{ids[1]}?" in told.data.tags[NOTE_TAG]
    assert told.data.tags["promptlab.parent_run"] == "1"


def test_record_in_a_deleted_experiment_restores_it(workspace):
    """Deleted experiments keep their name: making another is impossible, losing the run unthinkable."""
    tell(workspace, paint_run(workspace, 1, spec(["x"], [1])))
    client = client_of(workspace)
    client.delete_experiment(client.get_experiment_by_name("warrior chief").experiment_id)
    tell(workspace, paint_run(workspace, 2, spec(["y"], [1])))
    assert {one.data.tags["promptlab.run"] for one in shown(workspace)} >= {"2"}


def test_record_of_a_deleted_run_restores_it(workspace):
    """Telling is asked for; then the run is to be seen."""
    run = paint_run(workspace, 1, spec(["x"], [1]))
    ids = tell(workspace, run)
    client_of(workspace).delete_run(ids[0])
    assert shown(workspace) == []
    assert tell(workspace, run) == ids
    assert len(shown(workspace)) == 1


def test_record_artifacts_of_an_experiment_elsewhere_go_there(workspace, tmp_path):
    """An experiment made by other hands may have another place for files."""
    client_of(workspace).create_experiment("theirs", artifact_location=(tmp_path / "elsewhere").as_uri())
    tell(workspace, paint_run(workspace, 1, spec(["x"], [1]), experiment="theirs"))
    (told,) = shown(workspace, "theirs")
    assert (tmp_path / "elsewhere" / told.info.run_id / "artifacts/pictures/seed-1.png").is_file()
    assert list(workspace.root.glob(".upload-*")) == []


def test_record_writes_no_path_of_the_workspace(workspace):
    """A workspace can be moved: nothing in MLflow's tables says where it lay."""
    parent = paint_run(workspace, 1, spec(["x"], [1]))
    tell(workspace, parent)
    tell(workspace, paint_run(workspace, 2, spec(["y"], [1]), parent=parent, experiment="Default"), parent)
    with closing(sqlite3.connect(workspace.database)) as database:
        assert str(workspace.root) not in "\n".join(database.iterdump())


def test_record_updates_the_view(workspace):
    """Each telling rewrites the experiment's view with the seeds of its latest pictures."""
    tell(workspace, paint_run(workspace, 1, spec(["x"], [1])))
    key = "mlflow.sharedViewState.promptlab"
    client = client_of(workspace)
    before = client.get_experiment_by_name("warrior chief").tags[key]
    tell(workspace, paint_run(workspace, 2, spec(["x"], [2])))
    assert client.get_experiment_by_name("warrior chief").tags[key] != before


def at_once(*deeds):
    """What went wrong when all ``deeds`` were done at the same time."""
    failures = []

    def one(deed):
        try:
            deed()
        except TrackerError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=one, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_record_of_several_in_a_new_experiment_at_once_succeeds(workspace):
    """Whoever comes second uses what the first one made."""
    runs = [paint_run(workspace, number, spec(["x"], [1])) for number in range(1, 5)]
    assert at_once(*(partial(tell, workspace, run) for run in runs)) == []
    assert len(shown(workspace)) == 4


def test_record_of_one_run_twice_at_once_makes_one(workspace):
    """``sync`` may come upon a run that is just being told."""
    run = paint_run(workspace, 1, spec(["one", "two"], [1]))
    assert at_once(*[partial(tell, workspace, run)] * 4) == []
    assert len(shown(workspace)) == 2


def test_record_of_a_lost_image_is_one_line(workspace):
    """No foreign exception crosses the border."""
    run = paint_run(workspace, 1, spec(["x"], [1]))
    (workspace.root / run.images[0].path).unlink()
    with pytest.raises(TrackerError, match="MLflow could not be told of run 1: ") as caught:
        tell_without_grid(workspace, run)
    assert "\n" not in str(caught.value)


def tell_without_grid(workspace, run):
    MlflowTracker(workspace).record(run, parent=None, thumbnail=b"")


def test_record_without_a_server_is_one_line_and_soon(workspace, unused_port):
    """No minutes of retries, no traceback."""
    tracker = MlflowTracker(workspace, f"http://127.0.0.1:{unused_port}")
    run = paint_run(workspace, 1, spec(["x"], [1]))
    with pytest.raises(TrackerError, match="could not be told of run 1: ") as caught:
        tracker.record(run, parent=None, thumbnail=b"")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_record_errors_of_mlflow_are_translated(workspace, monkeypatch):
    """Whatever is raised beyond the border, an error of ours comes out of it, naming what was tried."""
    from mlflow import MlflowClient

    run = paint_run(workspace, 1, spec(["x"], [1]))
    for failure in (ValueError("a\nb"), KeyError("c"), sqlite3.OperationalError("locked"), RuntimeError()):
        with monkeypatch.context() as failing:
            failing.setattr(MlflowClient, "search_runs", lambda *_, error=failure, **__: (_ for _ in ()).throw(error))
            with pytest.raises(TrackerError, match=r"could not be told of run 1: .") as caught:
                tell_without_grid(workspace, run)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("experiment", "uid"), [("x" * 600, 'it\'s "quoted" %_'), pytest.param(" ", "'", marks=pytest.mark.exhaustive)]
)
def test_record_of_names_that_mlflow_cannot_take_is_found_again(workspace, experiment, uid):
    """A name is shortened, a quote does not end a filter; recording again updates what is there."""
    run = paint_run(workspace, 1, spec(["x"], [1]), experiment=experiment, uid=uid)
    tracker = MlflowTracker(workspace)
    recorded = tracker.record(run, parent=None, thumbnail=b"")
    assert tracker.record(run, parent=None, thumbnail=b"") == recorded
    other = replace(run, id=2, uid=uid.replace("'", "x"))
    assert tracker.record(other, parent=run, thumbnail=b"") != recorded
