"""``promptlab search``, and tables for spreadsheets: found pictures as lines, JSON and CSV."""

import csv
import io
import json

import pytest


@pytest.fixture
def foxes(begin_with, promptlab):
    """A red and a blue fox at two seeds, and an owl."""
    begin_with(
        ("run", "a {red|blue} fox, rim light", "--seeds", "0-1", "--steps", "3", "--note", "for the cover"),
        ("run", "an owl", "--seeds", "0", "--scheduler", "euler"),
    )
    return promptlab


def test_search_is_a_line_for_each_picture(foxes):
    """Image, seed, stars, setting and words; the best match first."""
    foxes("rate", "1/2", "5")
    said = foxes("search", "blue", "FOX")
    head, *lines = said.out.splitlines()
    assert (said.code, head.split()) == (0, ["IMAGE", "SEED", "STARS", "SCHEDULER", "STEPS", "PROMPT"])
    assert [line.split()[0] for line in lines] == ["1/3", "1/2", "1/1", "1/0"]
    assert lines[1].split() == ["1/2", "0", "★★★★★", "PNDM", "3", "a", "blue", "fox,", "rim", "light"]
    assert "[template: a {red|blue} fox, rim light] a red fox" in lines[2]


def test_search_word_found_elsewhere_is_shown_with_where(foxes):
    """A note that was found stands before the prompt."""
    assert "[note: for the cover]" in foxes("search", "cover").out


def test_search_options_and_limit_choose_pictures(foxes):
    """What does not fit is left out, and what is cut off is said."""
    assert [line.split()[0] for line in foxes("search", "--scheduler", "euler").out.splitlines()[1:]] == ["2/0"]
    assert foxes("search", "fox", "--limit", "1").out.splitlines()[-1] == "the best 1; all of them: --limit 0"
    assert len(foxes("search", "fox", "--since", "7d", "--limit", "0").out.splitlines()) == 5
    assert foxes("search", "fox", "--since", "2999-01-01").out.startswith("nothing found for fox")


def test_search_json_and_csv_say_the_same(foxes):
    """Both are complete, and a program can read them."""
    from_json = json.loads(foxes("search", "owl", "--json").out)
    (from_csv,) = csv.DictReader(io.StringIO(foxes("search", "owl", "--csv").out))
    assert [one["image"] for one in from_json] == ["2/0"]
    assert from_csv == {name: "" if value is None else str(value) for name, value in from_json[0].items()}


def test_list_and_show_csv_are_tables(foxes):
    """`list --csv` has a line a run, `show --csv` a line an image, of an image only its own."""
    runs = list(csv.DictReader(io.StringIO(foxes("list", "--csv").out)))
    assert [(run["id"], run["images"], run["prompt"]) for run in runs] == [
        ("2", "1", "an owl"), ("1", "4", "a red fox, rim light"),
    ]  # fmt: skip
    images = list(csv.DictReader(io.StringIO(foxes("show", "1", "--csv").out)))
    assert [(one["image"], one["seed"], one["prompt"]) for one in images] == [
        ("1/0", "0", "a red fox, rim light"), ("1/1", "1", "a red fox, rim light"),
        ("1/2", "0", "a blue fox, rim light"), ("1/3", "1", "a blue fox, rim light"),
    ]  # fmt: skip
    (one,) = csv.DictReader(io.StringIO(foxes("show", "1/2", "--csv").out))
    assert one == images[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rating", "9"], "--rating 9 is out of range; allowed: 1 to 5"),
        (["--since", "soon"], "--since 'soon' is no time; allowed: a day (2026-01-31)"),
        (["--limit", "-1"], "--limit -1 is too small"),
        (["--seed", "x"], "--seed 'x' is not a whole number"),
        (["***"], "WORDS '***' hold no letter"),
        (["fox", "--json", "--csv"], "--csv is said beside --json; allowed: one of them"),
    ],
)
def test_search_wrong_input_is_one_line(promptlab, words, message):
    """What, which value, what is allowed."""
    said = promptlab("search", *words)
    assert (said.code, message in said.err) == (2, True)
