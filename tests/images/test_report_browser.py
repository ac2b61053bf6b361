"""The report in a real browser: by mouse, by keyboard, on a telephone, in the dark, in a sandboxed frame."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from promptlab.expand.word_diff import word_diff
from promptlab.images.report import address_report, save_report, save_sweep_report
from promptlab.specs import Change, Variant
from promptlab.workspace import Workspace
from tests.browsing import needs_browser
from tests.images.sweeping import paint_sweep
from tests.tracking.painting import paint_run, spec

CHIEF = "portrait photo of {} warrior chief, tribal panther make up"
AGES = ("the oldest", "a old", "a", "a young")
NASTY = "<script>alert(1)</script> <img src=x onerror=alert(2)> 늙은 전사 " + "x" * 300
HOST = "http://mlflow.test"
FRAME = """<!doctype html><body style="margin:0"><script>
fetch("/report.html").then(answer => answer.blob()).then(blob => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.style = "border:0;width:100vw;height:100vh";
  frame.src = URL.createObjectURL(new Blob([blob], {type: "text/html"}));
  document.body.append(frame);
});
</script>"""

pytestmark = [
    pytest.mark.slow,
    needs_browser,
]


@pytest.fixture(scope="module")
def ages(tmp_path_factory):
    """The report of a run of four ages × eight seeds, one of them flagged, one not made."""
    workspace = Workspace.at(tmp_path_factory.mktemp("ages"))
    variants = [Variant(prompt=CHIEF.format(age), label=age, negative_prompt="blurry") for age in AGES]
    run = paint_run(workspace, 1, spec(variants, range(8)), made=31)
    flagged = replace(run.images[5], flag="black")
    return save_report(replace(run, images=(*run.images[:5], flagged, *run.images[6:])), workspace)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    workspace = Workspace.at(tmp_path_factory.mktemp("nasty"))
    return save_report(paint_run(workspace, 1, spec([NASTY, f"a {NASTY} b"], (1, 2)), note=NASTY), workspace)


@pytest.fixture(scope="module")
def two_hundred(tmp_path_factory):
    """A sweep of 200 combinations at two seeds; each run slower than the one before."""
    workspace = Workspace.at(tmp_path_factory.mktemp("sweep"))
    axes = [
        [{"dtype": name} for name in ("float32", "float16")],
        [{"scheduler": name} for name in ("euler", "unipc", "ddim", "pndm", "heun")],
        [{"guidance_scale": value} for value in ("1", "3", "5", "7.5", "9")],
        [{"num_inference_steps": value} for value in ("5", "10", "20", "30")],
    ]
    sweep, runs = paint_sweep(workspace, axes, seeds=(1, 2), side=48)
    return save_sweep_report(sweep, runs, workspace)


@pytest.fixture
def opened(browser):
    """Open a report from disk; a request for anything but files, an error or a dialog fails the test."""
    contexts, strange = [], []

    def opened(path, *, width=1400, height=1000, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(300_000)
        page = context.new_page()
        page.on("request", lambda request: strange.append(request.url) if _elsewhere(request.url) else None)
        page.on("dialog", lambda dialog: (strange.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: strange.append(str(error)))
        page.on("console", lambda told: strange.append(told.text) if told.type == "error" else None)
        page.goto(path.as_uri())
        page.locator("#bar").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert strange == []


def _elsewhere(url):
    return not url.startswith(("file:", "data:", "blob:"))


def focused(page):
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_report_grid_has_rows_of_words_and_columns_of_seeds(opened, ages):
    """Every picture is there with its seconds; what is not made says so; a flag is named."""
    page = opened(ages)
    assert [text.split("\n")[0] for text in page.get_by_role("rowheader").all_inner_texts()] == list(AGES)
    assert [text.split("\n")[0] for text in page.get_by_role("columnheader").all_inner_texts()] == [
        f"seed {seed}" for seed in range(8)
    ]
    page.locator(".frame img[src]").nth(30).wait_for()
    page.locator(".frame img").evaluate_all("all => Promise.all(all.map(img => img.decode()))")
    cells = page.get_by_role("gridcell")
    assert cells.count() == 32
    assert cells.first.inner_text() == "0.40 s"
    assert cells.nth(5).inner_text().split("\n") == ["0.40 s", "black"]
    assert cells.last.inner_text() == "not made yet"


def test_report_labels_show_the_words_that_changed(opened, ages):
    """As the words are told apart everywhere else."""
    page = opened(ages)
    for place, age in enumerate(AGES[1:], 1):
        label = page.get_by_role("rowheader").nth(place).locator(".prompt").first
        pieces = word_diff(CHIEF.format(AGES[0]), CHIEF.format(age))
        for tag, kind in (("ins", "added"), ("del", "removed")):
            assert label.locator(tag).all_inner_texts() == [one.text.strip() for one in pieces if one.kind == kind]


def test_report_can_be_used_by_keyboard_alone(opened, ages):
    """Arrows, Enter, Escape; the focus comes back to where one was."""
    page = opened(ages)
    page.keyboard.press("ArrowDown")
    assert focused(page).startswith("1/0 · the oldest · seed 0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert focused(page).startswith("1/9 · a old · seed 1")
    page.keyboard.press("End")
    assert "seed 7" in focused(page)
    page.keyboard.press("ArrowRight")
    assert "seed 7" in focused(page)
    page.keyboard.press("Enter")
    assert page.locator("#viewer-title").inner_text() == "1/15 · a old · seed 7"
    page.keyboard.press("ArrowLeft")
    assert page.locator("#viewer-title").inner_text() == "1/14 · a old · seed 6"
    page.keyboard.press("Escape")
    page.locator(".cell[aria-label^='1/14']:focus").wait_for()
    assert not page.locator("#viewer").is_visible()
    page.keyboard.press("?")
    assert page.get_by_role("heading", name="Keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert focused(page).startswith("Filter by prompt words")


def test_report_image_clicked_shows_everything_and_what_to_type_next(opened, ages):
    """The original, not the thumbnail; the recorded facts; a line that is ready to be completed and copied."""
    page = opened(ages)
    page.get_by_role("gridcell").nth(9).click()
    page.locator("#stage img[src$='v01-seed1.png']").wait_for()
    facts = page.locator("#facts")
    for text in ("blurry", "pixels sha256", "recipe key", "2, 1", "DPMSolverMultistepScheduler", "torch", "2.13.0"):
        assert facts.get_by_text(text, exact=True).count() == 1, text
    assert page.locator("#command").input_value() == "promptlab rerun 1/9"
    page.get_by_role("button", name="+ words").click()
    page.keyboard.type("at night")
    assert page.locator("#command").input_value() == 'promptlab rerun 1/9 --append ", at night"'
    page.locator("#copy").click()
    assert page.locator("#facts .done").inner_text() in ("Copied.", "Selected: press Ctrl+C to copy.")
    assert page.evaluate("getSelection().toString() || document.activeElement.value").startswith("promptlab rerun 1/9")


def test_report_image_is_zoomed(opened, ages):
    """Larger, smaller, and fitted again."""
    page = opened(ages)
    page.get_by_role("gridcell").first.click()
    width = "document.querySelector('#stage img').getBoundingClientRect().width"
    fitted = page.evaluate(width)
    page.keyboard.press("-")
    smaller = page.evaluate(width)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert smaller < fitted
    assert page.evaluate(width) > smaller
    page.keyboard.press("0")
    assert page.evaluate(width) == fitted
    page.keyboard.press("Escape")
    page.locator("#size").fill("320")
    assert page.get_by_role("gridcell").first.bounding_box()["width"] == 320


def test_report_two_images_are_compared(opened, ages):
    """Marked with C; flicker, slider, difference and side by side; both go on to the next seed."""
    page = opened(ages)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    pair = page.locator("#stage .pair")
    assert pair.get_attribute("data-mode") == "flicker"
    page.locator(".pair.second").wait_for()
    page.locator(".pair:not(.second)").wait_for()
    page.keyboard.press("Space")
    held = pair.get_attribute("class")
    page.keyboard.press("Space")
    assert pair.get_attribute("class") != held
    page.keyboard.press("2")
    page.locator("#slide").fill("25")
    assert "25%" in page.locator(".pair img.b").evaluate("img => getComputedStyle(img).clipPath")
    page.keyboard.press("3")
    assert page.locator(".pair img.b").evaluate("img => getComputedStyle(img).mixBlendMode") == "difference"
    page.keyboard.press("4")
    first, second = (page.locator(f".pair img.{one}").bounding_box() for one in "ab")
    assert first["x"] + first["width"] <= second["x"]
    assert page.locator("#viewer-title").inner_text() == "A and B at seed 0"
    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer-title").inner_text() == "A and B at seed 1"
    assert page.locator("#facts ins").all_inner_texts() == ["a old"]
    page.get_by_label("B: seed").select_option(label="4")
    assert "different noise" in page.locator("#viewer-title").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".cell.marked").count() == 2


def test_report_one_wording_flows_over_lines(opened, tmp_path):
    """Its seeds take as many lines as they need; arrows up and down go from line to line."""
    workspace = Workspace.at(tmp_path)
    page = opened(save_report(paint_run(workspace, 1, spec(["a fox"], range(20)), side=32), workspace), width=900)
    tops = page.locator(".cell").evaluate_all("cells => cells.map(cell => cell.offsetTop)")
    line = tops.count(tops[0])
    assert 1 < line < 20
    assert page.locator(".cell").first.text_content() == "seed 00.40 s"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert focused(page).startswith(f"1/{line} · seed {line}")
    page.keyboard.press("ArrowUp")
    assert focused(page).startswith("1/0 · seed 0")


def test_report_with_reduced_motion_does_not_flicker(opened, ages):
    """The other picture comes when it is asked for."""
    page = opened(ages, reduced_motion="reduce")
    for key in ("ArrowRight", "c", "ArrowDown", "c"):
        page.keyboard.press(key)
    assert page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
    assert page.locator(".pair.second").count() == 0
    page.keyboard.press("Space")
    assert page.locator(".pair.second").count() == 1


def test_report_prompts_are_filtered_by_their_words(opened, ages):
    """All words must be there, and none behind a minus."""
    from playwright.sync_api import expect

    page = opened(ages)
    for typed, left in (("OLDEST chief", 8), ("chief -old", 16), ('"a young"', 8), ("-old -young", 8), ("zebra", 0)):
        page.locator("#query").fill(typed)
        expect(page.locator(".cell")).to_have_count(left)
    assert page.get_by_text("No picture is left").is_visible()
    page.locator("#query").fill("")
    expect(page.locator(".cell")).to_have_count(32)


def test_report_axes_are_rows_columns_or_pages(opened, two_hundred):
    """Any of them, several at once, swapped, turned, and without some values."""
    page = opened(two_hundred)
    grid = page.get_by_role("grid")
    assert (grid.get_attribute("aria-rowcount"), grid.get_attribute("aria-colcount")) == ("5", "4")
    assert page.get_by_role("gridcell").first.inner_text() == "0.10 s"
    page.get_by_label("scheduler: next").click()
    assert page.get_by_label("scheduler", exact=True).input_value() == "1"
    page.keyboard.press("]")
    assert page.get_by_label("dtype", exact=True).input_value() == "1"
    assert page.get_by_role("gridcell").first.inner_text() == "12 s"
    page.get_by_role("group", name="scheduler as").get_by_role("button", name="rows").click()
    page.get_by_role("group", name="seed as").get_by_role("button", name="columns").click()
    assert (grid.get_attribute("aria-rowcount"), grid.get_attribute("aria-colcount")) == ("25", "8")
    page.get_by_role("button", name="Swap rows and columns").click()
    assert (grid.get_attribute("aria-rowcount"), grid.get_attribute("aria-colcount")) == ("8", "25")
    page.locator(".axis", has_text="guidance").locator("summary").click()
    page.get_by_role("button", name="None").click()
    page.get_by_label("7.5").check()
    assert (grid.get_attribute("aria-rowcount"), grid.get_attribute("aria-colcount")) == ("8", "5")


def test_report_two_hundred_combinations_are_sorted(opened, two_hundred):
    """In the table by any column; in the grid by what they take."""
    page = opened(two_hundred)
    page.keyboard.press("t")
    rows = page.locator("tbody tr")
    assert rows.count() == 200
    page.get_by_role("button", name="seconds an image").click()
    page.get_by_role("button", name="seconds an image").click()
    assert page.locator("th[aria-sort=descending]").count() == 1
    assert rows.first.inner_text().split()[:5] == ["200", "float16", "heun", "9", "30"]
    rows.first.get_by_role("button").first.click()
    assert page.locator("#viewer-title").inner_text().startswith("200/0 · float16 · heun")
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.get_by_label("Order").select_option("slow")
    assert page.get_by_role("rowheader").first.text_content().startswith("guidance 9")


def test_report_words_are_text(opened, nasty):
    """Nothing that was typed runs, loads or becomes an element, wherever it is shown."""
    page = opened(nasty)
    assert page.locator("img[src=x]").count() == 0
    page.get_by_role("gridcell").first.click()
    assert page.locator("#facts").get_by_text(NASTY, exact=True).count() >= 2
    assert page.locator("#facts script, #facts img").count() == 0


def test_report_on_a_telephone_needs_no_sideways_scroll(opened, ages, nasty, two_hundred):
    """390 pixels hold the page, and the picture with its facts; only the grid itself may be wider."""
    for report in (ages, nasty, two_hundred):
        page = opened(report, width=390, height=844, has_touch=True)
        wide = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
        assert page.evaluate(wide) <= 390
        for part in ("header", "#bar", "#query", "#help"):
            box = page.locator(part).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        page.get_by_role("gridcell").first.tap()
        page.locator("#viewer").wait_for()
        assert page.evaluate(wide) <= 390
        for part in ("#stage", "#facts", "#close", "#copy"):
            box = page.locator(part).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        assert page.evaluate("document.querySelector('#facts').scrollWidth") <= 390


def test_report_is_light_or_dark(opened, ages):
    """As the reader's system is, and the other way round on request."""
    paper = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number).at(0)"
    for scheme, first, then in (("light", 251, 22), ("dark", 22, 251)):
        page = opened(ages, color_scheme=scheme)
        assert page.evaluate(paper) == first
        page.get_by_role("button", name="Light or dark").click()
        assert page.evaluate(paper) == then


