"""Does this word do anything: the arithmetic of it on pictures whose answer is known, and a run measured whole."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.errors import InputError
from promptlab.images.png import encode_png
from promptlab.lab.preferences.picture_groups import group_by_wording
from promptlab.lab.preferences.prompt_effect import (
    MIN_SEEDS,
    Estimate,
    effect_in_words,
    measure,
    pairwise_distances,
    perceptual_vectors,
)
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.tracking.measures import measures_of

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), seeds=tuple(range(6)),
    variants=tuple(Variant(prompt=text, label=text) for text in ("a fox", "a fox, 8k", "a castle")),
)  # fmt: skip


def points(words, seeds, *, features=40, seed=0):
    """Vectors in which a wording moves the picture by ``words`` and a seed by ``seeds``, along directions of chance."""
    draw = np.random.default_rng(seed)
    by_word = draw.normal(size=(len(words), 1, features)) * np.asarray(words)[:, None, None]
    return by_word + draw.normal(size=(1, seeds, features))


def test_effect_of_equal_and_of_different_images_is_zero_and_large():
    """0 where the pictures are the same; far above 1 where the words decide and the seed hardly matters."""
    words, seed = pairwise_distances(points([0, 0, 9], 8))
    pairs = measure("pixels", words, seed).pairs
    assert [(pair.before, pair.after) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]
    assert pairs[0].effect == Estimate(value=0, low=0, high=0)
    assert effect_in_words(pairs[0].effect) == "nothing at all: the pictures are the same"
    assert pairs[1].effect.low > 1
    assert effect_in_words(pairs[1].effect) == "more than the seed does"


def test_effect_of_words_that_act_like_another_seed_is_one():
    """Every picture drawn by chance alone: 1, and the interval knows it."""
    draw = np.random.default_rng(3)
    measured = measure("pixels", *pairwise_distances(draw.normal(size=(3, 12, 60))))
    for one in measured.wordings:
        assert one.effect.value == pytest.approx(1, abs=0.1)
        assert one.effect.low < 1 < one.effect.high
        assert effect_in_words(one.effect) == "about as much as the seed does"


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 4), st.integers(2, 9), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_effect_with_scaled_distances_is_the_same(count, seeds, factor, seed):
    """A ratio; the value lies in its own interval; and the same pictures give the same figures."""
    vectors = points([1] * count, seeds, seed=seed)
    plain, scaled = (measure("pixels", *pairwise_distances(each)) for each in (vectors, vectors * factor))
    for one, other in zip(plain.wordings + plain.pairs, scaled.wordings + scaled.pairs, strict=True):
        assert math.isclose(one.effect.value, other.effect.value, rel_tol=1e-9)
        assert (one.effect.low is None) is (seeds < MIN_SEEDS)
        if one.effect.low is not None:
            assert one.effect.low <= one.effect.value <= one.effect.high
            assert math.isclose(one.effect.low, other.effect.low, rel_tol=1e-9)


@pytest.mark.slow
def test_effect_interval_holds_the_truth_nearly_as_often_as_it_says():
    """Of 200 runs of eight seeds, the 95 % interval misses the effect of endless seeds in few, as bootstraps do."""
    vectors = points([0, 0.5], 4000, seed=5)
    truth = measure("pixels", *_quick(vectors[:, :400])).pairs[0].effect.value
    held = 0
    for start in range(0, 1600, 8):
        found = measure("pixels", *pairwise_distances(vectors[:, start : start + 8])).pairs[0].effect
        held += found.low <= truth <= found.high
    assert held >= 160


def _quick(vectors):
    words = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    return words, np.stack([np.linalg.norm(row[:, None] - row[None], axis=-1) for row in vectors])


def test_effect_in_words_goes_by_the_whole_interval():
    """Never more than the interval allows."""
    said = {
        Estimate(value=None): "the seed changes nothing here",
        Estimate(value=0.03): "hardly anything",
        Estimate(value=0.03, low=0.01, high=0.2): "less than a quarter of what the seed does",
        Estimate(value=0.3, low=0.1, high=0.49): "less than half of what the seed does",
        Estimate(value=0.3, low=0.1, high=0.99): "less than the seed does",
        Estimate(value=0.9, low=0.7, high=1.1): "about as much as the seed does",
        Estimate(value=1.5, low=0.9, high=2): "about as much as the seed does",
        Estimate(value=1.5, low=1.1, high=2): "more than the seed does",
    }
    assert {effect: effect_in_words(effect) for effect in said} == said


def test_perceptual_vectors_of_grain_are_those_of_its_mean():
    """Black and white lie 1 apart, whatever the size; fine grain of the same light lies nowhere."""
    black, white = np.zeros((256, 192, 3), np.uint8), np.full((256, 192, 3), 255, np.uint8)
    grain = black.copy()
    grain[::2, ::2] = grain[1::2, 1::2] = 255  # half the light of white: 188 of 255 in sRGB
    even = np.full_like(black, 188)
    (vectors,) = perceptual_vectors([[black, white, grain, even]])
    assert np.linalg.norm(vectors[0] - vectors[1]) == pytest.approx(1)
    assert np.linalg.norm(vectors[2] - vectors[3]) < 0.005


def test_effect_psnr_is_that_of_the_mean_square_and_none_of_equal_images():
    """One level of 255 everywhere is 48 dB; what was not measured has none either."""
    distances = pairwise_distances(points([0, 0, 9], 4))
    squares = np.array([[0.0, 0, 1], [0, 0, 3], [1, 3, 0]])
    measured = measure("pixels", *distances, squares=squares)
    assert [pair.psnr and round(pair.psnr, 2) for pair in measured.pairs] == [None, 48.13, 43.36]
    assert round(measured.wordings[2].psnr, 2) == 45.12
    assert {pair.psnr for pair in measure("pixels", *distances).pairs} == {None}


@pytest.mark.mlflow
def test_effect_of_a_run_is_written_and_recorded_in_mlflow(lab):
    """Plot and figures lie beside the pictures, and among the files and metrics of each wording's MLflow run."""
    run = lab.run(SPEC)
    found = lab.effect("last")
    assert (found.seeds, len(found.measured[0].pairs)) == (SPEC.seeds, 3)
    client = lab.tracker._connected()
    for variant in lab.history.find("1").run.variants:
        told = client.get_run(variant.mlflow_run_id)
        effect = found.measured[0].wordings[variant.position].effect
        assert told.data.metrics["effect"] == float(f"{effect.value:.4g}")
        assert {"effect_low", "effect_high"} <= set(told.data.metrics)
        folder = lab.workspace.artifacts / told.info.artifact_uri.removeprefix("mlflow-artifacts:/")
        assert (folder / "effect.png").samefile(lab.workspace.effect(run.id))
    told = json.loads(lab.workspace.effect(1).with_suffix(".json").read_text())["told"]
    assert told["measured"][0]["kind"] == "pixels"
    assert lab.maintenance.doctor() == ()
    assert lab.maintenance.sync().runs == ()


