"""Stars, favourites and votes: kept, shown, told to MLflow, and what they come to."""

import csv
import io
import json

import pytest

from promptlab.lab.preferences.report_votes import ReportVote, format_votes
from promptlab.store.notebook import Notebook
from promptlab.tracking.schema import database_uri
from tests.house import readme


@pytest.fixture
def foxes(begin_with, promptlab):
    """A red and a blue fox at twelve seeds."""
    begin_with(("run", "a {red|blue} fox", "--seeds", "0-11", "--steps", "3"))
    return promptlab


def answering(monkeypatch, *answers):
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))


def told(workspace, position=0):
    """The MLflow run of a variant of run 1."""
    (run_id,) = [one.mlflow_run_id for one in Notebook.at(workspace).run(1).variants if one.position == position]
    from mlflow import MlflowClient

    return MlflowClient(database_uri(workspace)).get_run(run_id).data


@pytest.mark.mlflow
def test_rate_and_favourite_are_kept_shown_and_told(foxes, workspace):
    """In the record, on the image's page, in MLflow as metrics and a tag; said again they replace what was."""
    assert foxes("rate", "1/0", "1/1", "2").out == "1/0  2 of 5 stars\n1/1  2 of 5 stars\n"
    assert foxes("rate", "1/0", "5").out == "1/0  5 of 5 stars\n"
    assert foxes("favourite", "1/0", "images/00001/v00-seed2.png").code == 2  # no such path from here
    assert foxes("favourite", "1/0", str(workspace.root / "images/00001/v00-seed2.png")).code == 0
    images = Notebook.at(workspace).run(1).images
    assert [(one.stars, one.favourite) for one in images[:4]] == [(5, True), (2, False), (None, True), (None, None)]
    assert "rated         5 of 5 stars · favourite" in foxes("show", "1/0").out
    data = told(workspace)
    assert (data.metrics["rating"], data.metrics["favourites"]) == (3.5, 2)
    assert data.tags["promptlab.rating"] == "1/0 5 stars favourite, 1/1 2 stars, 1/2 favourite"
    assert foxes("favourite", "--off", "1/0", "1/2").out == "1/0  5 of 5 stars\n1/2  no stars, no favourite\n"
    assert told(workspace).metrics["favourites"] == 0
    assert foxes("doctor").code == 0


@pytest.mark.mlflow
def test_rate_link_rates_the_picture_that_it_links_to(foxes, workspace):
    """The same picture in two runs has one rating, and MLflow is told of both runs."""
    foxes("run", "a red fox", "--seeds", "0-1", "--steps", "3", "--batch-size", "4")
    foxes("rate", "2/0", "4")
    book = Notebook.at(workspace)
    assert (book.run(1).images[0].stars, book.run(2).images[0].stars) == (4, 4)
    assert told(workspace).metrics["rating"] == 4
    assert foxes("doctor").code == 0


def test_rate_survives_a_resume(foxes, workspace):
    """What was thought of a picture stays when others of its run are made again."""
    foxes("rate", "1/0", "4")
    (workspace.root / "images/00001/v00-seed1.png").unlink()
    assert foxes("resume", "1").code == 0
    assert Notebook.at(workspace).run(1).images[0].stars == 4


@pytest.mark.mlflow
def test_compare_asks_keeps_and_ranks(foxes, workspace, monkeypatch):
    """Pairs of one seed; every answer is a vote, told to MLflow; the ranking and the verdict follow."""
    answering(monkeypatch, *["a", "b"] * 5, "=", "?", "a")
    said = foxes("compare", "1", "--pairs", "12")
    assert said.code == 0
    assert said.out.count("pair ") == 12
    first, *pair = said.out.splitlines()[:3]
    assert first == "pair 1/12, seed 0"
    assert [line.split()[0] for line in pair] == ["a", "b"]
    assert {line.split()[1] for line in pair} == {"1/0", "1/12"}
    assert f"{workspace.root}/images/00001/v00-seed0.png" in said.out
    sides = [line.split()[1] for line in said.out.splitlines() if line.startswith("  a  ")]
    assert 0 < sum(int(ref.split("/")[1]) < 12 for ref in sides) < 12  # neither wording is always the first
    red = [one for one in Notebook.at(workspace).run(1).images if one.variant == 0]
    won, lost = sum(one.votes_won for one in red), sum(one.votes_lost for one in red)
    assert won + lost == 11
    assert (told(workspace).metrics["votes_won"], told(workspace).metrics["votes_lost"]) == (won, lost)
    assert foxes("compare", "1", "--pairs", "3").out.count("pair ") == 0  # all were asked about


