"""Quantised weights: made as they are loaded, read from files, refused in one line before anything is read."""

import json
from importlib.util import find_spec

import pytest

from promptlab.engine.loading import quantization
from promptlab.engine.loading.quantization import (
    Quantization,
    check_offload,
    check_package,
    packages_of,
    stored_methods,
)
from promptlab.engine.machine.environment import EXTRAS
from promptlab.engine.sources.finder import find_model
from promptlab.errors import InputError
from promptlab.plan import requests_of
from promptlab.specs import MachineSpec, PipelineSpec
from tests.engine.drawing import draw, loaded_pipeline, resolve
from tests.engine.folders import write_json
from tests.engine.gguf_files import write_gguf
from tests.engine.tiny import save_tiny, tiny_unet

needs_torchao = pytest.mark.skipif(find_spec("torchao") is None, reason="the extra torchao is not installed")
needs_gguf = pytest.mark.skipif(find_spec("gguf") is None, reason="the extra gguf is not installed")
WIDE = {"block_out_channels": (32, 32)}
"""Layers of 32 numbers: a block of Q8_0."""


def there(*packages):
    """In place of ``find_spec``: only these packages are installed."""
    return lambda name: name if name in packages else None


@pytest.mark.parametrize(
    ("spec", "device", "sentence"),
    [
        ({"quantization": "nf4"}, "cpu", "quantization 'nf4' cannot be done on cpu: bitsandbytes wants cuda; "),
        ({"quantization": "fp8"}, "mps", "quantization 'fp8' cannot be done on mps: torchao wants cuda or cpu"),
        ({"text_encoder_quantization": "nf4"}, "cpu", "text_encoder_quantization 'nf4' cannot be done on cpu"),
        ({"quantization": "nf4"}, "cuda:0", "quantization 'nf4' needs the package bitsandbytes, which "),
        ({"quantization": "int8"}, "cpu", "quantization 'int8' needs the package torchao, which is not installed"),
        ({"quantization": "gguf:a.gguf"}, "cpu", "quantization 'gguf:a.gguf' needs the package gguf"),
    ],
)  # fmt: skip
def test_quantization_that_a_device_or_an_installation_cannot_do_is_refused(monkeypatch, spec, device, sentence):
    """What, why, and what to type; nothing is imported for it."""
    monkeypatch.setattr(quantization, "find_spec", there())
    with pytest.raises(InputError) as refused:
        check_package(PipelineSpec(model="m", **spec), device)
    assert str(refused.value).startswith(sentence)


def test_quantization_with_layers_that_come_one_by_one_is_refused():
    """Whole parts may wait in the CPU's memory; layers that hold more than a tensor may not."""
    pipeline = PipelineSpec(model="m", quantization="int8")
    check_offload(pipeline, MachineSpec(offload="model"))
    with pytest.raises(InputError, match=r"^offload 'group' cannot be used with quantization=int8; allowed: model"):
        check_offload(pipeline, MachineSpec(offload="group"))


def test_quantization_names_its_parts_and_packages(tmp_path):
    """The denoiser and the text encoders apart; what is stored quantised counts as well."""
    parts = {"transformer": "A", "text_encoder": "B", "text_encoder_2": "C", "vae": "D", "tokenizer": "E"}
    asked = Quantization(quantization="gguf:/a/b.gguf", text_encoder_quantization="int8")
    assert asked.methods(parts) == {"transformer": "gguf", "text_encoder": "int8", "text_encoder_2": "int8"}
    assert packages_of(asked, parts, {}) == ("gguf", "torchao")
    write_json(tmp_path / "text_encoder" / "config.json", {"quantization_config": {"quant_method": "bitsandbytes"}})
    stored = stored_methods(tmp_path, parts)
    assert stored == {"text_encoder": "bitsandbytes"}
    assert packages_of(Quantization(), parts, stored) == ("bitsandbytes",)
    assert packages_of(Quantization(), parts, {"transformer": "quanto", "text_encoder": ""}) == ()
    assert set(packages_of(asked, parts, {"vae": "bitsandbytes"})) == EXTRAS, "others would be remembered for all"


