"""``promptlab score`` and ``--score`` as a person types them: stored, listed, ranked, told to reports and MLflow."""

from __future__ import annotations

import csv
import io
import json

import pytest

from promptlab.models import bundled
from promptlab.store.notebook import Notebook
from tests.engine.test_clip import tiny_clip  # noqa: F401 - a fixture

RUN = ("run", "portrait photo of a {old|young} warrior chief", "--seeds", "0-2")


@pytest.fixture(scope="session")
def mini():
    return bundled("mini")


def test_score_of_a_run_is_stored_and_shown_wherever_images_are(promptlab, workspace, tiny_clip):  # noqa: F811
    """Scored once; then in list, show, CSV, JSON, the report, and as a metric; nothing is scored twice."""
    promptlab(*RUN)
    scorer = f"pickscore={tiny_clip}"
    said = promptlab("score", "last", "--score", scorer, "--device", "cpu")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0].split() == ["IMAGE", "SEED", "PICKSCORE", "PROMPT"]
    assert "on average of 6 pictures; the best is 1/" in said.out
    run = Notebook.at(workspace).run(1)
    scores = [image.scores["pickscore"] for image in run.images]
    assert len(set(scores)) == 6
    again = promptlab("score", "1", "--score", scorer, "--json")
    assert [one["scores"]["pickscore"] for one in json.loads(again.out)] == scores
    assert "scored before" in promptlab("score", "1/3", "--score", scorer).out
    listed = promptlab("list").out.splitlines()
    assert "PICKSCORE" in listed[0]
    assert f"{sum(scores) / 6:.2f}" in listed[1]
    assert "scores" in promptlab("show", "1/0").out
    (row,) = csv.DictReader(io.StringIO(promptlab("list", "--csv").out))
    assert float(row["pickscore"]) == pytest.approx(sum(scores) / 6)
    assert json.loads(promptlab("show", "1", "--json").out)["run"]["images"][0]["scores"] == {"pickscore": scores[0]}


def test_score_of_run_and_rerun_is_asked_for_as_an_option(promptlab, workspace, tiny_clip):  # noqa: F811
    """Made and scored by one command; pictures that are linked bring the score that they have."""
    said = promptlab(*RUN, "--score", f"clip={tiny_clip}")
    assert (said.code, said.err) == (0, "")
    assert "clip: " in said.out
    said = promptlab("rerun", "last", "--seed", "1", "--score", f"clip={tiny_clip}")
    assert said.code == 0, said.err
    assert "scored before" in said.out
    first, second = map(Notebook.at(workspace).run, (1, 2))
    assert [image.scores for image in second.images] == [image.scores for image in first.images if image.seed == 1]


def test_best_by_score_ranks_what_scored_higher(promptlab, tiny_clip):  # noqa: F811
    """Wordings at the same seeds: by their scores, not by votes; the mean stands beside."""
    promptlab("run", "portrait photo of a {old|young} warrior chief", "--seeds", "0-11")
    promptlab("score", "last", "--score", f"clip={tiny_clip}")
    told = json.loads(promptlab("best", "--by", "variant", "--score", "clip", "--json").out)
    assert (told["votes"], {one["scored"] for one in told["values"]}) == (12, {12})
    by_share = sorted(told["values"], key=lambda one: -one["liked"])
    assert by_share[0]["won"] + by_share[0]["tied"] >= 6
    shown = promptlab("best", "--by", "variant", "--score", "clip").out
    assert shown.splitlines()[0].split()[-1] == "CLIP"
    nothing = promptlab("best", "--by", "variant", "--score", "pickscore").out
    assert "not enough comparisons: 0 comparisons of 10" in nothing


WRONG = {
    "nothing to score": (["score", "--score", "clip"], "RUN is missing"),
    "no scorer": (["score", "last"], "--score is missing"),
    "both": (["score", "1", "--all", "--score", "clip"], "--all is said beside"),
    "pickle": (
        ["score", "1", "--score", "ImageReward"],
        "--score 'imagereward' cannot be loaded: it comes as a pickle",
    ),
    "needs a model": (["run", "a fox", "--score", "hpsv2"], "--score 'hpsv2' needs its model named"),
    "nowhere": (["run", "a fox", "--score", "clip=nowhere"], "--score 'nowhere' does not exist"),
    "dry run": (["run", "a fox", "--dry-run", "--score", "blip"], "--score 'blip' is unknown"),
    "best": (["best", "--score", "blip"], "--score 'blip' is unknown"),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case == "nowhere" else [pytest.mark.exhaustive]) for case in WRONG]
)
def test_score_wrong_input_is_one_line_before_anything_is_made(case, promptlab, workspace):
    """Refused by name; no picture is made for a score that cannot be had."""
    words, sentence = WRONG[case]
    said = promptlab(*words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert sentence in said.err
    assert not workspace.run_folder(1).exists()