def test_compare_clear_liking_has_a_winner(foxes, monkeypatch, workspace):
    """Ten of ten for red: `best` names it, from how many votes, with the interval of its lead."""
    lab_votes(workspace, 10)
    assert foxes("best", "--by", "variant").out.splitlines()[-1].startswith("red wins, from 10 votes; its lead of +")
    assert foxes("best", "--by", "word").out.splitlines()[-1].startswith("red wins, from 10 votes")
    found = json.loads(foxes("best", "--by", "variant", "--json").out)
    assert (found["winner"], found["votes"], found["values"][0]["won"]) == ("red", 10, 10)
    rows = list(csv.DictReader(io.StringIO(foxes("best", "1", "--by", "variant", "--csv").out)))
    assert [(row["value"], row["won"], row["lost"]) for row in rows] == [
        ("red", "10.0", "0.0"),
        ("blue", "0.0", "10.0"),
    ]
    assert foxes("best", "--by", "scheduler").out == (
        "not enough votes: 0 votes of 10 at least; type: promptlab compare last\n"
    )


def lab_votes(workspace, number):
    """Red was liked better ``number`` times."""
    book = Notebook.at(workspace)
    for position in range(number):
        book.add_vote((1, position), (1, position + 12))


def test_compare_few_votes_are_not_enough(foxes, workspace):
    """Nine of nine is said to be too few, ten even ones to be chance."""
    lab_votes(workspace, 9)
    assert "not enough votes: 9 votes of 10 at least" in foxes("best", "--by", "variant").out
    book = Notebook.at(workspace)
    for position in range(6):
        book.add_vote((1, position + 12), (1, position))
    assert "not enough votes: red is ahead after 15 votes, but" in foxes("best", "--by", "variant").out


def test_compare_sweep_by_its_settings(promptlab, monkeypatch):
    """Contenders are the axis values; the answers stop with q or with the input."""
    promptlab("run", "a fox", "--seeds", "0-3", "--steps", "3", "--steps", "4")
    answering(monkeypatch, "a", "q")
    said = promptlab("compare", "sweep:1")
    assert said.out.count("pair ") == 2
    assert {line.split()[0] for line in said.out.splitlines()[-3:-1]} == {"3", "4"}
    answering(monkeypatch)
    assert promptlab("compare", "sweep:1").out.count("pair ") == 1
    assert "not enough votes: 1 vote of 10" in promptlab("best", "sweep:1", "--by", "steps").out


def line(workspace, *votes):
    """What the report of run 1 gives for these votes: (better, worse), or (one, other, "=")."""
    run = Notebook.at(workspace).run(1)
    given = [ReportVote(winner=run.images[a], loser=run.images[b], tie=bool(tie)) for a, b, *tie in votes]
    return format_votes(given, [run])


@pytest.mark.mlflow
def test_compare_votes_of_a_report_are_kept_once(foxes, workspace):
    """Ranked and told to MLflow; typed twice they say nothing new; thought otherwise, the last word counts."""
    first = line(workspace, (0, 12), (13, 1), (2, 14, "="))
    said = foxes("compare", "1", "--votes", first)
    assert said.out.splitlines()[0] == "3 votes kept: 3 new"
    assert said.out.splitlines()[-1] == "not enough votes: 3 votes of 10 at least; type: promptlab compare last"
    assert told(workspace).metrics["votes_won"] == 1
    assert foxes("compare", "1", "--votes", first).out.splitlines()[0] == "3 votes known already"
    second = line(workspace, (12, 0), (13, 1), (3, 15))
    assert foxes("compare", "1", "--votes", second).out.splitlines()[0] == (
        "2 votes kept: 1 new, 1 changed; 1 vote known already"
    )
    images = Notebook.at(workspace).run(1).images
    assert [(images[at].votes_won, images[at].votes_lost) for at in (0, 12, 13, 2, 3)] == [
        (0, 1), (1, 0), (1, 0), (0, 0), (1, 0),
    ]  # fmt: skip
    assert foxes("doctor").code == 0


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ("", "--votes '' is not whole"),
        ("0>12", "is not whole: it has votes and ends in # and eight signs; allowed: the line that a report gives"),
        ("0>12 #00000000", "was changed on the way, or was given by a report of other runs"),
        ("0>1 #00000000", "--votes '0>1' is about pictures of the seeds 0 and 1; allowed: two pictures of one seed"),
        ("0<12 #00000000", "--votes '0<12' is no vote; allowed: 0>4 (the first is better), 0=4 (neither)"),
        ("0>0 #00000000", "'0>0' names one picture twice"),
        ("0>99 #00000000", "'0>99' names 1/99; allowed: 1/0 to 1/23"),
        ("2/0>1/12 #00000000", "is about run 2; allowed: pictures of run 1"),
    ],
)
def test_compare_votes_of_no_report_are_refused_whole(foxes, workspace, votes, message):
    """What is wrong with which vote; nothing is kept of any."""
    said = foxes("compare", "1", "--votes", votes)
    assert (said.code, message in said.err) == (2, True), said.err
    assert sum(one.votes_won for one in Notebook.at(workspace).run(1).images) == 0


