"""Labels and differences: short, telling, one of each, in any script, however many."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.expand.labels import MAX_LABEL, labelled
from promptlab.expand.prompt_edits import from_prompts, inherited, replaced
from promptlab.expand.word_diff import Piece, cut, word_diff
from promptlab.specs import Variant

BASE = "portrait photo of a old warrior chief"
TRIBAL = ", tribal panther make up, blue on red, side profile, looking away, serious eyes"
PHOTO = " 50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"


def labels(variants):
    return [variant.label for variant in labelled(variants)]


def words(diff, *kinds):
    return "".join(piece.text for piece in diff if piece.kind in kinds)


def test_labels_of_replacements_name_the_new_words():
    """Four ages are four labels; nothing put in says so."""
    variants = replaced(from_prompts([BASE + TRIBAL]), "a old=>{the oldest|a old|a||a young}")
    assert labels(variants) == ["the oldest", "a old", "a", "(nothing)", "a young"]
    assert labels(variants[:1]) == ["the oldest"]
    twice = replaced(variants[:2], "red=>{green|gold}")
    assert labels(twice) == ["the oldest · green", "the oldest · gold", "a old · green", "a old · gold"]
    assert labels(twice[:2]) == ["green", "gold"]


def test_labels_show_words_that_differ():
    """Without notes of a replacement, words that all share are left out."""
    variants = replaced(from_prompts([BASE + TRIBAL]), "a old=>{the oldest|a old|a young}")
    assert labels(inherited(variants)) == ["the oldest", "a old", "a young"]
    assert labels(from_prompts(["{a|the} cat in {red|blue}"])) == ["a … red", "a … blue", "the … red", "the … blue"]


def test_labels_of_growing_prompts_differ():
    """Each step of a growing prompt is named by what it added, the first by its beginning."""
    variants = from_prompts([BASE, BASE + TRIBAL, BASE + TRIBAL + PHOTO])
    assert labels(variants) == [
        BASE,
        "…tribal panther make up, blue on red…",
        "…50mm portrait photography, hard rim…",
    ]


def test_labels_show_the_first_words():
    """One prompt is named by its first words, and so are several that have little in common."""
    assert labels(from_prompts([BASE + TRIBAL])) == ["portrait photo of a old warrior chief…"]
    assert labels(from_prompts(["a cat on a mat", "the dog in a house"])) == ["a cat on a mat", "the dog in a house"]


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        (["전사 초상화, 붉은 빛", "전사 초상화, 푸른 빛"], ["붉은", "푸른"]),
        (["赤い鎧の戦士の肖像写真", "青い鎧の戦士の肖像写真"], ["赤", "青"]),
        ([""], ["(empty)"]),
        (["", " ", "a"], ["(empty)", "(empty) (2)", "a"]),
        (["a\nb\tc"], ["a b c"]),
    ],
)
def test_labels_without_blanks_are_cut_by_character(prompts, expected):
    """Korean differs by word, Japanese by character; blank prompts are named too, on one line."""
    assert labels(from_prompts(prompts)) == expected


def test_labels_of_equal_prompts_show_the_negative():
    """Equal prompts are told apart by their negative ones."""
    variants = [Variant(prompt="a cat", negative_prompt=negative) for negative in ("blur", "noise")]
    assert labels(variants) == ["blur", "noise"]


def test_labels_are_numbered_where_words_do_not_suffice():
    """Prompts that differ only in blanks, or equal variants, are numbered; a number never meets another label."""
    same = Variant(prompt="a cat")
    assert labels([same, same, replace(same, prompt="a cat (2)")])[0] == "a cat"
    assert len(set(labels([same, same, same, replace(same, prompt="a cat (2)")]))) == 4


def test_labels_are_cut_between_words():
    """A long text is cut after a word; one without blanks never within an emoji, a flag or an accent."""
    assert cut("one two, three", 10) == "one two…"
    assert cut("가" * 50, 10) == "가" * 9 + "…"
    assert cut("👩‍🚀" * 10, 10) == "👩‍🚀" * 3 + "…"
    assert cut("🇰🇷" * 10, 10) == "🇰🇷" * 4 + "…"
    assert cut("👍🏽" * 10, 10) == "👍🏽" * 4 + "…"
    assert cut("e\u0301" * 10, 10) == "e\u0301" * 4 + "…"
    assert cut("\u200d" * 50, 10) == "\u200d" * 9 + "…"
    assert cut("a\x00b\x1b[0m", 40) == "a b [0m"


def test_word_diff_names_what_changed():
    """Runs of words, in the order of the text: what goes before what comes."""
    assert word_diff(BASE, BASE.replace("a old", "the oldest")) == (
        Piece(kind="kept", text="portrait photo of"),
        Piece(kind="removed", text=" a old"),
        Piece(kind="added", text=" the oldest"),
        Piece(kind="kept", text=" warrior chief"),
    )
    assert word_diff(BASE, BASE + TRIBAL)[-1] == Piece(kind="added", text=TRIBAL)
    assert word_diff("a", "a") == (Piece(kind="kept", text="a"),)
    assert word_diff("", "") == ()


@given(st.text(alphabet="ab, 가漢", max_size=30) | st.text(max_size=30), st.text(alphabet="ab, 가漢", max_size=30))
def test_word_diff_holds_both_texts(before, after):
    """Kept and added make the new text exactly; kept and removed the old one, white space aside."""
    diff = word_diff(before, after)
    assert words(diff, "kept", "added") == after
    assert words(diff, "kept", "removed").split() == before.split() or (
        "".join(words(diff, "kept", "removed").split()) == "".join(before.split())
    )


@given(st.lists(st.text(alphabet="ab, 가漢🇰\n…()2", max_size=60) | st.text(max_size=60), min_size=1, max_size=8))
def test_labels_of_any_prompts_are_short_and_distinct(prompts):
    """Any prompts, equal ones included: labels are distinct, on one line, and fit."""
    found = labels([Variant(prompt=prompt) for prompt in prompts])
    assert len(set(found)) == len(prompts)
    assert all(0 < len(label) <= MAX_LABEL and "\n" not in label for label in found)


def test_labels_of_many_long_prompts_are_distinct():
    """Five hundred variants of ten thousand characters are labelled in seconds, alike or not."""
    draw = random.Random(4)
    vocabulary = [f"word{n}" for n in range(400)]
    long = " ".join(draw.choices(vocabulary, k=1500))
    alike = [f"{long}, number {n}" for n in range(500)]
    unlike = [" ".join(draw.choices(vocabulary, k=1500)) for _ in range(100)]
    assert labels(from_prompts(alike))[:2] == ["0", "1"]
    assert len(set(labels(from_prompts(unlike)))) == 100
    word_diff(unlike[0], unlike[1])
    word_diff("漢字" * 5000, "字漢" * 5000)


def test_labels_of_very_many_prompts_leave_out_the_common_start():
    """Nobody looks at ten thousand rows: they are labelled at once, each by a label of its own."""
    prompts = [f"portrait photo of number {number} in a row" for number in range(10_000)]
    labels = [variant.label for variant in labelled([Variant(prompt=prompt) for prompt in prompts])]
    assert labels[7] == "…7 in a row"
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= MAX_LABEL
