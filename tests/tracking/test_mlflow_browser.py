"""What a person sees, in a real browser: pictures at once, words as text, a way back to where a rerun came from."""

from __future__ import annotations

from functools import partial
from importlib.metadata import entry_points

import pytest

from promptlab.images.grid import thumbnail as narrow
from promptlab.images.overview import save_overview
from promptlab.images.report import address_report, save_sweep_report
from promptlab.records import RunStatus
from promptlab.specs import Variant
from promptlab.tracking import MlflowTracker, serve
from promptlab.tracking.prompts import prompt_name
from promptlab.tracking.view import address_path, sweep_key
from promptlab.workspace import Workspace
from tests.browsing import chromium, needs_browser
from tests.images.sweeping import paint_sweep
from tests.tracking.painting import paint_run, spec, thumbnail

NASTY = "<script>alert(1)</script> *bold* @you :fire: <img src=x onerror=alert(2)>"

STEPS = [{"num_inference_steps": "10"}, {"num_inference_steps": "20"}]
SWEEP_VIEW = address_path("2", sweep_key("5" * 32))

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.slow,
    needs_browser,
]


@pytest.fixture(scope="module")
def told(tmp_path_factory, all_tables):
    """Runs of one experiment, whole, varied, failed and empty; in another a sweep of four schedulers × two steps."""
    workspace = Workspace.at(tmp_path_factory.mktemp("browsed"))
    workspace.database.write_bytes(all_tables.read_bytes())
    first = paint_run(workspace, 1, spec(["as it was", "with make-up", "a old chief"], range(8)))
    ages = [Variant(prompt=f"{age} chief", label=age, source=2) for age in ("the oldest", "a old", "a", "a young")]
    rerun = paint_run(workspace, 2, spec(ages, [1], num_inference_steps=25), parent=first)
    failed = paint_run(
        workspace, 3, spec([Variant(prompt=NASTY, label="nasty")], [1, 2]), made=1, status=RunStatus.FAILED, error=NASTY
    )
    nothing = paint_run(workspace, 4, spec(["nothing"], [9]), made=0, status=RunStatus.KILLED)
    tracker = MlflowTracker(workspace)
    ids = {
        run.id: tracker.record(run, parent=parent, thumbnail=thumbnail(workspace, run))
        for run, parent in ((first, None), (rerun, first), (failed, None), (nothing, None))
    }
    axes = [[{"scheduler": name} for name in ("euler", "unipc", "ddim", "pndm")], STEPS]
    sweep, runs = paint_sweep(workspace, axes, seeds=(1, 2), side=128, first=11)
    for run in runs:
        tracker.record(run, parent=None, thumbnail=b"")
    pages = save_overview(sweep, runs, workspace)
    report = save_sweep_report(sweep, runs, workspace)
    ids["sweep"] = tracker.record_sweep(
        sweep, runs, thumbnail=narrow(pages[0]), overviews=pages, report=partial(address_report, report)
    )
    with serve(workspace, port=0) as server:
        yield server, ids


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser, told, request):
    """A first visitor's page; a request that leaves this machine, or a dialog, fails the test.

    What it showed in the end is kept as ``test-artifacts/<test>.png``: to be looked at.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(300_000)
    strange: list[str] = []
    context.on("request", lambda request: None if told[0].url in request.url else strange.append(request.url))
    context.on("dialog", lambda dialog: (strange.append(f"dialog {dialog.message}"), dialog.dismiss()))
    shown = context.new_page()
    yield shown
    shown.screenshot(path=request.config.rootpath / "test-artifacts" / f"{request.node.name}.png")
    context.close()
    assert [one for one in strange if not one.startswith(("data:", "blob:"))] == []


def address_of(told, run, variant=0, tail=""):
    server, ids = told
    return f"{server.url}/#/experiments/1/runs/{ids[run][variant]}{tail}"


def test_ui_app_is_installed():
    """Without the entry point, MLflow's pages are as they come."""
    assert entry_points(group="mlflow.app", name="promptlab")