def test_compare_vote_that_stands_twice_is_refused(foxes, workspace):
    """Which of the two is meant nobody can tell."""
    both = line(workspace, (0, 12), (12, 0))
    assert "is about two pictures that another vote of the line is about" in foxes("compare", "1", "--votes", both).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rate", "1/0", "6"], "STARS '6' is out of range; allowed: 1 to 5"),
        (["rate", "1/0"], "STARS is missing"),
        (["rate", "1", "4"], "IMAGE '1' is a run and no image; allowed: an image as RUN/POSITION"),
        (["favourite", "1/99"], "image '1/99' does not exist"),
        (["compare", "9"], "run 9 does not exist"),
        (["compare", "1", "--pairs", "-1"], "--pairs -1 is too small"),
        (["best", "--by", "colour"], "--by 'colour' is unknown"),
    ],
)
def test_ratings_wrong_input_is_one_line(foxes, words, message):
    """What, which value, what is allowed; nothing is kept."""
    said = foxes(*words)
    assert (said.code, message in said.err) == (2, True), said.err


def stars_by(promptlab, run, stars):
    """Give every picture of a run, of eight seeds, the same stars."""
    promptlab("rate", *(f"{run}/{position}" for position in range(8)), str(stars))


def test_best_tells_schedulers_apart_by_their_options(promptlab):
    """Karras' sigmas are liked better, eight seeds of eight: sixteen stars are eight votes, under two names."""
    for options, stars in (("", 2), (":use_karras_sigmas=true", 5)):
        promptlab("run", "a fox", "--seeds", "0-7", "--scheduler", f"dpmsolver++{options}")
        stars_by(promptlab, 1 if stars == 2 else 2, stars)
    found = json.loads(promptlab("best", "--by", "scheduler", "--json").out)
    assert [(one["value"], one["won"], one["lost"], one["rated"]) for one in found["values"]] == [
        ("DPMSolverMultistepScheduler:use_karras_sigmas=true", 8, 0, 8),
        ("DPMSolverMultistepScheduler", 0, 8, 8),
    ]
    assert found["votes"] == 8


def test_best_by_words_leaves_out_stars_of_another_size(promptlab):
    """A red and a blue fox at eight seeds each, of two sizes: no star says which of both it was for."""
    for number, (colour, size) in enumerate((("red", "32"), ("blue", "64")), 1):
        promptlab("run", f"a {colour} fox", "--seeds", "0-7", "--size", size)
        stars_by(promptlab, number, 6 - 2 * number)
    for by in ("word", "variant"):
        found = json.loads(promptlab("best", "--by", by, "--json").out)
        assert (found["votes"], {one["rated"] for one in found["values"]} >= {8}) == (0, True)


def test_best_compares_runs_of_another_batch_size_and_device(promptlab):
    """A viewer does not see them."""
    promptlab("run", "a fox", "--seeds", "0-7", "--steps", "3", "--batch-size", "4")
    stars_by(promptlab, 1, 2)
    promptlab("run", "a fox", "--seeds", "0-7", "--steps", "4", "--batch-size", "2", "--vae-slicing")
    stars_by(promptlab, 2, 4)
    assert json.loads(promptlab("best", "--by", "steps", "--json").out)["votes"] == 8
    assert json.loads(promptlab("best", "--by", "num_inference_steps", "--json").out)["votes"] == 8


@pytest.mark.mlflow
def test_rate_tells_mlflow_after_it_has_answered(foxes, workspace, monkeypatch):
    """The command ends at once; the process that it leaves tells MLflow of all that was rated by then, and ends."""
    import psutil

    monkeypatch.delenv("PROMPTLAB_WAIT")
    monkeypatch.setenv("PYTHONPATH", str(readme.ROOT))
    before = set(psutil.Process().children())
    for words in (("rate", "1/0", "4"), ("rate", "1/1", "2"), ("favourite", "1/1")):
        assert foxes(*words).code == 0
    left = [process for process in psutil.Process().children() if process not in before]
    assert len(left) == 3
    assert [process.wait() for process in left] == [0, 0, 0]
    data = told(workspace)
    assert (data.metrics["rating"], data.metrics["favourites"]) == (3, 1)
    assert foxes("sync").out == "MLflow knows every run already\n"


@pytest.mark.mlflow
def test_rate_whose_process_was_killed_is_told_by_sync(foxes, workspace, monkeypatch):
    """What MLflow has not heard is in the database: nobody has to remember it."""
    monkeypatch.setattr("promptlab.cli.telling.tell_afterwards", lambda *_: None)  # as if it had been killed at once
    monkeypatch.delenv("PROMPTLAB_WAIT")
    assert foxes("rate", "1/0", "4").out == "1/0  4 of 5 stars\n"
    assert "rating" not in told(workspace).metrics
    assert foxes("sync").out == "MLflow now knows run 1\n"
    assert told(workspace).metrics["rating"] == 4