@pytest.fixture
def framed(browser, ages):
    """The report as MLflow shows it: a blob in a sandboxed frame of a server, some of whose pictures are there."""
    asked = []
    context = browser.new_context(viewport={"width": 900, "height": 700})
    context.set_default_timeout(300_000)
    address_report(ages, "7", {(1, 0): "a" * 32, (1, 1): "b" * 32})

    def answer(route):
        url = route.request.url
        asked.append(url)
        found = re.fullmatch(rf"{HOST}/get-artifact\?run_uuid=a{{32}}&path=pictures%2Fseed-(\d)\.png", url)
        if url == f"{HOST}/":
            route.fulfill(body=FRAME, content_type="text/html")
        elif url == f"{HOST}/report.html":
            route.fulfill(path=str(ages))
        elif found:
            route.fulfill(path=str(ages.parent / f"v00-seed{found[1]}.png"))
        else:
            route.fulfill(status=404)

    context.route(re.compile("^http"), answer)
    page = context.new_page()
    page.goto(HOST)
    frame = page.frame_locator("iframe")
    frame.locator(".cell").first.wait_for()
    yield page, frame, asked
    context.close()


def test_report_works_in_a_sandboxed_frame(framed):
    """The original comes from the server that the frame's address names; nothing else is asked for."""
    page, frame, asked = framed
    assert frame.locator("body").evaluate("() => window.origin") == "null"
    frame.get_by_role("gridcell").nth(3).click()
    frame.locator("#stage img[src*='seed-3.png']").wait_for()
    assert frame.locator("#stage img").evaluate("img => img.naturalWidth") == 128
    page.keyboard.press("ArrowLeft")
    frame.locator("#stage img[src*='seed-2.png']").wait_for()
    assert {url for url in asked if "get-artifact" not in url} <= {
        f"{HOST}/",
        f"{HOST}/report.html",
        f"{HOST}/favicon.ico",
    }


