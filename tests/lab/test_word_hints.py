"""What is typed in another program's syntax is said to be plain words, with what to type instead."""

import pytest

from promptlab.lab.word_hints import syntax_hints, vocabulary_hints
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant

HOW = "with weighting, where the model's text encoders are all CLIP"


def hints(prompt, negative="", *, weighting=False):
    spec = RunSpec(
        pipeline=PipelineSpec(model="m"), call=CallSpec(weighting=weighting),
        variants=(Variant(prompt=prompt, negative_prompt=negative),), seeds=(0,),
    )  # fmt: skip
    return list(syntax_hints([spec]))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a (hat:1.5)", f"'(hat:1.5)' is plain words here, no weight; {HOW}: '(hat)1.5'"),
        ("(a, (b), c: .8 ), d", None),
        ("(red light: .8 )", f"'(red light: .8 )' is plain words here, no weight; {HOW}: '(red light).8'"),
        ("a (hat)1.5", "'(hat)1.5' is plain words without weighting, which reads it as a weight"),
        ("a hat++, b", "'hat++' is plain words without weighting, which reads it as a weight"),
        ("a <lora:ink:0.8>", "'<lora:ink:0.8>' is plain words here; a network is an option: lora 'ink'"),
        ("a [fox:cat:0.5]", "'[fox:cat:0.5]' is plain words here: no words are exchanged while a picture is made"),
    ],
)  # fmt: skip
def test_syntax_hint_names_the_words_and_what_to_type(prompt, said):
    """One line for each syntax that a model takes for words."""
    assert hints(prompt) == ([] if said is None else [said])


@pytest.mark.parametrize(
    "prompt",
    ["a fox", "at 16:9 (wide)", r"a \(hat:1.5\)", "[old] man", "photo--beta --ar 2:3", "a - b", "(a: b)", ""],
)
def test_syntax_hint_leaves_plain_words_alone(prompt):
    """Brackets, colons and dashes that weigh nothing anywhere are no reason to say anything."""
    assert hints(prompt) == []


def test_syntax_hint_with_weighting_tells_the_other_way_to_write_it():
    """Weights of compel are then what they say, and those of the web UI are still words."""
    assert hints("(hat)1.5 b++", weighting=True) == []
    assert hints("(hat:1.5)", weighting=True) == [
        "'(hat:1.5)' is plain words here, no weight; with weighting: '(hat)1.5'"
    ]


@pytest.mark.parametrize("negative", ["{blurry|dark}", "a __bad__ b", "__my list__"])
def test_syntax_hint_names_a_template_in_a_negative_prompt(negative):
    """Templates stand for several prompts, and never for several negative ones."""
    (said,) = hints("a fox", negative)
    assert said.endswith(" is plain words in a negative prompt; for one run each type negative several times")


@pytest.mark.parametrize(("prompt", "known"), [("a red fox", True), ("a fox in snow", False), ("", True)])
def test_vocabulary_hint_names_what_the_bundled_model_draws(prompt, known, monkeypatch):
    """In one line, with what to say for anything else; of other models nothing is said."""
    monkeypatch.delenv("PROMPTLAB_ENGINE", raising=False)
    spec = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt=prompt),), seeds=(0,))
    line = (
        "the bundled model knows no word of 'a fox in snow': it draws portraits (a king, an old warrior chief, a "
        "pirate in red …); for anything else type: model=MODEL"
    )
    assert list(vocabulary_hints([spec])) == ([] if known else [line])
    assert list(vocabulary_hints([spec.vary(model="stabilityai/sdxl-turbo")])) == []
