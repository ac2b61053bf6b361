"""LoRAs and embeddings, typed: what is used together, what is an axis, and what is no weight."""

import pytest

from promptlab.errors import InputError
from promptlab.expand import Experiment
from promptlab.expand.experiment_file.reader import parse_experiment
from promptlab.expand.settings_text import short_part, short_source
from promptlab.expand.values import read_values
from promptlab.specs import Embedding, Lora
from promptlab.specs.settings import SETTINGS

LORA, WORD = SETTINGS["lora"], SETTINGS["textual_inversion"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ink.safetensors", [("ink.safetensors", 1)]),
        ("ink.safetensors:0.8", [("ink.safetensors", 0.8)]),
        ("org/ink:-1", [("org/ink", -1)]),
        ("org/ink@main/a.safetensors:1e-1", [("org/ink@main/a.safetensors", 0.1)]),
        ("ink:0.8 + org/wash:+0.5+plain", [("ink", 0.8), ("org/wash", 0.5), ("plain", 1)]),
        ("C:\\loras\\ink", [("C:\\loras\\ink", 1)]),
        ("C:\\loras\\ink:0.5", [("C:\\loras\\ink", 0.5)]),
        ("a:b/ink", [("a:b/ink", 1)]),
        ("none", []),
        ("default", []),
    ],
)
def test_lora_text_is_a_name_and_a_weight(text, parts):
    """Behind the last colon stands the weight; 1 where there is none; ``+`` joins what is used together."""
    assert read_values(LORA, text, what="loras") == (tuple(Lora(name=name, weight=weight) for name, weight in parts),)


def test_lora_weight_may_be_a_range():
    """``0.5..1 step 0.25`` is three values, as for any number."""
    found = read_values(LORA, "ink:0.5..1 step 0.25", what="loras")
    assert [str(value[0]) for value in found] == ["ink:0.5", "ink:0.75", "ink"]
    assert len(read_values(LORA, "ink:0-1 (+0.5)", what="loras")) == 3


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        (LORA, "ink:strong", "loras 'ink:strong' has the weight 'strong', which is no number.*type: loras=ink:0.8"),
        (LORA, "ink:nan", "which is no number"),
        (LORA, "ink:1_0", "which is no number"),
        (LORA, "ink+", r"loras 'ink\+' has nothing on one side of a \+; allowed: LoRA files"),
        (LORA, ":0.5", r"loras ':0\.5' names no file; .*; type: loras=none for none"),
        (LORA, "ink+none", "loras 'none' is none, which stands alone; allowed: none, or files; type: loras=none"),
        (LORA, "none:0.5", "loras 'none:0.5' is none, which stands alone"),
        (LORA, "ink:0.5+ink:0.7", "loras 'ink' is named twice"),
        (WORD, "cat:", "has no word behind its colon"),
        (WORD, "cat:<two words>", 'has blanks in the word behind its colon; .*; type: embeddings="cat:<two-words>"'),
        (WORD, "cat:<x>:0.5", "has 0.5 behind its last colon, and an embedding has no weight; allowed: NAME:token"),
        (WORD, "a:<x>+b:<x>", "embeddings '<x>' is named twice"),
    ],
)
def test_adapters_that_are_none_are_refused_in_a_sentence(field, text, sentence):
    """With the option, what was typed, and what to type."""
    with pytest.raises(InputError, match=sentence):
        read_values(field, text, what=field.field)


def test_embedding_text_is_a_name_and_a_token():
    """Behind the colon; without one, the file says it."""
    assert read_values(WORD, "cat.pt:<cat>+dog", what="-") == (
        (Embedding(name="cat.pt", token="<cat>"), Embedding(name="dog")),
    )


def made(experiment):
    return experiment.sweep(default_model="mini")


def test_adapters_typed_twice_are_an_axis():
    """As for every other setting: several values are several runs."""
    typed = Experiment().with_options(prompts=("a fox",), lora=("none", "ink:0.5", "ink:0.5 + wash"))
    assert [[str(each) for each in spec.pipeline.loras] for spec in made(typed).specs] == [
        [], ["ink:0.5"], ["ink:0.5", "wash"],
    ]  # fmt: skip
    assert [cell.label for cell in made(typed).cells] == ["lora none", "lora ink:0.5", "lora ink:0.5 + wash"]


def test_adapters_in_a_file_are_lists_of_lists():
    """A list is used together; a list under axes has a value each, and each may be a list. Its texts are literal."""
    one = parse_experiment("prompts: a fox\nlora: [ink:0.5, a+b]\nembedding: cat.pt:<cat>\n", file="f.yaml")
    (spec,) = made(one).specs
    assert spec.pipeline.loras == (Lora(name="ink", weight=0.5), Lora(name="a+b"))
    assert spec.pipeline.embeddings == (Embedding(name="cat.pt", token="<cat>"),)
    axes = parse_experiment("prompts: a fox\naxes:\n  lora: [none, ink:0.5, [ink:0.5, wash]]\n", file="f.yaml")
    assert [len(spec.pipeline.loras) for spec in made(axes).specs] == [0, 1, 2]
    assert [spec.pipeline.loras for spec in made(axes.with_options(lora=("ink",))).specs] == [(Lora(name="ink"),)]
    ladder = parse_experiment("prompts: a fox\nladder:\n- steps: 2\n- lora: [ink, wash]\n- lora: none\n", file="f.yaml")
    assert [len(spec.pipeline.loras) for spec in made(ladder).specs] == [0, 2, 0]


def test_adapters_in_a_file_are_refused_at_their_place():
    """A weight that is none, in a list within a list."""
    with pytest.raises(InputError, match=r"f\.yaml, line 3, column 19: axes\.lora 'wash:much' has the weight 'much'"):
        parse_experiment("prompts: a fox\naxes:\n  lora: [ink:0.5, [ink:0.5, wash:much]]\n", file="f.yaml")


def test_former_arguments_are_the_settings_of_today():
    """``arguments: {clip_skip: 1}`` in a file, and ``--set clip_skip=1``, are the field of today."""
    file = parse_experiment("prompts: a fox\narguments: {clip_skip: 1, eta: 0.5}\n", file="f.yaml")
    (spec,) = made(file).specs
    assert (spec.call.clip_skip, spec.call.arguments) == (1, (("eta", 0.5),))
    (spec,) = made(Experiment().with_options(prompts=("a fox",), arguments=(("guidance_rescale", 0.7),))).specs
    assert (spec.call.guidance_rescale, spec.call.arguments) == (0.7, ())


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("/home/jane/loras/ink.safetensors", "ink"),
        ("/home/jane/loras/ink/pytorch_lora_weights.safetensors", "ink"),
        (f"org/wash@{'a' * 40}/pytorch_lora_weights.safetensors", "org/wash"),
        (f"org/wash@{'a' * 40}/soft.safetensors", "soft"),
        ("org/wash", "org/wash"),
        ("C:\\loras\\ink.bin", "ink"),
    ],
)
def test_short_source_leaves_out_folders(name, short):
    """Labels, tables and pictures say the file, or the repository, and no more."""
    assert short_source(name) == short
    assert short_part(f"{name}:0.5") == f"{short}:0.5"