def test_experiment_page_opens_as_a_matrix_of_seeds_and_variants(told, page):
    """Rows are seeds, the newest run's first; columns are variants, oldest left; the pictures are there."""
    page.goto(told[0].address("warrior chief"))
    header = page.locator("[role=row]", has_text="2 · a young").locator("[role=columnheader]")
    header.nth(8).wait_for()  # each column comes when its run has been asked for its pictures
    names = [text.split("\n")[-1] for text in header.all_inner_texts()]  # a colour stands before each
    assert names == [
        "images",
        "1 · as it was",
        "1 · with make-up",
        "1 · a old chief",
        "2 · the oldest",
        "2 · a old",
        "2 · a",
        "2 · a young",
        "3 · nasty",
    ]
    rows = page.locator("[role=row]", has=page.locator("text=/^seed\\/\\d+$/"))
    assert [row.split()[0] for row in rows.all_inner_texts()] == [f"seed/{seed}" for seed in (1, 2, 0, 3, 4, 5, 6, 7)]
    loaded = "rows => [...rows[0].querySelectorAll('img')].filter(img => img.complete && img.naturalWidth).length"
    page.wait_for_function(f"() => ({loaded})([...document.querySelectorAll('[role=row]')].slice(-8)) == 8")


@pytest.mark.exhaustive
def test_experiment_page_has_nothing_before_the_images(told, page):
    """No assistant, no banner: the first row of pictures is within the first screen."""
    page.goto(told[0].address())
    picture = page.locator("img[src*='get-artifact']").first
    picture.wait_for()
    assert picture.bounding_box()["y"] < 450
    assert page.get_by_placeholder("Ask a question").count() == 0
    assert not page.get_by_text("You're viewing a shared view").first.is_visible()


@pytest.mark.exhaustive
def test_experiment_page_table_shows_the_columns_that_matter(told, page):
    """None of which MLflow chooses by itself."""
    page.goto(told[0].address("warrior chief").replace("compareRunsMode=CHART", "compareRunsMode=TABLE"))
    page.locator(".ag-header-cell[col-id='params.`scheduler`']").wait_for()
    columns = page.eval_on_selector_all(".ag-header-cell", "cells => cells.map(cell => cell.getAttribute('col-id'))")
    for name in ("scheduler", "num_inference_steps", "dtype", "vae"):
        assert f"params.`{name}`" in columns
    assert "metrics.`seconds_per_image`" in columns
    assert page.get_by_text("DPMSolverMultistepScheduler").first.is_visible()


def test_run_page_leads_with_the_grid_and_the_way_back(told, page):
    """The grid on the first screen, whole; one click to the parent, in the mode that shows runs."""
    page.goto(address_of(told, 2))
    grid = page.locator("img[src*='thumb.png']")
    grid.wait_for()
    page.wait_for_function("() => document.querySelector(\"img[src*='thumb.png']\").naturalWidth > 100")
    box = grid.bounding_box()
    assert box["y"] < 250
    assert box["height"] == grid.evaluate("img => img.naturalHeight")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="1 · a old chief").click()
    opened.value.get_by_role("heading", name="1 · a old chief").wait_for()


def test_run_page_words_are_text(told, page):
    """A prompt that holds HTML and Markdown is shown as it was typed; the error too."""
    page.goto(address_of(told, 3))
    page.get_by_text("1 of 2 pictures made: the run failed.").wait_for()
    shown = page.locator("[data-testid=note-editor-preview-content]")
    assert shown.inner_text().count(NASTY) == 2
    assert shown.locator("img").count() == 1


@pytest.mark.exhaustive
def test_run_page_artifacts_have_an_image_by_its_seed(told, page):
    """A deep link to a picture works, under a name people can read."""
    page.goto(address_of(told, 1, 1, "/artifacts/pictures/seed-3.png"))
    page.get_by_text("seed-3.png").first.wait_for()
    page.wait_for_function("() => [...document.images].some(image => image.naturalWidth == 128)")