def test_report_original_that_does_not_come_is_said(framed):
    """The small picture stands in for it, and does not pass for it."""
    _, frame, _ = framed
    frame.get_by_role("gridcell").nth(9).click()
    frame.get_by_text("small picture, enlarged").wait_for()
    assert frame.locator("#stage img").get_attribute("src").startswith("data:image/webp")


def test_report_addresses_can_be_taken_out_of_the_frame(framed):
    """A frame may not open pages; it hands out the address of the run's own page."""
    _, frame, _ = framed
    frame.get_by_role("gridcell").first.click()
    frame.get_by_role("link", name="copy its page's address").click()
    assert frame.locator(".copied").input_value() == (
        f"{HOST}/#/experiments/7/runs/{'a' * 32}?workflowType=machine_learning"
    )


def test_report_wordings_of_one_seed_stand_in_a_row_as_the_grid_has_them(opened, tmp_path):
    """Their own words below them; more wordings than seeds run across, too, and long ones stand beside rows."""
    workspace = Workspace.at(tmp_path)
    variants = [Variant(prompt=CHIEF.format(age), label=age) for age in AGES]
    page = opened(save_report(paint_run(workspace, 1, spec(variants, (7,)), side=32), workspace))
    tops = page.locator(".cell").evaluate_all("cells => cells.map(cell => cell.offsetTop)")
    assert (len(tops), len(set(tops))) == (4, 1)
    assert page.locator(".cell .value").all_inner_texts() == list(AGES)
    page.goto(save_report(paint_run(workspace, 2, spec(variants, (7, 8)), side=32), workspace).as_uri())
    page.locator("#bar").wait_for()
    assert [one.split("\n")[0] for one in page.get_by_role("columnheader").all_inner_texts()] == list(AGES)
    assert [one.split("\n")[0] for one in page.get_by_role("rowheader").all_inner_texts()] == ["seed 7", "seed 8"]


