"""Styles put words around prompts before these are expanded, as AUTOMATIC1111 does it."""

import contextlib

import pytest

from promptlab.errors import InputError
from promptlab.expand import Experiment
from promptlab.expand.defaults import read_defaults, user_file
from promptlab.expand.experiment_file.reader import parse_experiment
from promptlab.expand.styles import PromptStyle, chosen_styles, read_styles, styled

OIL = PromptStyle(name="oil", prompt="{prompt}, {oil|water} painting", negative="photo")
INK = PromptStyle(name="ink", prompt="ink drawing")
CSV = (
    "\ufeffname,prompt,negative_prompt\r\nNone,,\r\n"
    'Oil,"{prompt}, oil painting, ""thick""","photo,\r\nblurry"\r\n== mine ==,,\r\nInk,ink,\r\n'
)


def words_of(experiment):
    variants = [each for cell in experiment.sweep(default_model="mini").cells for each in cell.spec.variants]
    return [(each.prompt, each.negative_prompt) for each in variants]


def test_style_stands_around_the_prompt_or_behind_it_before_expansion():
    """What the style says is a template, too; several are put on one after the other."""
    asked = Experiment().with_options(prompts=("a {red|blue} fox",), negative="text")
    assert words_of(styled(asked, [OIL])) == [
        ("a red fox, oil painting", "text, photo"), ("a red fox, water painting", "text, photo"),
        ("a blue fox, oil painting", "text, photo"), ("a blue fox, water painting", "text, photo"),
    ]  # fmt: skip
    assert words_of(styled(Experiment().with_options(prompts=("a fox",)), [INK, OIL]))[0] == (
        "a fox, ink drawing, oil painting", "photo",
    )  # fmt: skip


def test_style_reaches_every_word_of_an_experiment_file():
    """A prompt's own negative prompt, and words that are an axis."""
    own = parse_experiment("prompts: [{text: a fox, negative: blur}, an owl]\nnegative: dark", file="f.yaml")
    assert words_of(styled(own, [INK, PromptStyle(name="n", negative="photo")])) == [
        ("a fox, ink drawing", "blur, photo"), ("an owl, ink drawing", "dark, photo"),
    ]  # fmt: skip
    axes = parse_experiment("axes: {prompts: [a fox, an owl], negative: ['', dark]}", file="f.yaml")
    assert words_of(styled(axes, [OIL]))[0] == ("a fox, oil painting", "photo")
    assert ("an owl, water painting", "dark, photo") in words_of(styled(axes, [OIL]))


def test_style_that_is_unknown_names_the_nearest():
    """And where styles come from, where there are none."""
    known = {"oil": OIL, "ink": INK}
    assert chosen_styles(["ink", "oil"], known) == (INK, OIL)
    with pytest.raises(InputError, match=r"style 'oill' is unknown \(did you mean oil\?\); allowed: oil, ink"):
        chosen_styles(["oill"], known)
    with pytest.raises(InputError, match=r"style 'oil' does not exist; allowed: \[styles.NAME\] in promptlab.toml"):
        chosen_styles(["oil"], {})


def test_styles_csv_is_read_as_automatic1111_writes_it(tmp_path):
    """A byte order mark, quotes, line ends within words, and rows that only divide the list."""
    file = tmp_path / "styles.csv"
    file.write_bytes(CSV.encode())
    assert read_styles(file, shown="styles.csv") == (
        PromptStyle(
            name="Oil", prompt='{prompt}, oil painting, "thick"', negative="photo,\r\nblurry", file="styles.csv"
        ),
        PromptStyle(name="Ink", prompt="ink", file="styles.csv"),
    )
    file.write_text("name,text\nold,in oil\n", encoding="utf-8")
    assert read_styles(file, shown="styles.csv")[0].prompt == "in oil"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "name,prompt\nx," + "y" * 200_000, 'name,prompt\nx,"y'])
def test_styles_csv_that_is_none_is_refused_or_read(text, tmp_path):
    """Never an exception of the csv module."""
    file = tmp_path / "styles.csv"
    file.write_text(text, encoding="utf-8")
    with contextlib.suppress(InputError):
        assert read_styles(file, shown="styles.csv")[0].prompt == "y"


def test_styles_of_the_workspace_go_over_the_users(tmp_path, monkeypatch):
    """The user's file may name a table anywhere; that of a workspace lies in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    user_file().parent.mkdir(parents=True)
    (user_file().parent / "mine.csv").write_text("name,prompt\nink,user\noil,user\nfog,user\n", encoding="utf-8")
    user_file().write_text('styles_file = "mine.csv"\n[styles.dawn]\nprompt = "user"', encoding="utf-8")
    (tmp_path / "styles.csv").write_text("name,prompt\nink,table\noil,table\n", encoding="utf-8")
    (tmp_path / "promptlab.toml").write_text('[styles.ink]\nprompt = "own"\nnegative = "n"', encoding="utf-8")
    found = read_defaults(tmp_path).styles
    assert {name: each.prompt for name, each in found.items()} == {
        "ink": "own", "oil": "table", "fog": "user", "dawn": "user",
    }  # fmt: skip
    assert found["ink"].file == "promptlab.toml"
