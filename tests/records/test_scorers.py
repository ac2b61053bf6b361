"""Names of scorers: read as they are typed, refused by name where nothing sound can load them."""

import pytest

from promptlab.errors import InputError, UnknownValue
from promptlab.records.scorers import SCORERS, Scorer, parse_scorer, parse_scorers, score_text


def test_scorer_is_read_with_its_own_model_or_another():
    """A name alone has its own weights; what is typed behind it stands in their place, and is said so."""
    assert parse_scorer("pickscore") == Scorer(name="pickscore", model="yuvalkirstain/PickScore_v1")
    assert str(parse_scorer("PickScore")) == "pickscore"
    assert str(parse_scorer("clip = some/clip")) == "clip=some/clip"
    assert {name for name, known in SCORERS.items() if known.model is None} == {"hpsv2"}


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("imagereward", "score 'imagereward' cannot be loaded: it comes as a pickle .* type: score=pickscore"),
        ("hpsv2", "score 'hpsv2' needs its model named: its own comes as pickles .*type: score=.hpsv2=FOLDER_OR_ID"),
        ("pikscore", r"score 'pikscore' is unknown.*pickscore"),
        ("", "score '' is unknown"),
    ],
)
def test_scorer_that_cannot_be_is_refused_by_name(typed, sentence):
    """With the reason and what to use instead."""
    with pytest.raises(InputError, match=sentence) as refused:
        parse_scorer(typed)
    assert "\n" not in str(refused.value)
    assert isinstance(refused.value, UnknownValue) or typed in ("imagereward", "hpsv2")


def test_scorers_are_each_one_model():
    """Typed twice it is one; two models of one name could not be told apart afterwards."""
    assert len(parse_scorers(("clip", "clip", "aesthetic"))) == 2
    with pytest.raises(InputError, match="is said beside clip"):
        parse_scorers(("clip", "clip=other/model"))


def test_score_text_has_the_digits_of_its_scale():
    """PickScore's third digit says something, HPS's first does not."""
    assert (score_text("clip", 27.345), score_text("hpsv2", 0.27812), score_text("later", 1)) == (
        "27.3", "0.2781", "1.000",
    )  # fmt: skip