def test_report_of_one_wording_says_its_prompt_and_where_it_came_from(opened, tmp_path):
    """At once, the words marked as they changed since the parent, and the settings that changed."""
    workspace = Workspace.at(tmp_path)
    run = paint_run(workspace, 2, spec([Variant(prompt="a young fox", negative_prompt="blurry")], (1, 2)), side=32)
    changes = (
        Change(field="prompts", before=["a old fox"], after=["a young fox"]),
        Change(field="num_inference_steps", before=10, after=20),
    )
    page = opened(save_report(replace(run, parent_run_id=1, changes=changes), workspace))
    head = page.locator("header")
    assert (head.locator("del").inner_text(), head.locator("ins").inner_text()) == ("old", "young")
    said = head.inner_text()
    for text in ("not blurry", "varied from run 1", "num_inference_steps 10 → 20"):
        assert text in said


@pytest.mark.exhaustive
def test_report_words_that_changed_are_those_since_the_parent(opened, tmp_path):
    """Below every picture of a run that was varied: not since the first of its own wordings."""
    workspace = Workspace.at(tmp_path)
    variants = [Variant(prompt=f"{CHIEF.format(age)}, at night", label=age, source=at) for at, age in enumerate(AGES)]
    before = [CHIEF.format(age) for age in AGES]
    changes = (Change(field="prompts", before=before, after=[one.prompt for one in variants]),)
    run = replace(paint_run(workspace, 2, spec(variants, (7,)), side=32), parent_run_id=1, changes=changes)
    page = opened(save_report(run, workspace))
    assert page.locator(".cell ins").all_inner_texts() == [", at night"] * 4
    assert page.locator(".cell del").count() == 0


