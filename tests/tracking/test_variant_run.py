"""What MLflow is told in words: short where it shows much, in full where there is room, never more than it keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.records import RunStatus
from promptlab.specs import MAX_SEED, SchedulerSpec, Variant
from promptlab.tracking.markdown import escaped, word_changes
from promptlab.tracking.params import seeds_of, seeds_text
from promptlab.tracking.variant_run import ParentRunLink, VariantRun
from promptlab.workspace import Workspace
from tests.tracking.painting import paint_run, spec


@pytest.fixture
def empty(tmp_path):
    return Workspace.at(tmp_path)


def page_of(run, at=0, **parents):
    return VariantRun(run=run, variant=run.variants[at], **parents)


def test_name_has_number_name_and_variant(empty):
    """``3 · ages · the oldest`` is how people find a run again."""
    run = paint_run(empty, 3, spec([Variant(prompt="a chief", label="the oldest")], [1]), made=0)
    assert page_of(run).name == "3 · the oldest"
    assert page_of(replace(run, name="ages")).name == "3 · ages · the oldest"


def test_name_without_a_label_is_the_beginning_of_the_prompt(empty):
    """A run of one long prompt has no label; its name stays one short line."""
    run = paint_run(empty, 3, spec(["a very\nlong prompt " * 30], [1]), made=0)
    name = page_of(run).name
    assert name.startswith("3 · a very long prompt")
    assert "\n" not in name
    assert len(name) < 80


def test_params_are_the_short_facts_one_filters_by(empty):
    """Scheduler with its options, dtype, VAE, steps, seeds …: the columns of MLflow's table."""
    asked = spec(
        ["a chief"],
        [0, 1, 2, 7],
        scheduler=SchedulerSpec(name="EulerDiscreteScheduler", options=(("use_karras_sigmas", True),)),
        guidance_rescale=0.7,
    )
    assert page_of(paint_run(empty, 1, asked, made=0)).params() == {
        "variant": "a chief",
        "model": "mini",
        "vae": "default",
        "dtype": "float32",
        "scheduler": "EulerDiscreteScheduler",
        "scheduler.use_karras_sigmas": "true",
        "num_inference_steps": "20",
        "guidance_scale": "7.5",
        "guidance_rescale": "0.7",
        "size": "128x128",
        "seeds": "0-2, 7",
        "batch_size": "4",
        "device": "cpu",
    }


def test_params_name_workers_and_devices_where_there_were_several(empty):
    """Who made it: a run of one process has neither."""
    run = replace(paint_run(empty, 1, spec(["a chief"], [1]), made=0), workers=8, devices=("A100", "H200"))
    params = page_of(run).params()
    assert (params["workers"], params["devices"]) == ("8", "A100, H200")


def test_params_hold_no_prompt(empty):
    """MLflow prints every parameter above every picture: a long prompt would push the picture off the screen."""
    run = paint_run(empty, 1, spec(["word " * 100], [1]), made=0)
    assert all(len(value) < 100 for value in page_of(run).params().values())


def test_metrics_are_of_the_variant_alone(empty):
    """Two variants of one run differ in what was made of them."""
    run = paint_run(empty, 1, spec(["one", "two"], [1, 2]), made=3)
    assert page_of(run, 0).metrics()["images_made"] == 2
    second = page_of(run, 1).metrics()
    assert (second["images_made"], second["images_owed"]) == (1, 1)
    assert second["seconds_per_image"] == 0.4
    assert second["peak_memory_mb"] == 1240


def test_metrics_of_a_variant_without_images_have_no_time(empty):
    """Nothing made is not made in no time."""
    assert "seconds_per_image" not in page_of(paint_run(empty, 1, spec(["x"], [1]), made=0)).metrics()


