"""Plans: no cell lost or doubled, slow changes outermost, counts that add up, estimates that say what they rest on."""

import dataclasses
import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.plan import Pace, TruncatedPrompt, plan, requests_of, rule_of_thumb
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant, options
from promptlab.testing import Painter

PAINTER = Painter()
PACE = Pace(seconds_per_image=2.0, load_seconds=10.0, bytes_per_image=1000.0)

SPECS = st.builds(
    lambda model, vae, dtype, scheduler, steps, side, words, seeds, batch_size: RunSpec(
        pipeline=PipelineSpec(model=model, vae=vae, dtype=dtype, scheduler=SchedulerSpec(name=scheduler)),
        call=CallSpec(num_inference_steps=steps, height=side, width=32),
        variants=tuple(Variant(prompt=prompt, negative_prompt=negative) for prompt, negative in words),
        seeds=tuple(seeds),
        batch_size=batch_size,
    ),
    model=st.sampled_from(["a", "b"]),
    vae=st.sampled_from([None, "x", "y"]),
    dtype=st.sampled_from(["float32", "float16"]),
    scheduler=st.sampled_from(["DDIMScheduler", "PNDMScheduler"]),
    steps=st.integers(1, 2),
    side=st.sampled_from([32, 64]),
    words=st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from(["", "n"])), min_size=1, max_size=3, unique=True),
    seeds=st.lists(st.integers(0, 5), min_size=1, max_size=5, unique=True),
    batch_size=st.sampled_from([None, 1, 3]),
)


def resolve(*specs):
    return PAINTER.resolve(specs)


def spec_of(*prompts, seeds=(0,), **changes):
    variants = tuple(Variant(prompt=prompt) for prompt in prompts or ("a fox",))
    return RunSpec(pipeline=PipelineSpec(model="mini"), variants=variants, seeds=tuple(seeds)).vary(**changes)


def settings_of(made):
    """What must be loaded for each run in turn."""
    return [
        (run.resolved.model_identity, run.resolved.spec.pipeline.dtype, run.resolved.vae_identity) for run in made.runs
    ]


@given(specs=st.lists(SPECS, max_size=8), chance=st.randoms(use_true_random=False))
def test_plan_of_any_specs_loses_and_doubles_no_image(specs, chance):
    """Every run is there once; what is there, repeated and owed are its images; and only what was given is there."""
    resolved = resolve(*specs)
    every = [task.recipe_key for each in resolved for task in requests_of(each)]
    there = {key for key in every if chance.random() < 0.4}
    made = plan(resolved, there=there, pace=lambda _: PACE)
    assert sorted(run.original for run in made.runs) == list(range(len(resolved)))
    assert all(run.resolved is resolved[run.original] for run in made.runs)
    for run in made.runs:
        assert run.keys == tuple(request.recipe_key for request in run.requests)
        assert run.there <= set(run.keys) & there
        assert run.repeated <= set(run.keys) - there
        assert run.there_count + run.repeated_count + run.owed_count == run.images == len(run.requests)
        assert len(run.owed) == run.owed_count
    assert made.there + made.repeated + made.owed == made.images == len(every)
    assert sorted(task.recipe_key for run in made.runs for task in run.owed) == sorted(set(every) - there)


@given(specs=st.lists(SPECS, min_size=1, max_size=8))
def test_plan_order_keeps_equal_models_and_pipelines_together(specs):
    """No model, and no model in one dtype, is come back to after another."""
    settings = settings_of(plan(resolve(*specs)))
    for depth in (1, 2, 3):
        outer = [setting[:depth] for setting in settings]
        changes = sum(before != after for before, after in itertools.pairwise(outer))
        assert changes == len(set(outer)) - 1


