"""Dtypes that nobody named: by the device, and by what the denoiser's weights are stored in."""

import json
import struct
from dataclasses import replace
from types import SimpleNamespace

import pytest

from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.finder import ModelSource
from promptlab.engine.sources.stored_dtype import chosen_dtype, stored_half
from promptlab.expand.values import read_value
from promptlab.specs.settings import SETTINGS
from tests.engine.folders import write_json


def write_header(path, **tensors):
    """A safetensors file of these dtypes and numbers of elements, whose content is nothing."""
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "F8_E4M3": 1}
    header, at = {}, 0
    for name, (dtype, count) in tensors.items():
        header[name] = {"dtype": dtype, "shape": [count], "data_offsets": [at, at + sizes[dtype] * count]}
        at += sizes[dtype] * count
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))


def model_of(folder, part, kind, **tensors):
    """A model whose denoiser is stored so."""
    write_json(folder / "model_index.json", {"_class_name": "SomePipeline", part: ["diffusers", kind]})
    write_json(folder / part / "config.json", {"_class_name": kind})
    write_header(folder / part / "diffusion_pytorch_model.safetensors", **tensors)
    source = ModelSource(name=str(folder), kind="folder", folder=folder, identity="sha256:0")
    config = Configuration(pipeline_class="SomePipeline", parts={part: kind}, scheduler=None, vae=None, denoiser=None)
    return source, config


@pytest.mark.parametrize(
    ("part", "kind", "stored", "dtype"),
    [
        ("unet", "UNet2DConditionModel", "F32", "float16"),
        ("unet", "UNet2DConditionModel", "F16", "float16"),
        ("unet", "UNet2DConditionModel", "BF16", "bfloat16"),
        ("unet", "UNet2DConditionModel", "F8_E4M3", "float16"),
        ("transformer", "SD3Transformer2DModel", "F16", "float16"),
        ("transformer", "FluxTransformer2DModel", "BF16", "bfloat16"),
        ("transformer", "FluxTransformer2DModel", "F16", "bfloat16"),
        ("transformer", "ZImageTransformer2DModel", "F32", "bfloat16"),
        ("transformer", "SomeNewTransformer2DModel", "F32", "bfloat16"),
        ("prior", "StableCascadeUNet", "F32", "bfloat16"),
    ],
)
def test_dtype_of_an_accelerator_is_the_stored_half(tmp_path, part, kind, stored, dtype):
    """A family that float16 is too narrow for is never computed in it; a CPU stays with float32."""
    source, config = model_of(tmp_path, part, kind, weight=(stored, 8), bias=("F32", 2))
    for asked in (None, "auto"):
        assert chosen_dtype(asked, "cuda:0", source, config) == dtype
        assert chosen_dtype(asked, "cpu", source, config) == "float32"
    assert chosen_dtype("float16", "cuda:0", source, config) == "float16"


def test_dtype_of_quantised_weights_is_that_of_the_rest(tmp_path):
    """Bytes that stand for other numbers say nothing of the dtype that is computed in."""
    source, config = model_of(tmp_path, "unet", "UNet2DConditionModel", weight=("U8", 64), norm=("BF16", 4))
    assert stored_half(source, config) == "bfloat16"


def test_dtype_of_a_single_file_is_its_denoisers(tmp_path):
    """Encoders and VAE lie beside it in the file, and may be wider."""
    source, config = model_of(tmp_path, "unet", "UNet2DConditionModel", weight=("F32", 1))
    write_header(
        tmp_path / "one.safetensors", **{"model.diffusion_model.a": ("BF16", 4), "cond_stage_model.b": ("F32", 9)}
    )
    assert stored_half(replace(source, kind="file", file=tmp_path / "one.safetensors"), config) == "bfloat16"


def test_dtype_with_a_gguf_does_not_look_at_the_weights_that_it_replaces(tmp_path):
    """They need not be here, so that they decide nothing where they are."""
    source, config = model_of(tmp_path, "transformer", "SD3Transformer2DModel", weight=("BF16", 8))
    assert chosen_dtype(None, "cuda:0", source, config) == "bfloat16"
    replaced = replace(source, gguf=tmp_path / "a.gguf")
    assert chosen_dtype(None, "cuda:0", replaced, config) == "float16"
    (tmp_path / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    assert chosen_dtype(None, "cuda:0", replaced, config) == "float16"
    flux = replace(config, parts={"transformer": "FluxTransformer2DModel"})
    assert chosen_dtype(None, "cuda:0", replaced, flux) == "bfloat16"


def test_dtype_of_absent_weights_is_read_from_the_hub(tmp_path, monkeypatch):
    """The header is asked for where the weights are not here yet: the dtype is the one that it will be."""
    import huggingface_hub

    source, config = model_of(tmp_path, "unet", "UNet2DConditionModel", weight=("BF16", 1))
    file = "unet/diffusion_pytorch_model.safetensors"
    (tmp_path / file).unlink()
    asked = []

    def answer(_, name, file, *, revision):
        asked.append((name, file, revision))
        return SimpleNamespace(tensors={"weight": SimpleNamespace(dtype="BF16", shape=[1])})

    monkeypatch.setattr(huggingface_hub.HfApi, "parse_safetensors_file_metadata", answer)
    absent = replace(source, name="org/model", kind="hub", revision="c" * 40, absent=(file,))
    assert chosen_dtype(None, "cuda:0", absent, config) == "bfloat16"
    assert asked == [("org/model", file, "c" * 40)]


def test_dtype_auto_in_words_is_the_default():
    """What is typed means what nothing means, so the recipe is the same."""
    assert read_value(SETTINGS["dtype"], "auto", what="dtype") is None