def test_params_and_tags_stay_within_mlflows_limits(empty):
    """MLflow cuts longer values with a warning that nobody sees: 6,000 for parameters, 8,000 for tags."""
    prompt = "*woe* <b>& more</b> " * 2000
    asked = spec([Variant(prompt=prompt, negative_prompt=prompt[::-1])], range(0, 5000, 2), vae="v" * 7000)
    parent = paint_run(empty, 1, spec(["other"], [1]), made=0)
    run = paint_run(empty, 2, asked, made=0, parent=parent, note=prompt, error=prompt)
    page = page_of(run, parent=parent)
    assert all(len(value) <= 6000 for value in page.params().values())
    assert all(len(value) <= 8000 for value in page.tags().values())
    assert len(page.description("f" * 32, has_grid=True)) <= 8000
    assert "promptlab rerun 2 --seed 0" in page.description("f" * 32, has_grid=True)
    assert page.prompt_file() == f"{prompt}\n\nNegative prompt: {prompt[::-1]}\n"


def test_description_leads_with_the_grid_and_ends_with_what_to_type(empty):
    """The picture first, the words second, the next command last."""
    run = paint_run(empty, 7, spec([Variant(prompt="a chief", negative_prompt="blurry")], [5]), made=0)
    text = page_of(run).description("abc", has_grid=True)
    assert text.startswith("![grid](get-artifact?path=thumb.png&run_uuid=abc)")
    assert text.index("a chief") < text.index("blurry") < text.index("promptlab rerun 7 --seed 5")
    assert "![grid]" not in page_of(run).description("abc", has_grid=False)


def test_description_of_what_a_user_typed_stays_text(empty):
    """A prompt with Markdown or HTML in it is shown, not obeyed."""
    nasty = "<img src=x onerror=alert(1)> *bold* [x](javascript:1) @you :fire: http://x.y `c`\n\n# head\n- item"
    run = paint_run(empty, 1, spec([nasty], [1]), made=0, note=nasty, error=nasty, status=RunStatus.FAILED)
    text = page_of(run).description("abc", has_grid=False)
    for sign in ("<", "@", "[", ":fire:", "http:", "# head", "\n- item", "*bold*", "`c`"):
        assert sign not in text, sign


def test_description_of_a_run_that_is_not_whole_says_so(empty):
    """How many pictures there are, why not all, and the error, above the words."""
    run = paint_run(empty, 1, spec(["x"], range(4)), made=1, status=RunStatus.FAILED, error="out of memory")
    text = page_of(run).description("abc", has_grid=True)
    assert "**1 of 4 pictures made: the run failed.**" in text
    assert "out of memory" in text
    stopped = replace(run, status=RunStatus.KILLED, error=None)
    assert "the run was stopped" in page_of(stopped).description("abc", has_grid=True)


def test_description_points_at_a_flagged_image(empty):
    """A black picture is worth a second look."""
    run = paint_run(empty, 1, spec(["x"], [3]))
    flagged = replace(run, images=(replace(run.images[0], flag="black"),))
    assert "seed 3 (black)" in page_of(flagged).description("abc", has_grid=True)
    assert page_of(flagged).tags()["promptlab.flags"] == "1/0 black"


def test_description_of_a_rerun_links_its_parent_and_shows_changes(empty):
    """The way back is one click, and the difference one glance."""
    parent = paint_run(empty, 1, spec(["x", "a old chief"], range(8)), made=0)
    asked = spec([Variant(prompt="the oldest chief", label="the oldest", source=1)], [1], num_inference_steps=25)
    run = paint_run(empty, 2, asked, made=0, parent=parent)
    link = ParentRunLink(experiment_id="9", run_id="feed", variant=parent.variants[1])
    text = page_of(run, parent=parent, parent_link=link).description("abc", has_grid=True)
    assert "](#/experiments/9/runs/feed?workflowType=machine_learning)" in text
    assert "<del>a old</del> <b>the oldest</b> chief" in text
    assert escaped("steps: 20 → 25") in text
    assert escaped("seeds: 0-7 → 1") in text


