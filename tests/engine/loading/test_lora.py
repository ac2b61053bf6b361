"""LoRAs and textual inversions: found, checked before a weight is read, put on and taken off without a trace."""

import hashlib
import json
import shutil

import pytest

from promptlab.engine import ModelLoading
from promptlab.errors import InputError
from promptlab.plan import requests_of
from promptlab.specs import Embedding, Lora
from tests.engine.drawing import Trusting, draw, resolve
from tests.engine.steered import cached_on_hub, write_embedding, write_lora

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two LoRAs, of denoiser and words and of the denoiser alone; a word of one vector and one of three."""
    folder = tmp_path_factory.mktemp("adapters")
    return {
        "both": write_lora(folder / "both", 1),
        "denoiser": write_lora(folder / "denoiser", 2, words=False),
        "cat": write_embedding(folder / "cat.safetensors", 1),
        "many": write_embedding(folder / "many.safetensors", 3, token="emb_params"),
    }


@pytest.fixture(scope="module")
def make(engine):
    def hashes(spec, some=None):
        tasks = requests_of(resolve(engine, spec))
        pictures = draw(engine, tasks if some is None else [tasks[place] for place in some])
        return [hashlib.sha256(picture.pixels.tobytes()).hexdigest() for picture in pictures]

    return hashes


def test_loras_removed_leave_the_model_as_it_was(engine, make, make_spec, files):
    """On, weighed otherwise, two at once, off: each is its own picture, and the model is to the byte what it was. Its
    own weights are read once."""
    both, denoiser = Lora(name=str(files["both"])), Lora(name=str(files["denoiser"]), weight=0.5)
    spec = make_spec("a red circle", num_inference_steps=1)
    plain = make(spec)
    events = []
    list(draw(engine, requests_of(resolve(engine, spec.vary(loras=(both,)))), events.append))
    assert not any(isinstance(event, ModelLoading) for event in events)
    sets = [(both,), (Lora(name=both.name, weight=0.5),), (denoiser,), (both, denoiser), (denoiser, both)]
    made = [make(spec.vary(loras=each)) for each in sets]
    assert len({picture for each in (plain, *made) for picture in each}) >= 5
    assert made[3] != made[0]
    assert make(spec.vary(loras=(Lora(name=both.name, weight=0.0),))) == plain
    assert make(spec) == plain
    assert make(spec.vary(loras=sets[3])) == made[3]


def test_loras_and_embeddings_keep_images_independent_of_their_batch(make, make_spec, files):
    """Alone, in another order, in a full batch: the same bytes."""
    spec = make_spec(
        "a red circle", "a <cat> of many", seeds=(0, 7), loras=(Lora(name=str(files["both"]), weight=0.7),),
        embeddings=(Embedding(name=str(files["cat"])), Embedding(name=str(files["many"]))), weighting=True,
        variation_seed=2, variation_strength=0.3, num_inference_steps=1,
    )  # fmt: skip
    whole = make(spec)
    assert len(set(whole)) == 4
    assert make(spec, [3, 0]) == [whole[3], whole[0]]
    assert make(spec, [2]) == [whole[2]]


def test_embeddings_removed_leave_the_model_as_it_was(make, make_spec, files):
    """A word of one vector, one of three, and none again; prompts without the word are as they were."""
    cat, many = (Embedding(name=str(files[name])) for name in ("cat", "many"))
    spec = make_spec("a <cat>", "many hats", "a hat", num_inference_steps=1)
    plain = make(spec)
    with_cat, with_both = make(spec.vary(embeddings=(cat,))), make(spec.vary(embeddings=(cat, many)))
    assert (with_cat[0] != plain[0], with_cat[1:]) == (True, plain[1:])
    assert (with_both[0], with_both[1] != plain[1], with_both[2]) == (with_cat[0], True, plain[2])
    assert make(spec) == plain
    assert make(spec.vary(embeddings=(cat, many), weighting=True)) == with_both


def test_adapter_identity_is_its_content(engine, make_spec, files, tmp_path):
    """The same file elsewhere is the same recipe; another weight, another order, another content is another."""
    copy = shutil.copy(files["both"], tmp_path / "copy.safetensors")

    def key(*loras, **changes):
        return resolve(engine, make_spec(loras=loras, **changes)).setting_key

    one, other = Lora(name=str(files["both"])), Lora(name=str(files["denoiser"]))
    assert key(one) == key(Lora(name=str(copy)))
    keys = [key(), key(one), key(Lora(name=one.name, weight=0.5)), key(one, other), key(other, one)]
    keys += [key(embeddings=(Embedding(name=str(files["cat"]), token=word),)) for word in (None, "<dog>")]
    assert len(set(keys)) == len(keys)
    resolved = resolve(engine, make_spec(loras=(Lora(name=str(files["both"].parent)),))).spec.pipeline
    assert resolved.loras == (one,)
    assert resolved.loras[0].identity == f"sha256:{hashlib.sha256(files['both'].read_bytes()).hexdigest()}"
    word = resolve(engine, make_spec(embeddings=(Embedding(name=str(files["many"])),))).spec.pipeline.embeddings[0]
    assert word.token == "many"  # the file names none: its own name


def test_adapter_from_the_hub_is_pinned_to_a_commit(engine, make_spec, files, tmp_path):
    """``organisation/repository``, with a file or without, offline: what is resolved names commit and file."""
    commit = "c0ffee" + "0" * 34
    cached_on_hub(tmp_path / "hub", "org/wash", files["both"], commit)
    pinned = f"org/wash@{commit}/pytorch_lora_weights.safetensors"
    for name in ("org/wash", "org/wash/pytorch_lora_weights.safetensors", "org/wash@main", pinned):
        (found,) = resolve(engine, make_spec(loras=(Lora(name=name),))).spec.pipeline.loras
        assert found.name == pinned
    with pytest.raises(InputError, match=r"loras 'org/wash/ink\.safetensors' is no file of its repository"):
        resolve(engine, make_spec(loras=(Lora(name="org/wash/ink.safetensors"),)))


def test_adapter_files_of_other_programs_are_read(make, make_spec, files, tmp_path):
    """The names of kohya's scripts, and those of an encoder of an older transformers: the same picture."""
    import torch
    from safetensors.torch import load_file, save_file

    state = load_file(files["both"])
    older = {key.replace("text_encoder.", "text_encoder.text_model."): value for key, value in state.items()}
    kohya = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        layer, _, half = rest.partition(".lora_")
        name = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}[part] + layer.replace(".", "_")
        kohya[f"{name}.lora_{'down' if half.startswith('A') else 'up'}.weight"] = value
        kohya[f"{name}.alpha"] = torch.tensor(2.0)
    spec = make_spec(num_inference_steps=1)
    expected = make(spec.vary(loras=(Lora(name=str(files["both"])),)))
    for name, other in (("older", older), ("kohya", kohya)):
        save_file(other, tmp_path / f"{name}.safetensors")
        assert make(spec.vary(loras=(Lora(name=str(tmp_path / f"{name}.safetensors")),))) == expected, name