def test_gguf_given_as_a_model_is_told_where_it_belongs(tmp_path):
    """It has no encoders and no VAE: the model's own are used with it."""
    file = tmp_path / "a.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(
        InputError, match=r"is a GGUF, which holds a denoiser alone; .* type: model=ID quantization=gguf:/"
    ):
        find_model(str(file))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        (
            {"quant_method": "nunchaku_lite"},
            "quantised by nunchaku_lite, whose programs come from the Hub and are never run",
        ),
        ({"load_in_4bit": True}, "has a unet quantised by bitsandbytes, which wants cuda, not cpu"),
    ],
)
def test_model_stored_in_a_way_that_cannot_be_read_here_is_refused(engine, make_spec, tmp_path, stored, sentence):
    """By its configuration, before a weight is read."""
    folder = save_tiny(tmp_path / "tiny")
    file = folder / "unet" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "quantization_config": stored}))
    with pytest.raises(InputError, match=sentence):
        resolve(engine, make_spec(model=str(folder)))


@pytest.mark.slow
@needs_torchao
@pytest.mark.parametrize("method", ["int8", pytest.param("fp8", marks=pytest.mark.exhaustive)])
def test_quantised_denoiser_makes_other_bytes_and_the_same_again(engine, make_spec, method):
    """Held in eight bits, alone or with the encoder, another recipe, and as reproducible as any; then whole again."""
    from torchao.utils import TorchAOBaseTensor

    plain = make_spec("a red circle", "a cat", num_inference_steps=1)
    both = {"quantization": method, "text_encoder_quantization": method}
    made = {}
    for name, changes in {
        "plain": {},
        "one": {"quantization": method},
        "both": both,
        "again": both,
        "last": {},
    }.items():
        resolved = resolve(engine, plain.vary(**changes))
        requests = requests_of(resolved)
        made[name] = [each.pixels.tobytes() for each in draw(engine, requests)]
        pipeline = loaded_pipeline(engine, requests[0])
        held = {
            part
            for part in ("unet", "text_encoder", "vae")
            if any(isinstance(each, TorchAOBaseTensor) for each in getattr(pipeline, part).parameters())
        }
        assert held == {"plain": set(), "last": set(), "one": {"unet"}}.get(name, {"unet", "text_encoder"})
        assert ("torchao" in resolved.environment.facts) == bool(changes)
    assert made["both"] == made["again"]
    alone = requests_of(resolve(engine, plain.vary(**both)))[1:]
    assert [each.pixels.tobytes() for each in draw(engine, alone)] == made["both"][1:]
    assert made["plain"] == made["last"]
    assert len({tuple(each) for each in made.values()}) == 3


@pytest.mark.slow
@needs_gguf
def test_gguf_takes_the_place_of_the_denoiser(engine, make_spec, tmp_path):
    """Its weights and no others: the folder's own would have made another picture; another file, another identity."""
    import torch

    folder = save_tiny(tmp_path / "tiny", unet=tiny_unet(1, **WIDE))
    other = tiny_unet(2, **WIDE)
    file = write_gguf(tmp_path / "other.gguf", other.state_dict())
    spec = make_spec("a", model=str(folder), num_inference_steps=1, height=16, width=16)
    held = resolve(engine, spec.vary(quantization=f"gguf:{file}"))
    requests = requests_of(held)
    pixels = [each.pixels.tobytes() for each in draw(engine, requests)]
    assert pixels == [each.pixels.tobytes() for each in draw(engine, requests)]
    unet = loaded_pipeline(engine, requests[0]).unet
    assert {type(each).__name__ for each in unet.modules()} >= {"GGUFLinear"}
    assert torch.equal(unet.conv_in.weight, other.conv_in.weight)
    assert held.model_identity != resolve(engine, spec).model_identity
    assert held.environment.facts["gguf"]


@pytest.mark.slow
@needs_gguf
def test_gguf_of_another_model_is_refused_by_its_header(engine, make_spec, tmp_path):
    """Of other widths, of no model at all, of a type that nobody reads: one line, before a weight is read."""
    folder = save_tiny(tmp_path / "tiny", unet=tiny_unet(1, **WIDE))
    narrow = write_gguf(tmp_path / "narrow.gguf", tiny_unet().state_dict())
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(narrow.read_bytes()[:500])
    for file, sentence in (
        (narrow, "is of another model: its unet has conv_in.weight of 32×4×3×3, the file of 8×4×3×3"),
        (broken, "is no whole GGUF file"),
        (tmp_path / "none.gguf", "does not exist"),
    ):
        with pytest.raises(InputError, match=f"^quantization 'gguf:.*{sentence}"):
            resolve(engine, make_spec(model=str(folder), quantization=f"gguf:{file}"))
