"""What is used of MLflow's inside: there in the installed one, and done without where another has none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from promptlab.tracking import MlflowTracker, internals, serve
from promptlab.tracking.internals import PARTS, VIEWS, package_folder, recognises, unrecognised, unrecognised_lines
from promptlab.tracking.schema import has_schema
from promptlab.tracking.view import address_path
from promptlab.workspace import Workspace
from tests.tracking.painting import paint_run, spec, thumbnail
from tests.tracking.test_server import fetch


@pytest.fixture
def other_mlflow(tmp_path, monkeypatch):
    """An MLflow of which the page keeps its views otherwise: all other signs are those of the installed one."""
    folder = tmp_path / "mlflow"
    for part in PARTS:
        file = folder / part.files[0].replace("*", "0")
        file.parent.mkdir(parents=True, exist_ok=True)
        known = file.read_text() if file.exists() else ""
        signs = "\n".join(part.signs) if part is not VIEWS else "mlflow.savedViews"
        file.write_text(f"{known}\n{signs}")
    monkeypatch.setattr(internals, "package_folder", lambda: folder)
    return folder


@pytest.fixture
def unknown_mlflow(tmp_path, monkeypatch):
    """An MLflow of which nothing is where it was: an empty folder."""
    folder = tmp_path / "unknown"
    folder.mkdir()
    monkeypatch.setattr(internals, "package_folder", lambda: folder)
    internals.revisions.cache_clear()
    yield folder
    internals.revisions.cache_clear()


def test_internals_of_the_installed_mlflow_are_all_recognised():
    """The release that is tested has every sign; an upgrade that lost one fails here first."""
    assert {part.name: internals._missing(package_folder(), part) for part in PARTS} == {
        part.name: frozenset() for part in PARTS
    }
    assert unrecognised_lines() == ()


def test_internals_without_saved_views_open_mlflows_own_list(other_mlflow):
    """One line says so, and the address has no key that nobody reads."""
    assert unrecognised() == (VIEWS,)
    (line,) = unrecognised_lines()
    assert line.endswith("is not one whose saved views PromptLab knows: experiments open in MLflow's own list of runs")
    assert address_path("3") == "/#/experiments/3/runs"


def test_internals_without_a_package_are_not_recognised(monkeypatch):
    """Where there is no MLflow there is nothing of it."""
    monkeypatch.setattr(internals, "package_folder", lambda: None)
    internals.revisions.cache_clear()
    assert not any(map(recognises, PARTS))
    assert internals.revisions() == (frozenset(), None)
    internals.revisions.cache_clear()


@pytest.mark.mlflow
@pytest.mark.slow
def test_internals_with_unknown_tables_let_mlflow_make_them(tmp_path, unknown_mlflow):
    """Runs are recorded all the same, and found to be."""
    workspace = Workspace.at(tmp_path / "work")
    run = paint_run(workspace, 1, spec(["x"], [1]))
    tracker = MlflowTracker(workspace)
    told = tracker.record(run, parent=None, thumbnail=thumbnail(workspace, run))
    tracker.close()
    assert has_schema(workspace)
    with closing(sqlite3.connect(workspace.database)) as database:
        assert (told[0],) in database.execute("SELECT run_uuid FROM runs").fetchall()


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.exhaustive
def test_internals_unknown_to_the_server_show_mlflows_plain_pages(tmp_path, unknown_mlflow):
    """It starts without our app, says what it does not know, and its address is that of its own list of runs."""
    workspace = Workspace.at(tmp_path / "work")
    run = paint_run(workspace, 1, spec(["x"], [1]))
    MlflowTracker(workspace).record(run, parent=None, thumbnail=thumbnail(workspace, run))
    with serve(workspace, port=0) as server:
        assert server.address() == f"{server.url}/#/experiments/1/runs"
        assert len(server.unrecognised) == len(PARTS)
        assert b"note-view-outer-container" not in fetch(server.url)


def test_part_names_files_of_the_package():
    """A pattern that fits no file would look for signs in nothing."""
    folder = package_folder()
    assert isinstance(folder, Path)
    assert all(any(folder.glob(pattern)) for part in PARTS for pattern in part.files)