def test_lora_of_another_model_is_refused(engine, make_spec, files, tmp_path):
    """Other sizes, other layers, no layers: each said in one line, before a weight of the model is read."""
    import torch
    from safetensors.torch import load_file, save_file

    state = load_file(files["denoiser"])
    down = next(key for key in state if key.endswith("lora_A.weight"))

    def refused(name, content, sentence):
        save_file(content, tmp_path / f"{name}.safetensors")
        with pytest.raises(InputError, match=sentence) as caught:
            resolve(engine, make_spec(loras=(Lora(name=str(tmp_path / f"{name}.safetensors")),)))
        assert "\n" not in str(caught.value)

    wide = {**state, down: torch.zeros(2, 768)}
    refused("wide", wide, r"has 768 inputs at .*attn1\.to_., not \d+; allowed: a LoRA that was trained for this Stable")
    renamed = {key.replace("_blocks.", "_blocks.9"): value for key, value in state.items()}
    refused("renamed", renamed, "has the layer .*, which this model has not")
    flux = {f"transformer.blocks.0.attn.to_q.lora_{half}.weight": torch.zeros(2, 2) for half in "AB"}
    refused("flux", flux, "has no layer of a unet|cannot be read as one for it")
    refused("none", {"weight": torch.zeros(2)}, "holds no LoRA; allowed: low-rank weights")


