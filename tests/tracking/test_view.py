"""The view an experiment opens with, as MLflow's page unpacks it."""

from __future__ import annotations

import base64
import json
import zlib

from promptlab.tracking.view import RUNS_SHOWN, SEEDS_SHOWN, address_path, view_tag


def state_of(seeds):
    _, value = view_tag(seeds, now_ms=5)
    packed = json.loads(value)["state"]
    return json.loads(zlib.decompress(base64.b64decode(packed.removeprefix("deflate;"))))


def test_view_newest_runs_seeds_come_first():
    """A rerun of one seed is the first row, beside what it came from; the other seeds follow in order."""
    (chart,) = state_of([(5, 1), (7, 0, 1), (3,)])["compareRunCharts"]
    assert chart["imageKeys"] == ["seed/5", "seed/1", "seed/0", "seed/3", "seed/7"]
    assert chart["runsCountToCompare"] == RUNS_SHOWN


def test_view_of_a_thousand_seeds_has_fewer_rows():
    """The page stays usable, and the tag within what MLflow keeps."""
    _, value = view_tag([tuple(range(2**32 - 1000, 2**32))], now_ms=5)
    assert len(state_of([tuple(range(1000))])["compareRunCharts"][0]["imageKeys"]) == SEEDS_SHOWN
    assert len(value) < 8000


def test_view_of_an_experiment_without_images_exists():
    """Nothing to show is no failure."""
    assert state_of([])["compareRunCharts"][0]["imageKeys"] == []


def test_view_columns_that_matter_are_chosen():
    """Scheduler, dtype, VAE, steps, seeds and seconds per image, none of which MLflow shows by itself."""
    columns = state_of([])["selectedColumns"]
    for name in ("scheduler", "dtype", "vae", "num_inference_steps", "seeds"):
        assert f"params.`{name}`" in columns
    assert "metrics.`seconds_per_image`" in columns


def test_view_is_opened_by_its_address():
    """The key in the address is the key of the tag."""
    key, _ = view_tag([], now_ms=5)
    assert f"viewStateShareKey={key.removeprefix('mlflow.sharedViewState.')}&" in address_path("3")


def test_view_of_scored_runs_has_a_column_for_each_scorer():
    """First of all: whoever asked a model wants to sort by what it said."""
    _, value = view_tag([(1,)], now_ms=5, scores=["score_clip", "score_pickscore"])
    state = json.loads(zlib.decompress(base64.b64decode(json.loads(value)["state"].removeprefix("deflate;"))))
    assert state["selectedColumns"][:2] == ["metrics.`score_clip`", "metrics.`score_pickscore`"]
    assert not any("score_" in name for name in state_of([(1,)])["selectedColumns"])