def test_description_of_a_rerun_of_one_image_names_it(empty):
    """The page says which picture it was, as the tree does."""
    parent = paint_run(empty, 1, spec(["a old chief"], [1]), made=0)
    run = paint_run(empty, 2, spec(["the oldest chief"], [1]), made=0, parent=parent)
    run = replace(run, images=tuple(replace(image, parent=(1, 0)) for image in run.images))
    assert ", image 1/0\n" in page_of(run, parent=parent).description("abc", has_grid=True)


def test_description_names_a_parent_unknown_to_mlflow_without_a_link(empty):
    """A parent that was never told of is still a parent."""
    parent = paint_run(empty, 1, spec(["a old chief"], [1]), made=0)
    run = paint_run(empty, 2, spec(["the oldest chief"], [1]), made=0, parent=parent)
    text = page_of(run, parent=parent).description("abc", has_grid=True)
    assert f"**Varied from** {escaped('1 · a old chief')}" in text


def test_start_of_variants_is_a_millisecond_apart_in_their_order(empty):
    """MLflow orders runs by their start, and the matrix's columns with them."""
    run = paint_run(empty, 1, spec(["one", "two"], [1]), made=0)
    assert page_of(run, 1).start_ms - page_of(run, 0).start_ms == 1
    assert page_of(run, 1).end_ms - page_of(run, 0).start_ms == 30_000


@given(st.lists(st.integers(0, MAX_SEED), unique=True, min_size=1, max_size=50))
def test_seeds_text_is_read_back_as_it_was_written(seeds):
    """The view finds its rows in the text of the column."""
    assert seeds_of(seeds_text(seeds), limit=50) == tuple(seeds)


def test_seeds_of_a_great_range_are_read_only_as_far_as_asked():
    """A column that says ``0-4000000000`` must not fill the memory."""
    assert seeds_of("0-4000000000, …", limit=3) == (0, 1, 2)


@given(st.text(max_size=200), st.integers(5, 50))
def test_escaped_text_keeps_within_its_limit_and_has_no_markup(text, limit):
    """Nothing a keyboard can type ends up as Markdown or HTML."""
    shown = escaped(text, limit=limit)
    assert len(shown) <= limit
    assert not set(shown) & set("<>*_`[]!|~\\@:")


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("a chief", "a chief, old", "a chief<b>, old</b>"),
        ("a chief, old", "a chief", "a chief<del>, old</del>"),
        ("a old chief", "the oldest chief", "<del>a old</del> <b>the oldest</b> chief"),
        ("a old chief", "a chief", "a <del>old</del> chief"),
        ("", "<i>", "<b>&#60;i&#62;</b>"),
        ("blurry", "", "<del>blurry</del>"),
    ],
)
def test_word_changes_are_shown_word_by_word(before, after, shown):
    """A comma after a word leaves the word what it was."""
    assert word_changes(before, after) == shown


def test_word_changes_too_long_are_plain_words():
    """Half a struck-through word would strike through the rest of the page."""
    assert word_changes("a " * 40, "b " * 40, limit=100) == escaped("b " * 40, limit=100)


@pytest.mark.parametrize("sign", ["(", "a ", "猫", "\x0b", "{|"])
def test_word_changes_of_any_length_are_found_in_bounded_effort(sign):
    """Compared sign with sign, each of these takes minutes; the words are there all the same."""
    text = sign * (8_000 // len(sign))
    assert "old" in word_changes(text, f"{text[: len(text) // 2]} old {text}")
    assert escaped(f"a{text}b").startswith("a")


def test_metrics_are_the_means_of_what_models_scored(empty):
    """One metric a scorer, over the images that it scored; none where nobody asked."""
    run = paint_run(empty, 1, spec(["x"], [1, 2, 3]))
    assert not any(name.startswith("score_") for name in page_of(run).metrics())
    scores = ({"clip": 20.0}, {"clip": 30.0, "pickscore": 21.0}, {})
    images = tuple(replace(image, scores=each) for image, each in zip(run.images, scores, strict=True))
    metrics = page_of(replace(run, images=images)).metrics()
    assert (metrics["score_clip"], metrics["score_pickscore"]) == (25.0, 21.0)
