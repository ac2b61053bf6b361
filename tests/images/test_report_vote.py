"""Voting in a report, in a real browser: by mouse, by keyboard, on a telephone, in a sandboxed frame."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from promptlab.images.report import save_report, save_sweep_report
from promptlab.lab.preferences.report_votes import parse_votes
from promptlab.workspace import Workspace
from tests.browsing import needs_browser
from tests.images.sweeping import paint_sweep
from tests.tracking.painting import paint_run, spec

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture(scope="module")
def foxes(tmp_path_factory):
    """Three wordings at two seeds, one picture not made: five pictures, four pairs."""
    workspace = Workspace.at(tmp_path_factory.mktemp("foxes"))
    run = paint_run(workspace, 3, spec(["a red fox", "a blue fox", "a grey fox"], (4, 7)), made=5)
    run = replace(run, images=tuple(replace(one, pixel_sha256=f"{one.position:064x}") for one in run.images))
    return run, save_report(run, workspace)


@pytest.fixture
def opened(browser):
    contexts = []

    def opened(path, *, width=1300, height=900, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(300_000)
        page.goto(path.as_uri())
        page.locator("#bar").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()


def line(page):
    return page.locator("#vote-line").input_value()


def votes(page, runs, start):
    """What the page's line says, read as ``promptlab compare`` reads it."""
    told = re.fullmatch(rf'promptlab compare {start} --votes "([^"]*)"', line(page))
    return [(one.winner.ref, one.loser.ref, one.tie) for one in parse_votes(told[1], runs)]


def shown(page):
    """Which two pictures stand there, told by their letters' own pictures."""
    return page.locator("#vote-pair img").evaluate_all("all => all.map(img => img.src)")


def test_vote_by_keyboard_asks_every_pair_once_and_writes_the_line(opened, foxes):
    """V opens; A, B, = answer; every pair of one seed whose pictures are there; the line is what the command reads."""
    run, path = foxes
    page = opened(path)
    page.keyboard.press("v")
    assert page.locator("#vote-count").inner_text() == "0 of 4 pairs"
    assert line(page) == ""
    assert page.locator("#vote-copy").is_disabled()
    asked = []
    for key in ("a", "ArrowRight", "=", "b"):
        assert re.fullmatch(r"Which is better, at seed [47]\?", page.locator("#vote-title").inner_text())
        asked.append(frozenset(shown(page)))
        page.keyboard.press(key)
    assert len(set(asked)) == 4
    assert page.locator("#vote-title").inner_text() == "No other pair is left."
    given = votes(page, [run], "3")
    assert [tie for _, _, tie in given] == [False, False, True, False]
    assert {frozenset({a, b}) for a, b, _ in given} == {
        frozenset(pair) for pair in (("3/0", "3/2"), ("3/0", "3/4"), ("3/2", "3/4"), ("3/1", "3/3"))
    }
    page.keyboard.press("Escape")
    page.keyboard.press("v")
    assert votes(page, [run], "3") == given  # closing forgets nothing


def test_vote_by_click_is_an_answer_that_undo_takes_back(opened, foxes):
    """The picture that was clicked wins; skipped pairs are not in the line."""
    run, path = foxes
    page = opened(path)
    page.get_by_role("button", name="Vote", exact=True).click()
    page.get_by_role("button", name="B is better").click()
    page.get_by_role("button", name="A is better").click()
    before = votes(page, [run], "3")
    page.get_by_role("button", name="Undo").click()
    assert votes(page, [run], "3") == before[:1]
    page.get_by_role("button", name="Skip").click()
    page.get_by_role("button", name="Neither").click()
    after = votes(page, [run], "3")
    assert (after[0], after[1][2], {*after[1][:2]} != {*before[1][:2]}) == (before[0], True, True)
    assert page.locator("#vote-count").inner_text() == "2 of 4 pairs"
    page.get_by_role("button", name="Copy").click()
    assert re.match(r"Copied|Selected", page.locator("#vote-said").inner_text())


def test_vote_with_filters_asks_only_about_what_is_shown(opened, foxes):
    """Whoever compares two of many wordings filters for them first."""
    _, path = foxes
    page = opened(path)
    page.get_by_role("searchbox").fill("-grey")
    page.get_by_text("4 of 6 pictures").wait_for()
    page.get_by_role("button", name="Vote", exact=True).click()
    assert page.locator("#vote-count").inner_text() == "0 of 2 pairs"


def test_vote_in_a_sweep_writes_a_line_that_names_its_runs(opened, tmp_path):
    """Settings are contenders there; on a telephone the two stand one above the other, and nothing is cut off."""
    sweep, runs = paint_sweep(
        Workspace.at(tmp_path), [[{"num_inference_steps": n} for n in ("5", "10", "20")]], seeds=(1, 2)
    )
    page = opened(save_sweep_report(sweep, runs, Workspace.at(tmp_path)), width=390, height=844, has_touch=True)
    page.get_by_role("button", name="Vote", exact=True).tap()
    for _ in range(3):
        page.get_by_role("button", name="A is better").tap()
    given = votes(page, runs, f"sweep:{sweep.id}")
    assert len(given) == 3
    assert {a.partition("/")[0] for a, _, _ in given} <= {str(run.id) for run in runs}
    boxes = [one.bounding_box() for one in page.locator(".choice").all()]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert page.locator("#vote").evaluate(
        "box => box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight"
    )