@given(specs=st.lists(SPECS, min_size=1, max_size=8))
def test_plan_batches_are_those_that_images_of_one_key_fill(specs):
    """Runs that may share forwards are counted together; a batch that is not full takes as long."""
    made = plan(resolve(*specs), pace=lambda _: PACE)
    owed = Counter((request.batch_key, run.rows) for run in made.runs for request in run.owed)
    assert made.batches == sum(-(-count // rows) for (_, rows), count in owed.items())
    assert made.bytes == 1000 * made.owed
    assert made.seconds >= 2 * made.owed + 10 * made.loads - 1e-6
    assert made.forwards == 0  # only a pipeline's own code could tell


@given(specs=st.lists(SPECS, min_size=1, max_size=6), seed=st.integers())
def test_plan_of_shuffled_specs_owes_the_same(specs, seed):
    """Shuffled, the same cells are owed and as much is loaded; a plan of everything made owes nothing."""
    shuffled = list(specs)
    random.Random(seed).shuffle(shuffled)
    one, other = plan(resolve(*specs)), plan(resolve(*shuffled))
    assert (one.images, one.owed, one.varying) == (other.images, other.owed, other.varying)
    assert {task.recipe_key for run in one.runs for task in run.owed} == {
        task.recipe_key for run in other.runs for task in run.owed
    }
    done = plan(resolve(*specs), there={key for run in one.runs for key in run.keys})
    assert (done.owed, done.batches, done.loads, done.seconds, done.bytes) == (0, 0, 0, 0.0, 0)
    assert not done.guess


def test_plan_order_puts_slow_changes_outermost():
    """Models first, then dtype, then VAE; schedulers keep the order of their first appearance."""
    written = [
        spec_of(model=model, vae=vae, dtype=dtype, scheduler=SchedulerSpec(name=scheduler))
        for scheduler in ("PNDMScheduler", "DDIMScheduler")
        for vae in (None, "ft-mse")
        for dtype in ("float16", "float32")
        for model in ("b", "a")
    ]
    made = plan(resolve(*written))
    chosen = [run.resolved.spec.pipeline for run in made.runs]
    assert made.order_line == "model → dtype → vae → scheduler"
    assert [each.model for each in chosen] == ["b"] * 8 + ["a"] * 8
    assert [each.dtype for each in chosen[:8]] == ["float16"] * 4 + ["float32"] * 4
    assert [each.vae for each in chosen[:4]] == [None, None, "ft-mse", "ft-mse"]
    assert [each.scheduler.name for each in chosen[:2]] == ["PNDMScheduler", "DDIMScheduler"]
    assert made.loads == 2 * 2 * 2  # a pipeline for each model and dtype, and the VAE with each


def test_plan_loads_of_cheap_changes_are_none():
    """Schedulers, steps, guidance, sizes and words share one pipeline."""
    specs = [
        spec_of(num_inference_steps=n, guidance_scale=g, height=h) for n in (1, 2) for g in (1, 2) for h in (32, 64)
    ]
    made = plan(resolve(*specs))
    assert (made.loads, made.order_line) == (1, "size → steps → guidance")


def test_plan_order_of_one_setting_stays_as_written():
    """Words and seeds do not sort."""
    made = plan(resolve(spec_of("z"), spec_of("a"), spec_of("m", seeds=(3,))))
    assert [run.original for run in made.runs] == [0, 1, 2]
    assert made.order_line == "as written"


def test_plan_of_nothing_is_empty():
    """No run, no image, no time."""
    made = plan(())
    assert (made.runs, made.images, made.loads, made.seconds, made.guess) == ((), 0, 0, 0.0, False)


def test_plan_of_equal_specs_spelled_differently_owes_one():
    """A default named and left out, 7 and 7.0, options in another order: planned once, repeated once."""
    names = {"a": 1, "b": 2.0}
    swapped = {"b": 2, "a": 1.0}
    pairs = [
        (spec_of(), spec_of(dtype="float32", num_inference_steps=50, guidance_scale=7.5)),
        (spec_of(guidance_scale=7), spec_of(guidance_scale=7.0)),
        *(
            (
                spec_of(scheduler=SchedulerSpec(name="DDIMScheduler", options=options(one)), arguments=options(one)),
                spec_of(scheduler=SchedulerSpec(name="DDIMScheduler", options=options(two)), arguments=options(two)),
            )
            for one, two in [(names, swapped)]
        ),
    ]
    for pair in pairs:
        made = plan(resolve(*pair))
        assert (made.images, made.owed, made.repeated, made.batches) == (2, 1, 1, 1)
        assert made.runs[1].repeated == frozenset(made.runs[0].keys)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "b"}, {"variant": "fp16"}, {"vae": "x"}, {"dtype": "float16"}, {"num_inference_steps": 3},
        {"scheduler": SchedulerSpec(name="DDIMScheduler")}, {"guidance_scale": 7.4}, {"height": 64}, {"width": 64},
        {"scheduler": SchedulerSpec(name="PNDMScheduler", options=(("a", 1),))}, {"arguments": (("eta", 1.0),)},
        {"generator_device": "cuda"}, {"batch_size": 2}, {"seeds": (1,)}, {"variants": (Variant(prompt="a cat"),)},
        {"variants": (Variant(prompt="a fox", negative_prompt="blur"),)},
    ],
)  # fmt: skip
def test_recipe_key_changes_with_every_field_that_decides_pixels(change):
    """Changing any one field makes another image of it."""
    made = plan(resolve(spec_of(), spec_of().vary(**change)))
    assert (made.owed, made.repeated) == (2, 0)


