"""Captions and the tokenizer: they say what is drawn and nothing else, in words that can be told apart."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.models.vocabulary import WORDS, without_known_words
from training.attributes import BY_NAME, COLOURS, Attributes, choose
from training.captions import (
    AGE_WORDS,
    EXPRESSION_WORDS,
    LIGHT_WORDS,
    MAKEUP_WORDS,
    ROLE_WORDS,
    VIEW_WORDS,
    caption,
)
from training.labels import COLUMNS, label_row
from training.tokenizer import learn_tokenizer, load_tokenizer, tokens_of

pytestmark = pytest.mark.slow

STORY = "portrait photo of the oldest warrior chief, tribal panther make up, blue on red, side profile, looking away"


def captions(a: Attributes, count: int = 200) -> list[str]:
    r = random.Random(0)
    return [caption(a, r).lower() for _ in range(count)]


def test_captions_never_contradict_their_picture() -> None:
    """No other background, view, make-up or light is named."""
    a = Attributes(
        role="king", age="old", view="profile", makeup="panther", light="rim", colour="blue", background="red"
    )
    texts = captions(a)
    for name, words in (("view", VIEW_WORDS), ("makeup", MAKEUP_WORDS), ("light", LIGHT_WORDS)):
        wrong = {phrase for value, phrases in words.items() if value != getattr(a, name) for phrase in phrases}
        assert not [text for text in texts for phrase in wrong if phrase in text.split(", ")]
    assert not [text for text in texts for colour in COLOURS if f"on {colour}" in text and colour != "red"]


def test_captions_do_not_name_what_is_not_there() -> None:
    """Left its own colours, no colour is spoken of; without a beard, none is."""
    texts = captions(Attributes(role="queen", age="old"))
    assert not [text for text in texts for colour in COLOURS if colour in text.split()]
    assert not [text for text in texts if "bearded" in text or "with a beard" in text]


@pytest.mark.parametrize("age", ["young", "old", "oldest"])
def test_captions_nearly_always_say_the_age(age: str) -> None:
    """Silence means an adult, so the others must speak."""
    texts = captions(Attributes(role="man", age=age), 2000)
    said = [any(word in text for word in AGE_WORDS[age]) for text in texts]
    assert sum(said) > 0.85 * len(said)


@pytest.mark.parametrize("field", ["background", "view"])
def test_captions_silent_about_a_trait_mean_nothing(field: str) -> None:
    """Whatever the value, it is named as often, so that what is left open varies."""
    values = {"background": (None, "red", "teal"), "view": ("front", "three-quarter", "profile")}[field]
    shares = []
    for value in values:
        texts = captions(Attributes(role="man", age="adult", **{field: value}), 2000)
        words = VIEW_WORDS[value] if field == "view" else (value or "grey", "gray")
        shares.append(sum(any(word in text for word in words) for text in texts) / len(texts))
    assert max(shares) - min(shares) < 0.06
    assert min(shares) > 0.7


def test_labels_are_indices_into_the_sets() -> None:
    """Unnamed colours are -1; the last column is the beard."""
    a = Attributes(role="wizard", age="oldest", background="teal")
    row = dict(zip(COLUMNS, label_row(a), strict=True))
    assert (BY_NAME["role"][row["role"]], BY_NAME["background"][row["background"]], row["colour"]) == (
        "wizard",
        "teal",
        -1,
    )
    assert row["beard"] == 1
    assert label_row(replace(a, shaven=True))[-1] == 0


def test_attributes_all_turn_up() -> None:
    """Among a few thousand numbers, every value of every set is chosen."""
    chosen = [choose(i) for i in range(3000)]
    for name, values in BY_NAME.items():
        assert {getattr(a, name) for a in chosen} >= set(values)


def test_tokenizer_knows_the_story_and_spells_the_rest(tmp_path: Path) -> None:
    """The story's words are one token each, an unknown word is bytes, and what was saved is what is loaded."""
    learnt = learn_tokenizer(tmp_path, texts=800)
    loaded = load_tokenizer(tmp_path)
    ids = loaded(STORY).input_ids
    assert ids == learnt(STORY).input_ids
    assert len(ids) == len(STORY.replace(",", " ,").split()) + 2
    assert loaded.decode(loaded("zyxquabble é").input_ids, skip_special_tokens=True) == "zyxquabble é"
    rows = tokens_of(loaded, [STORY, ""])
    assert rows.shape == (2, 77)
    assert (rows[1, 1:] == loaded.eos_token_id).all()


def test_vocabulary_of_the_package_is_that_of_the_captions() -> None:
    """What the product says the bundled model knows is what it was trained on, but for words that say nothing."""
    tables = (AGE_WORDS, ROLE_WORDS, MAKEUP_WORDS, VIEW_WORDS, EXPRESSION_WORDS, LIGHT_WORDS)
    taught = {
        word for table in tables for said in table.values() for text in said for word in re.findall(r"[a-z]{3,}", text)
    }
    assert taught - WORDS == {"the", "camera", "low", "even", "very", "without", "seen", "from", "look", "key"} & taught
    assert WORDS - taught - set(COLOURS) == {"beard", "bearded", "shaven", "portrait", "grey", "drawing"}


def test_vocabulary_tells_prompts_that_mean_nothing() -> None:
    """One known word is enough, and an empty prompt is a portrait."""
    assert without_known_words(["a fox on a hill", "an old fox", "", STORY]) == ("a fox on a hill",)