def test_report_enlarged_image_is_smooth_until_its_pixels_are_asked_for(opened, ages):
    """By the button or P, in the single picture; and back."""
    page = opened(ages)
    page.get_by_role("gridcell").first.click()
    page.locator("#stage img[src$='v00-seed0.png']").wait_for()
    shown = "getComputedStyle(document.querySelector('#stage img')).imageRendering"
    assert page.evaluate(shown) == "auto"
    page.keyboard.press("p")
    assert page.evaluate(shown) == "pixelated"
    page.get_by_role("button", name="Pixels").click()
    assert page.evaluate(shown) == "auto"


def test_report_seconds_of_a_run_are_seen_on_hover(opened, ages):
    """And all of them where speed is the question: in any order but the one that was asked for."""
    page = opened(ages)
    seen = "all => all.map(one => getComputedStyle(one).opacity)"
    assert set(page.locator(".taken").evaluate_all(seen)) == {"0"}
    page.get_by_role("gridcell").nth(1).hover()
    assert page.locator(".taken").evaluate_all(seen)[:3] == ["0", "1", "0"]
    page.get_by_label("Order").select_option("slow")
    assert set(page.locator(".taken").evaluate_all(seen)) == {"1"}


def test_report_headers_of_rows_keep_their_width_in_a_narrow_frame(opened, ages):
    """Measured again, too: a scroll bar takes some of a frame that is a little wider than a narrow one."""
    page = opened(ages, width=704)
    page.add_style_tag(content="#page { border-right: 15px solid; }")
    for keys in ("", "tt"):
        for key in keys:
            page.keyboard.press(key)
        boxes = [one.bounding_box() for one in page.locator(".side").all()]
        assert boxes
        assert all(box["width"] > 200 for box in boxes)
