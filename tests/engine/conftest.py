"""The bundled model and small folders that look like other models, shared by the engine's tests."""

import shutil
from pathlib import Path

import pytest

from promptlab.engine import create_engine
from promptlab.engine.machine.torch_setup import prepare
from promptlab.models import bundled
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from tests.engine.company import DEVICE
from tests.engine.folders import write_json, write_safetensors

prepare()  # as every door of the engine does, before a test imports diffusers by a back door


@pytest.fixture(scope="session")
def engine():
    """One engine for all tests: the bundled model's weights are loaded once."""
    engine = create_engine()
    import torch

    torch.set_num_threads(1)  # small pictures gain nothing by more, and several workers on few cores lose much
    return engine


@pytest.fixture(scope="session")
def mini():
    folder = bundled("mini")
    assert folder is not None
    return folder


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, tmp_path):
    """An empty Hub cache, and no network."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def make_spec():
    """A small, quick spec on the bundled model; anything of it can be said otherwise."""

    def make(*prompts, seeds=(0,), negative_prompt="", **changes):
        spec = RunSpec(
            pipeline=PipelineSpec(model="mini"),
            call=CallSpec(num_inference_steps=2, height=64, width=64),
            variants=tuple(Variant(prompt=p, negative_prompt=negative_prompt) for p in prompts or ("a red circle",)),
            seeds=tuple(seeds),
            device=DEVICE,
        )
        return spec.vary(**changes)

    return make


@pytest.fixture
def copy_of_mini(mini, tmp_path):
    """The bundled model in a folder of its own, to be changed."""

    def copy(name="model"):
        return Path(shutil.copytree(mini, tmp_path / name))

    return copy


@pytest.fixture
def make_model(tmp_path):
    """A folder that looks like a model: an index, configurations, and weights that hold nothing."""

    def make(pipeline, name="other", **parts):
        folder = tmp_path / name
        index = {"_class_name": pipeline, "_diffusers_version": "0.42.1"}
        for part, (library, kind, config) in parts.items():
            index[part] = [library, kind]
            file = "scheduler_config.json" if part == "scheduler" else "config.json"
            write_json(folder / part / file, {"_class_name": kind, **config})
            if part != "scheduler":
                write_safetensors(folder / part / "diffusion_pytorch_model.safetensors")
        write_json(folder / "model_index.json", index)
        return folder

    return make


@pytest.fixture
def flux(make_model):
    """A flow-matching transformer model, as far as its configuration goes."""
    return make_model(
        "FluxPipeline",
        name="flux",
        scheduler=("diffusers", "FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
        transformer=("diffusers", "FluxTransformer2DModel", {"in_channels": 64, "patch_size": 1}),
        vae=("diffusers", "AutoencoderKL", {"latent_channels": 16, "block_out_channels": [128, 256, 512, 512]}),
    )
