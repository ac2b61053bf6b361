"""The report as a file: everything in it, nothing typed that becomes markup, small however much it shows."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from promptlab.errors import StoreError
from promptlab.images.png import write_png
from promptlab.images.report import address_report, save_report, save_sweep_report
from promptlab.images.report.page import LIMIT, safe_json
from promptlab.images.report.thumbnails import thumbnails
from promptlab.specs import Change, Variant
from tests.images.sweeping import paint_sweep

NASTY = (
    "<script>alert(1)</script> </script><img src=x onerror=alert(2)> <!-- &lt; &amp; \u2028\u2029",
    "${x} {{7*7}} {% x %} \" ' `",
    "늙은 전사 족장의 초상 👩‍🚀🇰🇷 日本の侍",
    "]]> </style></title> \x00\x1b \\u003c",
)


class Elements(HTMLParser):
    """The elements of a page: name, attributes, and the text of scripts."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.found, self.texts, self._within = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag in ("script", "title", "h1"):
            self._within = dict(attrs).get("id", tag)

    def handle_endtag(self, tag):
        if tag in ("script", "title", "h1"):
            self._within = None

    def handle_data(self, text):
        if self._within:
            self.texts[self._within] = self.texts.get(self._within, "") + text

    def data(self, name="data"):
        return json.loads(self.texts[name])


def unpacked(page):
    """What a browser makes of the packed part of a page: style, elements of the page, dialogs, script."""
    return zlib.decompress(base64.b64decode(page.texts["packed"]), wbits=-15).decode().split("\0")


def report_of(run, workspace):
    return Elements(save_report(run, workspace).read_text(encoding="utf-8"))


@pytest.fixture
def nasty(make_run):
    """A run whose every word wants to be markup."""
    run = make_run([Variant(prompt=text, label=text, negative_prompt=text) for text in NASTY], (1, 2), name=NASTY[0])
    return replace(run, note=NASTY[0], error=NASTY[3], experiment=NASTY[0])


def test_report_lies_beside_the_images(workspace, make_run):
    """One file, in the run's own folder."""
    run = make_run([Variant(prompt="a fox")], (1, 2))
    path = save_report(run, workspace)
    assert path == workspace.report(3)
    assert path.parent == workspace.grid(3).parent