def test_plan_estimate_counts_only_what_is_owed():
    """A forward that is not full takes as long as one that is; a setting that owes nothing loads nothing."""
    resolved = resolve(spec_of(seeds=range(6), batch_size=4), spec_of(model="other"))
    there = {*(task.recipe_key for task in requests_of(resolved[0])[:1]), requests_of(resolved[1])[0].recipe_key}
    asked = []
    made = plan(resolved, there=there, pace=lambda each: asked.append(each) or PACE)
    assert (made.owed, made.batches, made.loads) == (5, 2, 1)
    forwards = -(-5 * 50 // 4)
    assert made.seconds == pytest.approx(5 * 2.0 * forwards * 4 / (5 * 50) + 10.0)
    assert made.bytes == 5000
    assert not made.guess
    assert asked == [resolved[0]]


def test_pace_without_history_is_a_guess_that_grows_with_the_work():
    """Twice the steps or pixels take twice as long; one guess among facts makes the sum a guess."""
    few, many, large = resolve(
        spec_of(num_inference_steps=10), spec_of(num_inference_steps=20), spec_of(num_inference_steps=10, height=64)
    )
    assert rule_of_thumb(many).seconds_per_image == pytest.approx(2 * rule_of_thumb(few).seconds_per_image)
    assert rule_of_thumb(large).bytes_per_image == pytest.approx(2 * rule_of_thumb(few).bytes_per_image)
    assert plan([few]).guess
    assert plan([few, many], pace=lambda each: PACE if each is few else None).guess
    cuda = dataclasses.replace(few, device="cuda:1")
    assert rule_of_thumb(cuda).seconds_per_image < rule_of_thumb(few).seconds_per_image


def test_pace_of_another_setting_is_scaled_and_called_a_guess():
    """By steps, pixels and guidance; of the same ones it stays what it was."""
    seen = CallSpec(num_inference_steps=10, guidance_scale=7.5, height=32, width=32)
    assert PACE.scaled(seen, dataclasses.replace(seen, guidance_scale=5.0)) == PACE
    longer = PACE.scaled(seen, dataclasses.replace(seen, num_inference_steps=30, height=64))
    assert (longer.seconds_per_image, longer.bytes_per_image, longer.guess) == (12.0, 2000.0, True)
    assert longer.load_seconds == 10.0
    assert PACE.scaled(seen, dataclasses.replace(seen, guidance_scale=1.0)).seconds_per_image == 1.0


def test_plan_truncated_prompts_are_passed_on():
    """The plan shows it; it decides nothing."""
    cut = TruncatedPrompt(prompt="a b", encoder="tokenizer", words="b")
    assert plan(resolve(spec_of("a b")), cut=[cut]).cut == (cut,)


@pytest.mark.slow
def test_plan_of_ten_thousand_settings_stays_small():
    """Ten thousand settings in twenty megabytes; benchmarks/planning.py has the figures."""
    import tracemalloc

    resolved = resolve(*(spec_of(guidance_scale=1 + place / 1000) for place in range(10_000)))
    tracemalloc.start()
    made = plan(resolved)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.owed == 10_000
    assert peak < 20e6
