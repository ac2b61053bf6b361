"""The page in a real browser: the story, two tabs and a terminal, a restart, and whether everybody can use it."""

from __future__ import annotations

import re
import threading
from importlib.resources import files

import pytest

from promptlab.images.png import write_png
from promptlab.lab import Lab
from promptlab.page.page_server import ASSETS
from promptlab.specs import Variant
from promptlab.testing import Painter
from tests.browsing import chromium, needs_browser
from tests.images.conftest import painted
from tests.page.serving import page_of

pytestmark = [pytest.mark.slow, needs_browser]

FOXES = "a {red|blue} fox"
PLAIN = {"negatives": [], "settings": {"steps": ["1"]}, "parent": None}
NASTY = "<script>alert(1)</script> <img src=x onerror=alert(2)> 늙은 전사"


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def served(workspace):
    """A page whose pictures are painted, with the files that are shipped."""
    with page_of(workspace, Painter(), assets=ASSETS) as page:
        yield page


@pytest.fixture
def opened(browser):
    """Open an address; a request to anybody else, an error of the page or a refused file fails the test."""
    contexts, strange = [], []

    def opened(address, *, width=1400, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        own = (re.match(r"http://[^/]+", address)[0], "blob:", "data:")
        page.on("request", lambda one: None if one.url.startswith(own) else strange.append(one.url))
        page.on("dialog", lambda dialog: (strange.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: strange.append(str(error)))
        page.goto(address)
        page.locator("#planned", has_text=re.compile(".")).wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert strange == []


def made(page, pictures):
    """Wait until so many pictures of the newest generation are there."""
    newest = page.locator(".generation").first
    newest.locator(".cell img").nth(pictures - 1).wait_for()
    return newest


def line_says(page, command):
    """Wait until the command line below the box is this one."""
    from playwright.sync_api import expect

    expect(page.locator("#line")).to_have_value(command, timeout=60_000)


def make(page, words, pictures, *, seeds="0-1"):
    """Type words and have them made."""
    before = page.locator(".generation").count()
    page.locator("#seeds").fill(seeds)
    page.locator("#prompt").fill(words)
    page.locator("#make", has_text=f"Make {pictures} picture").wait_for()
    page.locator("#prompt").press("Enter")
    page.locator(".generation").nth(before).wait_for()
    return made(page, pictures)


@pytest.mark.xdist_group("torch")
def test_page_story_is_done_with_the_bundled_model_in_two_acts_a_turn(opened, workspace):
    """Words, pictures, a click on one, other words: its seed and setting are kept, and what changed is marked."""
    from promptlab.engine.diffusers_engine import DiffusersEngine

    with page_of(workspace, DiffusersEngine(), assets=ASSETS) as served:
        page = opened(served.address)
        page.locator("#setting > summary").click()
        page.get_by_label("steps", exact=True).fill("3")
        make(page, "portrait photo of a old warrior chief", 2)
        page.locator(".cell .frame").nth(1).click()  # the first act
        assert page.locator("#seeds").input_value() == "1"
        page.keyboard.type(", blue on red")  # the second
        page.keyboard.press("Enter")
        page.locator("#run-2").wait_for()
        newest = made(page, 1)
        assert newest.locator(".headline ins").inner_text() == ", blue on red"
        assert newest.locator("a.origin").inner_text() == "← 1/1"
        assert page.url == f"{served.url}/run/1/1"
        line = page.locator("#line").input_value()
        assert line.startswith("promptlab rerun 1/1 --")
        page.locator("#run-2 .note", has_text="seed 1").wait_for()
        page.locator("#run-2 .frame").focus()
        page.keyboard.press("4")
        page.locator("#run-2 .stars").wait_for()
        page.keyboard.press("b")
        page.locator("#viewer-title", has_text="A and B at seed 1").wait_for()
        assert page.locator("#facts ins").all_inner_texts() == [", blue on red"]
        page.keyboard.press("Escape")
        page.locator("#run-2 .frame").focus()
        page.keyboard.press("y")
        page.locator("#run-2 .exact").wait_for()
    run = Lab(workspace, engine=Painter()).history.find("2").run
    assert (run.images[0].parent, run.images[0].stars, run.spec.call.num_inference_steps) == ((1, 1), 4, 3)


def test_page_in_two_tabs_shows_what_a_terminal_makes(opened, served, workspace):
    """What one tab makes the other shows, stars too; so do both with what another process made."""
    one, other = opened(served.address), opened(served.address)
    make(one, FOXES, 4)
    made(other, 4)
    one.locator(".cell .frame").nth(2).focus()
    one.keyboard.press("5")
    other.locator(".cell", has_text="★★★★★").wait_for()
    lab = Lab(workspace, engine=Painter())
    lab.run(lab.history.find("1").run.spec.vary(variants=(Variant(prompt="a cat"),)))
    for page in (one, other):
        page.locator("#run-2").wait_for()
        made(page, 2)


def test_picture_with_the_focus_keeps_it_when_its_run_has_news(opened, served):
    """A run that is shown anew, since MLflow was told or more was made, takes the keys from nobody."""
    page = opened(served.address)
    make(page, FOXES, 4)
    made(page, 4)
    page.locator(".cell .frame").nth(2).focus()
    ref = page.evaluate("document.activeElement.closest('.cell').dataset.ref")
    page.evaluate("document.activeElement.id = 'before-the-news'")
    page.evaluate("import('/assets/tree.js').then((tree) => tree.showTree([1]))")
    page.locator("#before-the-news").wait_for(state="detached")
    assert page.evaluate("document.activeElement.closest('.cell')?.dataset.ref") == ref


def test_page_open_while_the_server_is_restarted_loses_nothing(opened, workspace):
    """It says so, finds the server again, and shows what was made meanwhile; what was typed stays."""
    with page_of(workspace, Painter(), assets=ASSETS) as served:
        page = opened(served.address)
        make(page, "a fox", 2)
        page.locator("#prompt").fill("a fox at night")
        where = served.where
    page.get_by_text("The server does not answer").wait_for()
    lab = Lab(workspace, engine=Painter())
    lab.run(lab.history.find("1").run.spec.vary(variants=(Variant(prompt="a cat"),)))
    with page_of(workspace, Painter(), assets=ASSETS, port=where.port, token=where.token):
        page.locator("#run-2").wait_for()
        page.get_by_text("The server does not answer").wait_for(state="detached")
        assert page.locator("#prompt").input_value() == "a fox at night"
        page.locator("#make:not([disabled])").wait_for()
        make(page, "a fox at dawn", 2)


def violations(page):
    """Return what axe-core finds that is serious or worse: rule and elements."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_page_has_no_serious_violation_of_accessibility(opened, served):
    """As axe-core finds them: names, roles, contrast; with pictures, with a picture large, and in the dark."""
    page = opened(served.address)
    make(page, FOXES, 4)
    page.locator("#setting > summary").click()
    page.locator("#setting .rest > summary").click()
    page.locator(".live").wait_for(state="detached")
    assert violations(page) == []
    page.locator("#theme").click()
    assert violations(page) == []
    page.locator(".cell .frame").first.focus()
    page.keyboard.press("Space")
    page.locator("#viewer").wait_for()
    assert violations(page) == []


@pytest.mark.exhaustive
def test_page_selected_words_become_alternatives(opened, served):
    """With {, and with a suggestion from what was tried here; both are one selection and one act."""
    page = opened(served.address)
    make(page, "a {red|blue} fox", 4)
    page.locator("#prompt").fill("a red fox")
    page.locator("#prompt").evaluate("box => { box.focus(); box.setSelectionRange(2, 5); }")
    page.get_by_role("button", name="blue", exact=True).click()
    assert page.locator("#prompt").input_value() == "a {red|blue} fox"
    page.locator("#prompt").evaluate("box => { box.value = 'a red fox'; box.focus(); box.setSelectionRange(6, 9); }")
    page.keyboard.press("{")
    page.keyboard.type("cat")
    assert page.locator("#prompt").input_value() == "a red {fox|cat}"
    page.locator("#wordings summary", has_text="2 wordings").wait_for()


@pytest.mark.exhaustive
def test_page_keys_walk_judge_and_go_on(opened, served):
    """Arrows, stars, favourite, large, new seeds, more like it, fold, parent: without a mouse."""
    page = opened(served.address)
    make(page, FOXES, 4)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    label = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(label).startswith("1/0 · red · seed 0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(label).startswith("1/3 · blue · seed 1")
    page.keyboard.press("3")
    page.keyboard.press("f")
    page.locator(".cell", has_text="★★★♥").wait_for()
    page.keyboard.press("Space")
    assert page.locator("#viewer-title").inner_text().startswith("1/3 · blue")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#viewer-title").inner_text().startswith("1/2 · blue")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.locator("#run-2").wait_for()
    made(page, 4)
    page.locator("#run-1 .frame").nth(3).focus()
    page.keyboard.press("m")
    page.locator("section[id^=sweep]").wait_for()
    made(page, 4)
    page.locator("#run-2 .frame").first.focus()
    page.keyboard.press("p")
    page.locator("#run-1.target").wait_for()
    page.keyboard.press("z")
    page.locator("#run-1 .fold[aria-expanded=false]").wait_for()
    assert page.locator("#run-1 .cell").count() == 0


@pytest.mark.exhaustive
def test_page_several_values_of_a_setting_are_a_sweep(opened, served):
    """They stand below one another as one generation, each line with its value."""
    page = opened(served.address)
    page.locator("#setting > summary").click()
    page.get_by_label("steps", exact=True).fill("2, 3, 5")
    sweep = make(page, "a fox", 6)
    assert sweep.get_attribute("aria-label").startswith("Sweep")
    assert [text.strip() for text in sweep.locator(".label").all_inner_texts()] == ["steps 2", "steps 3", "steps 5"]
    sweep.get_by_role("button", name="New seeds").click()
    page.locator("#sweep-2").wait_for()
    again = made(page, 6)
    assert again.locator("a.origin").inner_text() == "← 1"
    assert [text.strip() for text in again.locator(".label").all_inner_texts()] == ["steps 2", "steps 3", "steps 5"]


@pytest.mark.exhaustive
def test_page_what_was_typed_outlives_a_reload(opened, served):
    """Also where the address is that of the picture that one went on from."""
    page = opened(served.address)
    make(page, "a fox", 2)
    page.locator(".cell .frame").nth(1).click()
    page.keyboard.type(" at night")
    line_says(page, re.compile("a fox at night"))
    assert page.url.endswith("/run/1/1")
    page.reload()
    page.locator("#run-1.target").wait_for()
    page.locator("#from-picture").wait_for()
    assert page.locator("#prompt").input_value() == "a fox at night"


@pytest.mark.exhaustive
def test_page_asked_for_what_is_there_says_so(opened, served):
    """Nothing new appears, so it is said where the pictures are."""
    page = opened(served.address)
    make(page, "a fox", 2)
    page.locator(".live").wait_for(state="detached")
    page.locator("#prompt").press("Enter")
    page.locator(".notice", has_text="there already: run 1.").wait_for()
    page.locator("#run-1.target").wait_for()
    page.get_by_label("Make again").check()
    line_says(page, re.compile(" --again$"))
    page.locator("#planned", has_not_text="already").wait_for()
    page.locator("#make").click()
    page.locator("#run-2").wait_for()
    page.locator("#again:not(:checked)").wait_for(state="attached")


@pytest.mark.exhaustive
def test_page_negative_prompt_of_several_lines_stays_one(opened, served):
    """As it is in pictures of other programs; lines that are typed are compared."""
    served.made(PLAIN | {"prompt": "a fox", "seeds": "0", "negatives": ["blurry,\nugly"]})
    page = opened(f"{served.url}/run/1/0?token={served.where.token}")
    line_says(page, "promptlab rerun 1/0")
    page.locator("#negative").fill("blurry\nugly")
    page.locator("#make", has_text="Make 2 pictures").wait_for()


@pytest.mark.exhaustive
def test_page_stop_takes_a_job_that_waits_out_of_the_line(opened, workspace):
    """One click: it is never begun, and the one before it is carried out."""
    may = threading.Event()

    class Held(Painter):
        def _paint(self, request, **where):
            may.wait()
            return super()._paint(request, **where)

    painter = Held()
    with page_of(workspace, painter, assets=ASSETS) as served:
        try:
            page = opened(served.address)
            page.locator("#seeds").fill("0-1")
            for number, words in enumerate(("a fox", "a hen")):
                page.locator("#prompt").fill(words)
                line_says(page, re.compile(re.escape(words)))
                page.locator("#make", has_text="Make 2 pictures").click()
                page.locator("#queue .job").nth(number).wait_for()
            waiting = page.locator("#queue .job", has_text="waits, 1 before it")
            waiting.get_by_role("button", name="Stop").click()
            waiting.wait_for(state="detached")
            may.set()
            made(page, 2)
            page.locator("#queue .job").wait_for(state="detached")
        finally:
            may.set()
    assert {request.prompt for request in painter.painted} == {"a fox"}


@pytest.mark.exhaustive
def test_page_outcome_is_seen_while_a_picture_is_large(opened, served):
    """Said in the window that covers all else, and among what is recorded."""
    page = opened(served.address)
    make(page, "a fox", 2)
    page.locator(".live").wait_for(state="detached")
    page.locator(".cell .frame").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("y")
    page.locator("#viewer .notice", has_text="1/0 is exact").wait_for()
    page.locator("#facts dd", has_text=re.compile("^exact$")).wait_for()
    page.keyboard.press("Escape")
    page.locator("#viewer").wait_for(state="hidden")
    assert page.locator("body > #notices").count() == 1


@pytest.mark.exhaustive
def test_page_field_that_is_emptied_means_the_default(opened, served):
    """And not what the picture has that one goes on from."""
    served.made(PLAIN | {"prompt": "a fox", "seeds": "0"})
    page = opened(f"{served.url}/run/1/0?token={served.where.token}")
    line_says(page, "promptlab rerun 1/0")
    page.locator("#setting > summary").click()
    page.get_by_label("steps", exact=True).fill("")
    line_says(page, "promptlab rerun 1/0 --steps default")


@pytest.mark.exhaustive
def test_page_leads_to_mlflow_once_its_pages_are_served(opened, served):
    """They start later than the page, which is open by then."""
    page = opened(served.address)
    page.locator("#mlflow").wait_for(state="hidden")
    served.show_mlflow("http://127.0.0.1:5999")
    page.locator("#mlflow[href='/mlflow']").wait_for()


@pytest.mark.exhaustive
def test_page_error_names_the_field_while_one_types(opened, served):
    """Before anything is made: the sentence, the field, and no button to press."""
    page = opened(served.address)
    page.locator("#prompt").fill("a {fox")
    page.locator("#wrong", has_text=re.compile(".")).wait_for()
    assert page.locator("#prompt").get_attribute("aria-invalid") == "true"
    assert page.locator("#make").is_disabled()
    page.locator("#prompt").fill("a fox")
    page.locator("#seeds").fill("7-1")
    page.locator("#seeds[aria-invalid=true]").wait_for()


@pytest.mark.exhaustive
def test_page_dropped_picture_is_imported_and_ready_to_vary(opened, served, tmp_path):
    """What another program wrote fills the box; what could not be taken over is listed."""
    page = opened(served.address)
    path = tmp_path / "foreign.png"
    text = (
        "a fox\nNegative prompt: blurry\nSteps: 7, Sampler: Euler, CFG scale: 4, Seed: 5, Size: 32x32, Hires upscale: 2"
    )
    write_png(path, painted(0, 5), {"parameters": text})
    page.locator("#file").set_input_files(path)
    page.locator(".notice", has_text="imported").wait_for()
    assert page.locator(".notice", has_text="Not taken over").count() == 1
    assert page.locator("#prompt").input_value() == "a fox"
    assert page.locator("#negative").input_value() == "blurry"
    assert page.locator("#seeds").input_value() == "5"
    assert "steps 7" in page.locator("#setting-said").inner_text()
    assert page.locator("#from-said").inner_text().startswith("from 1/0")


@pytest.mark.exhaustive
def test_page_address_of_an_old_picture_shows_it(opened, served):
    """However many runs lie above; Back goes to the picture before."""
    for at in range(30):
        served.made(
            {"prompt": f"a fox {at}", "negatives": [], "seeds": "0-1", "settings": {"steps": ["1"]}, "parent": None}
        )
    page = opened(f"{served.url}/run/2/1?token={served.where.token}")
    page.locator("#run-2.target .cell.here").wait_for()
    assert page.locator("#prompt").input_value() == "a fox 1"
    page.locator("#run-2 .frame").first.click()
    assert page.url.endswith("/run/2/0")
    page.go_back()
    page.locator(".here [aria-label^='2/1']").wait_for()


@pytest.mark.exhaustive
def test_page_older_runs_come_when_one_scrolls_to_them(opened, served):
    """Twenty at a time, down to the first."""
    for at in range(45):
        served.made(PLAIN | {"prompt": f"a fox {at}", "seeds": "0"})
    page = opened(served.address)
    assert page.locator(".generation").count() == 20
    for there in (40, 45):
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.locator(".generation").nth(there - 1).wait_for(state="attached")
    page.locator("#said", has_text="45 runs").wait_for()


@pytest.mark.exhaustive
def test_page_votes_are_kept_at_once(opened, served):
    """The same table that the command line's votes are in."""
    page = opened(served.address)
    make(page, FOXES, 4)
    page.get_by_role("button", name="Vote", exact=True).click()
    with page.expect_response("**/api/votes"):
        page.get_by_role("button", name="A is better").click()
    page.locator("#vote-count", has_text="1 of 2").wait_for()
    with page.expect_response("**/api/votes"):
        page.keyboard.press("=")
    page.get_by_text("All pairs are answered.").wait_for()
    with page.expect_response("**/api/votes/undo"):
        page.keyboard.press("Backspace")
    page.locator("#vote-count", has_text="1 of 2").wait_for()
    run = served.get("/api/runs/1").json
    assert [sum(image[name] for image in run["images"]) for name in ("votes_won", "votes_lost")] == [1, 1]


@pytest.mark.exhaustive
def test_page_report_shows_its_pictures_in_full_and_leads_back(opened, served):
    """In its sandbox, without a cookie; of another workspace's run with the same number it is said that it is none."""
    page = opened(served.address)
    make(page, FOXES, 4)
    page.locator(".live").wait_for(state="detached")
    with page.context.expect_page() as shown:
        page.get_by_role("link", name="report").click()
    report = shown.value
    with report.expect_response("**/v01-seed0.png") as full:
        report.locator(".cell").nth(2).click()
    assert full.value.status == 200
    with page.context.expect_page() as led:
        report.get_by_role("link", name="Go on from it").click()
    led.value.locator("#run-1.target .here [aria-label^='1/2']").wait_for()
    strange = opened(f"{served.url}/run/1/2?token={served.where.token}&uid=0123")
    strange.locator(".notice", has_text="another one").wait_for()
    assert strange.locator(".target").count() == 0


@pytest.mark.exhaustive
def test_page_words_are_text(opened, served):
    """Nothing that was typed runs, loads or becomes an element, wherever it is shown."""
    page = opened(served.address)
    make(page, NASTY, 2)
    page.locator(".cell .frame").first.click()
    page.locator(".cell .glass").first.click()
    page.locator("#facts").get_by_text(NASTY, exact=True).wait_for()
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.exhaustive
def test_page_on_a_telephone_is_a_column(opened, served):
    """390 pixels hold all of it, and a picture with its facts."""
    page = opened(served.address, width=390, height=844, has_touch=True, color_scheme="dark")
    make(page, FOXES, 4)
    wide = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
    assert page.evaluate(wide) <= 390
    page.locator(".cell .glass").first.tap()
    page.locator("#viewer").wait_for()
    assert page.evaluate(wide) <= 390
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 23, 25)"


@pytest.mark.exhaustive
def test_page_of_many_pictures_keeps_few_elements(opened, served):
    """A thousand pictures of a run are elements only near the window."""
    served.made(PLAIN | {"prompt": "a fox", "seeds": "0-999"})
    page = opened(served.address)
    page.locator(".cell img").first.wait_for()
    assert page.locator(".cell").count() < 300
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator("[aria-label^='1/999']").wait_for()
    assert page.locator(".cell").count() < 400
