"""Words that text encoders would not see: named exactly, from tokenizers alone."""

import json
import shutil

import pytest

from promptlab.engine.text import truncation
from promptlab.engine.text.truncation import Tokenizers
from promptlab.errors import EngineError
from promptlab.specs import Embedding
from tests.engine.drawing import resolve
from tests.engine.folders import write_json
from tests.engine.steered import write_embedding

LONG_OF_THE_TUTORIAL = (
    "portrait photo of a old warrior chief, tribal panther make up, blue on red, side profile, looking away, serious "
    "eyes 50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"
)


def cut_of(engine, spec):
    return {each.prompt: each.words for each in engine.truncated_prompts([resolve(engine, spec)])}


@pytest.fixture
def tokenizer(engine, mini):
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(str(mini / "tokenizer"), local_files_only=True)


def test_truncation_of_the_tutorials_prompt_is_none(engine, make_spec):
    """It is long for a person, not for the encoder."""
    assert cut_of(engine, make_spec(LONG_OF_THE_TUTORIAL)) == {}


def test_truncation_of_120_words_names_those_beyond_the_75th(engine, make_spec):
    """As typed: with their capitals, commas and double blanks."""
    words = ["red"] * 75 + ["Blue,", " a"] + ["Red"] * 43
    prompt = " ".join(words)
    assert len(words) == 120
    assert cut_of(engine, make_spec(prompt)) == {prompt: " ".join(words[75:])}


def test_truncation_begins_after_75_words(engine, make_spec):
    """75 fit; one more does not."""
    fits, over = " ".join(["red"] * 75), " ".join(["red"] * 75 + ["fox"])
    assert cut_of(engine, make_spec(fits, over)) == {over: "fox"}


@pytest.mark.parametrize("unit", ["빨간 원과 파란 네모 ", "a 🦊 fox ", "红色的圆", "Ünïcödé wörds ", "a_b-c/d 1234 "])
def test_truncation_of_other_scripts_is_where_the_encoder_cuts(engine, make_spec, tokenizer, unit):
    """What is named is the prompt's own end; what comes before it fits, and with its next word it would not."""
    prompt = (unit * 100).strip()
    words = cut_of(engine, make_spec(prompt))[prompt]
    assert prompt.endswith(words)
    read = prompt[: -len(words)]
    assert len(tokenizer(read).input_ids) <= 77
    assert len(tokenizer(read + (words[:1] if unit == "红色的圆" else words.split()[0])).input_ids) > 77


def test_truncation_inside_a_word_names_the_whole_word(engine, make_spec, tokenizer):
    """A word that the border falls into is named from its beginning."""
    prompt = " ".join(["red"] * 74 + ["unpronounceable"])
    assert len(tokenizer("unpronounceable").input_ids) > 4
    assert cut_of(engine, make_spec(prompt)) == {prompt: "unpronounceable"}


def test_truncation_of_negative_prompts_is_named(engine, make_spec):
    """They go through the same encoder."""
    long = " ".join(["red"] * 76)
    assert cut_of(engine, make_spec("a fox", negative_prompt=long)) == {long: "red"}


def test_truncation_of_many_prompts_misses_none(engine, make_spec, monkeypatch):
    """They go to the tokenizer in parts; none is lost at a border."""
    monkeypatch.setattr(truncation, "_BATCH", 3)
    prompts = [" ".join(["red"] * count) for count in range(70, 80)]
    assert list(cut_of(engine, make_spec(*prompts))) == prompts[6:]


def test_truncation_loads_each_tokenizer_once_and_no_weights(engine, make_spec, monkeypatch):
    """Once a model and tokenizer, whatever the number of runs and calls."""
    loaded = []
    monkeypatch.setattr(engine, "_tokenizers", Tokenizers())
    monkeypatch.setattr(engine._pipelines, "ready", None)  # a call would fail
    load = truncation.load_tokenizer
    monkeypatch.setattr(
        truncation, "load_tokenizer", lambda of, part, kind: loaded.append(part) or load(of, part, kind)
    )
    resolved = engine.resolve([make_spec("a fox"), make_spec("a cat", dtype="bfloat16")])
    for _ in range(2):
        engine.truncated_prompts(resolved)
    assert loaded == ["tokenizer"]


def test_truncation_of_a_second_encoder_has_its_own_length(engine, make_spec, make_model, mini):
    """A T5 reads as much as the call says; every encoder that cuts is named."""
    vae = ("diffusers", "AutoencoderKL", {"latent_channels": 16, "block_out_channels": [1, 1, 1, 1]})
    folder = make_model(
        "FluxPipeline", name="two",
        scheduler=("diffusers", "FlowMatchEulerDiscreteScheduler", {}),
        transformer=("diffusers", "FluxTransformer2DModel", {"in_channels": 64, "patch_size": 1}), vae=vae,
    )  # fmt: skip
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index |= {
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "PreTrainedTokenizerFast"],
    }
    write_json(folder / "model_index.json", index)
    for part in ("tokenizer", "tokenizer_2"):
        shutil.copytree(mini / "tokenizer", folder / part)
    prompt = " ".join(["red"] * 100)

    def of(**changes):
        return [
            (each.encoder, len(each.words.split()))
            for each in engine.truncated_prompts([resolve(engine, make_spec(prompt, model=str(folder), **changes))])
        ]

    assert of() == [("tokenizer", 25)]
    assert of(arguments=(("max_sequence_length", 62),)) == [("tokenizer", 25), ("tokenizer_2", 40)]


def test_truncation_without_tokenizer_is_one_line(engine, make_spec, copy_of_mini, monkeypatch):
    """Never a traceback of a library's."""
    monkeypatch.setattr(engine, "_tokenizers", Tokenizers())  # of the same content, the model's is remembered
    folder = copy_of_mini()
    resolved = resolve(engine, make_spec(model=str(folder)))
    for path in (folder / "tokenizer").iterdir():
        path.write_text("no", encoding="utf-8")
    with pytest.raises(EngineError, match="could not be counted") as caught:
        engine.truncated_prompts([resolved])
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_truncation_with_weighting_is_none(engine, make_spec):
    """Long texts are read in pieces."""
    prompt = " ".join(["red"] * 80)
    assert cut_of(engine, make_spec(prompt)) != {}
    assert cut_of(engine, make_spec(prompt, weighting=True)) == {}


@pytest.mark.slow
def test_truncation_counts_a_token_of_three_vectors_thrice(engine, make_spec, tmp_path):
    """What is cut is named as it was written, the word that lies across the border with it."""
    file = write_embedding(tmp_path / "many.safetensors", 3, token="<many>")
    embeddings = (Embedding(name=str(file)),)
    fits, over = " ".join(["red"] * 72 + ["<many>"]), " ".join(["red"] * 73 + ["<many> end"])
    assert cut_of(engine, make_spec(fits, over, embeddings=embeddings)) == {over: "<many> end"}