@pytest.mark.exhaustive
def test_sweep_page_leads_with_the_overview_and_names_its_runs(told, page):
    """The overview whole on the first screen; the runs a click away; the way to compare them."""
    server, ids = told
    page.goto(f"{server.url}/#/experiments/2/runs/{ids['sweep']}?workflowType=machine_learning")
    page.get_by_role("heading", name="sweep 3 · scheduler × num_inference_steps").wait_for()
    page.wait_for_function("() => document.querySelector(\"img[src*='thumb.png']\")?.naturalWidth > 100")
    assert page.locator("img[src*='thumb.png']").bounding_box()["y"] < 250
    rows = page.locator("[data-testid=note-editor-preview-content] tbody tr")
    assert rows.count() == 8
    assert rows.last.inner_text().split() == ["18", "pndm", "20", "1.8"]
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Compare the runs").click()
    opened.value.get_by_text("Parallel Coordinates").wait_for()


@pytest.mark.exhaustive
def test_sweep_page_report_works_among_its_artifacts(told, page):
    """In MLflow's own frame: a table that sorts, axes that change places, and originals from this server."""
    server, ids = told
    page.goto(f"{server.url}/#/experiments/2/runs/{ids['sweep']}/artifacts/report.html")
    report = page.frame_locator("iframe[sandbox]")
    report.get_by_role("gridcell").first.wait_for()
    report.get_by_role("button", name="Table").click()
    assert report.get_by_role("row").count() == 1 + 8
    report.get_by_role("button", name="Grid").click()
    report.get_by_role("gridcell").first.click()
    original = report.locator("#stage img[src*='get-artifact']")
    original.wait_for()
    assert original.evaluate("img => img.decode().then(() => img.naturalWidth)") == 128


@pytest.mark.exhaustive
def test_sweep_view_compares_its_runs_in_charts(told, page):
    """None is collapsed away: a bar for each, a line for each, pictures of each."""
    page.set_viewport_size({"width": 1440, "height": 1800})  # MLflow draws a section when it comes into sight
    page.goto(told[0].url + SWEEP_VIEW)
    page.get_by_text("Parallel Coordinates").wait_for()
    page.locator(".js-plotly-plot .bars .point").nth(7).wait_for(state="attached")
    header = page.locator("[role=row]", has_text="18 · pndm · 20").locator("[role=columnheader]")
    header.nth(8).wait_for()
    names = [text.split("\n")[-1] for text in header.all_inner_texts()]
    assert (names[1], names[8]) == ("18 · pndm · 20", "11 · euler · 10")


@pytest.mark.exhaustive
def test_sweep_view_table_has_its_axes_beside_the_seconds(told, page):
    """Fastest first; the run above them is not among them."""
    page.goto(told[0].url + SWEEP_VIEW.replace("=CHART", "=TABLE"))
    page.locator("[role=gridcell][col-id='metrics.`seconds_per_image`']").nth(7).wait_for()
    columns = page.eval_on_selector_all(".ag-header-cell", "cells => cells.map(cell => cell.getAttribute('col-id'))")
    assert {"params.`sweep.scheduler`", "params.`sweep.num_inference_steps`"} <= set(columns)
    cells = page.locator("[role=gridcell][col-id='metrics.`seconds_per_image`']")
    assert [float(text) for text in cells.all_inner_texts()] == [1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8]


@pytest.mark.exhaustive
def test_prompt_page_shows_versions_in_order(told, page):
    """Versions with their aliases on the prompt's page; what a run added to its parent's comes after these."""
    page.goto(f"{told[0].url}/#/prompts")
    page.get_by_role("link", name="as-it-was").click()
    page.get_by_text("Viewing version 6").wait_for()
    page.get_by_text("run 2, varied from run 1").first.wait_for()
    for alias in ("run-1-1", "run-2-3"):
        page.get_by_text(alias).first.wait_for()


@pytest.mark.exhaustive
def test_prompt_page_a_click_away_from_a_run_shows_words_as_text(told, page):
    """What a user typed is text there, too."""
    page.goto(address_of(told, 3, tail="?workflowType=machine_learning"))
    page.get_by_role("link", name=f"{prompt_name(NASTY)} (v1)").click()
    page.get_by_text("Viewing version 1").wait_for()
    page.get_by_text("*bold*").or_(page.locator("em", has_text="bold")).first.wait_for()