@pytest.mark.parametrize(("tensor", "kind"), [("oft_blocks", "an OFT"), ("on_input", "an IA3")])
def test_lora_of_another_kind_is_refused_by_its_name(engine, make_spec, files, tmp_path, tensor, kind):
    """diffusers would leave those tensors out, and the picture would be that of another LoRA."""
    import torch
    from safetensors.torch import load_file, save_file

    state = load_file(files["denoiser"])
    layer = next(iter(state)).partition(".lora_")[0]
    save_file({**state, f"{layer}.{tensor}": torch.ones(4, 1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=rf"other\.safetensors' is {kind} \(.*\), which diffusers does not apply"):
        resolve(engine, make_spec(loras=(Lora(name=str(tmp_path / "other.safetensors")),)))


def test_warnings_of_libraries_are_collected_and_put_back():
    """What a library logs while a file is read is seen, though nothing of it is shown; its loggers are as before."""
    import logging

    from promptlab.engine.machine.torch_setup import IGNORED, warned

    logger = logging.getLogger("diffusers")
    before = logger.level, list(logger.handlers), logger.propagate
    with warned() as said:
        logging.getLogger("diffusers.loaders").warning("we are going to filter out the keys of %s", "x")
    assert said == ["we are going to filter out the keys of x"]
    assert IGNORED.search(said[0])
    assert (logger.level, logger.handlers, logger.propagate) == before


def test_embedding_of_two_encoders_is_refused_where_one_fits(engine, make_spec, files, tmp_path):
    """Stable Diffusion XL's means what it was trained for with both of its halves only."""
    import torch
    from safetensors.torch import load_file, save_file

    own = next(iter(load_file(files["cat"]).values())).reshape(1, -1)
    path = tmp_path / "two.safetensors"
    save_file({"clip_l": own.contiguous(), "clip_g": torch.zeros(1, 1280)}, path)
    with pytest.raises(InputError, match=r"has vectors for 2 text encoders, of .* and only 1 of them fits this model"):
        resolve(engine, make_spec(embeddings=(Embedding(name=str(path), token="<two>"),)))


def test_embedding_of_another_model_is_refused(engine, make_spec, files, tmp_path):
    """Another width, a word that the encoder knows, blanks in it, no embedding at all."""
    wide = write_embedding(tmp_path / "wide.safetensors", 1, width=7)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no")
    for name, token, sentence in (
        (wide, None, "has vectors of 7 numbers; allowed: one of .* numbers, trained for this model"),
        (files["cat"], "a", "'a' is a word that text_encoder knows already; allowed: a word of its own"),
        (files["both"], None, "is no embedding; allowed: vectors for one word"),
        (broken, None, "is no safetensors file"),
        (tmp_path / "not there.safetensors", None, "does not exist"),
    ):
        with pytest.raises(InputError, match=sentence):
            resolve(engine, make_spec(embeddings=(Embedding(name=str(name), token=token),)))


def test_adapter_pickled_is_refused_unless_allowed(engine, make_spec, files, tmp_path):
    """The layouts of AUTOMATIC1111 are pickles; read by a reader that makes tensors and nothing else."""
    import torch
    from safetensors.torch import load_file

    vectors = next(iter(load_file(files["cat"]).values()))
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "<cat>"}, tmp_path / "cat.pt")
    torch.save(load_file(files["both"]), tmp_path / "both.bin")
    word, lora = Embedding(name=str(tmp_path / "cat.pt")), Lora(name=str(tmp_path / "both.bin"))
    for changes in ({"embeddings": (word,)}, {"loras": (lora,)}):
        with pytest.raises(InputError, match="is pickled, which may hold a program; allowed: safetensors, or allow_p"):
            resolve(engine, make_spec(**changes))
    trusting = Trusting(engine)
    resolved = resolve(trusting, make_spec("a <cat>", embeddings=(word,), loras=(lora,), num_inference_steps=1))
    assert resolved.spec.pipeline.embeddings[0].token == "<cat>"
    loras = (Lora(name=str(files["both"])),)
    named = make_spec("a <cat>", embeddings=(Embedding(name=str(files["cat"])),), num_inference_steps=1, loras=loras)
    safe = resolve(engine, named)
    pickled, plain = (next(iter(draw(by, requests_of(each)))) for by, each in ((trusting, resolved), (engine, safe)))
    assert (pickled.pixels == plain.pixels).all()


def test_adapter_folder_of_several_files_lists_them(engine, make_spec, files, tmp_path):
    """A folder with several says which, and how to name one."""
    for name in ("a", "b"):
        shutil.copy(files["both"], tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"holds several files .*; allowed: .*a\.safetensors, .*b\.safetensors; type"):
        resolve(engine, make_spec(loras=(Lora(name=str(tmp_path)),)))


def test_embedding_without_clip_encoder_is_refused(engine, make_spec, flux, files):
    """Textual inversions belong to CLIP."""
    with pytest.raises(InputError, match=r"embeddings .* means nothing to a FluxPipeline, which has no CLIP"):
        resolve(
            engine, make_spec(model=str(flux), embeddings=(Embedding(name=str(files["cat"])),), height=None, width=None)
        )
    assert json.loads((flux / "model_index.json").read_text())["_class_name"] == "FluxPipeline"