def test_effect_figures_of_other_images_are_not_recorded(lab):
    """A picture that is another now: what was measured says nothing about it."""
    lab.run(SPEC)
    lab.effect("1")
    run = lab.history.find("1").run
    assert set(measures_of(run, lab.workspace)) == {0, 1, 2}
    others = lab.run(SPEC.vary(seeds=(7, 8)))
    lab.workspace.effect(others.id).with_suffix(".json").write_text(
        lab.workspace.effect(1).with_suffix(".json").read_text()
    )
    assert measures_of(others, lab.workspace) == {}
    lab.workspace.effect(1).with_suffix(".json").write_text("no json")
    assert measures_of(run, lab.workspace) == {}


def test_effect_of_too_little_is_refused(lab):
    """One wording, one seed, a picture that is gone, pictures of two sizes: one line each."""
    one = lab.run(SPEC.vary(variants=SPEC.variants[:1]))
    with pytest.raises(InputError, match=r'run 1 has 1 wording; allowed: .*; type: promptlab rerun 1 --replace "OLD'):
        lab.effect(str(one.id))
    alone = lab.run(SPEC.vary(seeds=(1,)))
    with pytest.raises(InputError, match=r"run 2 has 3 wordings at 1 seed; .* promptlab rerun 2 --seeds 0-7"):
        group_by_wording(alone)
    run = lab.run(SPEC.vary(seeds=(1, 2, 9)))
    path = lab.workspace.root / run.images[-1].path
    path.write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(InputError, match="run 3 has pictures of several sizes"):
        lab.effect("3")
    path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        lab.effect("3")