def test_report_needs_no_network_and_no_other_file(workspace, nasty):
    """Nothing is loaded: every source is in the file, and the policy in its head says so to the browser."""
    page = report_of(nasty, workspace)
    sources = [attrs[name] for tag, attrs in page.found for name in ("src", "href", "action") if name in attrs]
    assert sources == ["data:,", "grid.png", "grid.png"]
    assert [attrs for tag, attrs in page.found if tag in ("link", "iframe", "object", "embed", "base")] == [
        {"rel": "icon", "href": "data:,"}
    ]
    (policy,) = (attrs["content"] for tag, attrs in page.found if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    style, *elements, script = unpacked(page)
    assert not any(word in style for word in ("@import", "url("))
    assert not any(f"{word}=" in element for word in ("src", "href", "action") for element in elements)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy


def test_report_of_one_picture_is_mostly_its_picture(workspace, make_run):
    """What every report has beside its pictures is under 40 kB."""
    run = make_run([Variant(prompt="a fox")], (1,))
    page = report_of(run, workspace)
    carried = sum(len(page.texts[name]) for name in ("data", "thumbnails"))
    assert workspace.report(run.id).stat().st_size - carried < 40_000


def test_report_words_are_never_markup(workspace, nasty):
    """As many elements as for harmless words, and the words come out as they went in."""
    page = report_of(nasty, workspace)
    plain = [replace(one, variant=Variant(prompt=f"fox {one.position}", negative_prompt="x")) for one in nasty.variants]
    harmless = replace(nasty, name="x", note="x", error="x", experiment="x", variants=tuple(plain))
    assert [tag for tag, _ in page.found] == [tag for tag, _ in report_of(harmless, workspace).found]
    assert [one["prompt"] for one in page.data()["words"]] == list(NASTY)
    assert [one["negative"] for one in page.data()["words"]] == list(NASTY)
    assert page.data()["runs"][0]["note"] == NASTY[0]
    assert page.texts["title"].startswith("Run 3 · <script>alert(1)</script>")


@pytest.mark.parametrize("value", [*NASTY, {"a": [1, 2.5, None, True]}, "\ud800", "</SCRIPT ", "<!--<script>"])
def test_safe_json_comes_back_equal(value):
    """Whatever stands in a script element is read as it was written, and holds no sign of HTML's."""
    text = safe_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_report_with_half_a_surrogate_pair_is_written(workspace, make_run):
    """What a command line can hold though it is no text."""
    run = make_run([Variant(prompt="fox \ud800", label="\ud800")], (1,), name="\ud800")
    assert report_of(run, workspace).data()["words"][0]["prompt"] == "fox \ud800"


def test_report_holds_everything_about_an_image(workspace, make_run):
    """What is recorded of it, its words, its run, its setting and its environment."""
    words = Variant(
        prompt="a young fox", negative_prompt="blurry", label="young", template="a {old|young} fox",
        replacement="old=>young", source=0,
    )  # fmt: skip
    run = make_run([words], (7,), flags={0: "black"})
    changes = (Change(field="prompts", before=["a old fox"], after=["a young fox"]),
               Change(field="num_inference_steps", before=10, after=20))  # fmt: skip
    scores = {"clip": 27.3456, "pickscore": 21.004}
    image = replace(run.images[0], batch=2, slot=1, peak_memory=2**20, parent=(1, 0), linked=(2, 5), scores=scores)
    page = report_of(replace(run, images=(image,), changes=changes, parent_run_id=1), workspace)
    told = page.data()
    (shown,) = told["images"]
    assert shown.items() >= {
        "position": 0, "seed": 7, "seconds": 0.25, "flag": "black", "pixels": image.pixel_sha256,
        "recipe": "f" * 64, "batch": 2, "slot": 1, "parent": "1/0", "linked": "2/5", "file": "v00-seed7.png",
        "artifact": "pictures/seed-7.png", "width": 32, "scores": {"clip": 27.3, "pickscore": 21.0},
    }.items()  # fmt: skip
    assert told["words"] == [{
        "prompt": "a young fox", "negative": "blurry", "label": "young", "template": "a {old|young} fox",
        "replacement": "old=>young", "before": "a old fox",
    }]  # fmt: skip
    (ran,) = told["runs"]
    assert ran["changes"] == [["num_inference_steps", "10", "20"]]
    assert dict(ran["setting"]).items() >= {
        "model": "mini", "scheduler": "DPMSolverMultistepScheduler:use_karras_sigmas=true",
        "num_inference_steps": "20", "guidance_scale": "7.5", "batch_size": "4", "device": "cpu",
    }.items()  # fmt: skip
    assert ran["status"] == "FINISHED"
    assert told["environments"] == [{}]


def test_report_missing_image_is_said(workspace, make_run):
    """Owed, failed, gone and damaged pictures have their places."""
    run = make_run([Variant(prompt="a fox")], (1, 2, 3, 4, 5), owed={1}, failed={2})
    (workspace.root / run.images[3].path).unlink()
    (workspace.root / run.images[4].path).write_bytes(b"no picture")
    page = report_of(run, workspace)
    assert page.data()["standing"] == ["whole", None, None, "gone", "damaged"]
    assert [one["status"] for one in page.data()["images"]] == ["MADE", "OWED", "FAILED", "MADE", "MADE"]
    assert page.data()["images"][2]["error"] == "out of memory"
    assert [one is not None for one in page.data("thumbnails")] == [True, False, False, False, False]


def test_thumbnails_are_the_images(workspace, make_run):
    """In the order of the images; not enlarged."""
    run = make_run([Variant(prompt="a fox")], (1, 2), side=16)
    shown = report_of(run, workspace).data("thumbnails")
    for image, encoded in zip(run.images, shown, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as small, Image.open(workspace.root / image.path) as own:
            assert small.size == own.size
            difference = np.asarray(small.convert("RGB"), float).mean((0, 1)) - np.asarray(own, float).mean((0, 1))
            assert abs(difference).max() < 12


def test_thumbnails_of_noise_keep_to_the_budget(tmp_path):
    """What will not be pressed becomes smaller, and where there is no room at all nothing is carried."""
    noise = tmp_path / "noise.png"
    write_png(noise, np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8), {})
    for budget in (400_000, 40_000, 4_000):
        found = thumbnails([noise] * 10, budget=budget)
        assert 0 < sum(len(one.webp) for one in found) <= budget
    assert [one.webp for one in thumbnails([noise] * 10, budget=100)] == [None] * 10


@pytest.mark.slow
@pytest.mark.parametrize("count", [250, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_report_of_pictures_of_noise_is_under_fifteen_megabytes(workspace, make_run, count):
    """The worst there is: 512 pixels a side, nothing to press."""
    run = make_run([Variant(prompt="noise")], (1, 2), side=512)
    spec = run.spec.vary(seeds=tuple(range(count)))
    images = tuple(replace(run.images[at % 2], position=at, seed=at) for at in range(count))
    path = save_report(replace(run, spec=spec, images=images), workspace)
    assert 5_000_000 < path.stat().st_size <= LIMIT


def test_axes_of_a_run_are_words_and_seeds(workspace, make_run):
    """An axis of one value is no question."""
    both = report_of(
        make_run([Variant(prompt="a fox", label="a"), Variant(prompt="the fox", label="the")], (1, 5)), workspace
    )
    assert [(axis["name"], axis["values"]) for axis in both.data()["axes"]] == [
        ("words", ["a", "the"]), ("seed", ["1", "5"]),
    ]  # fmt: skip
    assert [one["at"] for one in both.data()["images"]] == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_axes_of_a_sweep_begin_with_its_dimensions(workspace):
    """Zipped fields are one axis; every picture has its place, and is found from the sweep's folder."""
    sweep, runs = paint_sweep(
        workspace,
        [[{"scheduler": "euler"}, {"scheduler": "ddim"}],
         [{"num_inference_steps": "5", "dtype": "float32"}, {"num_inference_steps": "9", "dtype": "float16"}]],
        seeds=(1, 2), skip=[(1, 0)],
    )  # fmt: skip
    page = Elements(save_sweep_report(sweep, runs, workspace).read_text(encoding="utf-8"))
    told = page.data()
    assert [(axis["name"], axis["values"]) for axis in told["axes"]] == [
        ("scheduler", ["euler", "ddim"]), ("steps + dtype", ["5 · float32", "9 · float16"]), ("seed", ["1", "2"]),
    ]  # fmt: skip
    assert [one["at"] for one in told["images"]] == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1]]
    folder = workspace.sweep_report(3).parent
    for one, image in zip(told["images"], (image for run in runs for image in run.images), strict=True):
        assert (folder / one["file"]).samefile(workspace.root / image.path)


def test_axes_over_words_are_not_there_twice(workspace):
    """Where a sweep chooses the words, the sweep's axis is the only one."""
    sweep, runs = paint_sweep(workspace, [[{"prompt": "a fox"}, {"prompt": "a cat"}]], seeds=(1,))
    runs = [
        replace(run, variants=(replace(run.variants[0], variant=Variant(prompt=run.sweep_values[0][1])),))
        for run in runs
    ]
    told = Elements(save_sweep_report(sweep, runs, workspace).read_text(encoding="utf-8")).data()
    assert [axis["name"] for axis in told["axes"]] == ["prompt"]
    assert [told["words"][one["words"]]["prompt"] for one in told["images"]] == ["a fox", "a cat"]


def test_report_of_a_sweep_without_runs_is_written(workspace):
    """Runs that never began leave an empty report, not an error."""
    sweep, _ = paint_sweep(workspace, [[{"dtype": "float32"}, {"dtype": "float16"}]])
    assert Elements(save_sweep_report(sweep, [], workspace).read_text(encoding="utf-8")).data()["images"] == []


def test_report_addressed_holds_mlflows_runs(workspace, make_run):
    """Once, and again; nothing else of the file changes, which is not written anew where there is room in it."""
    path = save_report(make_run([Variant(prompt=NASTY[0])], (1,)), workspace)
    before, number = path.read_text(encoding="utf-8"), path.stat().st_ino
    address_report(path, "4", {(3, 0): "ab" * 16})
    address_report(path, "7", {(3, 0): "cd" * 16})
    page = path.read_text(encoding="utf-8")
    said = safe_json(Elements(page).data("addresses"))
    assert Elements(page).data("addresses") == {"experiment": "7", "runs": {"3/0": "cd" * 16}}
    assert (page.replace(said, "{}".ljust(len(said)), 1), path.stat().st_ino) == (before, number)
    many = {(3, at): "ef" * 16 for at in range(9)}
    address_report(path, "7", many)
    assert len(Elements(path.read_text(encoding="utf-8")).data("addresses")["runs"]) == 9
    address_report(path.with_name("none.html"), "7", {})
    assert not path.with_name("none.html").exists()


def test_report_into_a_folder_that_cannot_be_written_is_one_line(workspace, make_run):
    """As for a grid."""
    run = make_run([Variant(prompt="a fox")], (1,))
    workspace.report(3).mkdir()
    with pytest.raises(StoreError, match=r"report\.html could not be written"):
        save_report(run, workspace)


def test_report_holds_no_path_of_this_machine(workspace, nasty):
    """A report can be sent to somebody."""
    assert str(workspace.root) not in save_report(nasty, workspace).read_text(encoding="utf-8")
