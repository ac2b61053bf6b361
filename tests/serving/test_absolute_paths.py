"""Names of local files travel absolutely; all others as they were typed."""

import pytest

from promptlab.expand.axes import Axis
from promptlab.expand.sweep import build_sweep
from promptlab.serving.absolute_paths import absolute_ref, absolute_source, absolute_spec, absolute_sweep
from promptlab.specs import Embedding, Lora, PipelineSpec, RunSpec, Variant


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a model, a LoRA, and what bears the name of something else."""
    monkeypatch.chdir(tmp_path)
    for name in ("model", "mini", "3", "last"):
        (tmp_path / name).mkdir()
    for name in ("ink.safetensors", "picture.png"):
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize("name", ["mini", "org/model", "nothing.safetensors", "org/model/ink.safetensors", "~nobody/x"])
def test_source_that_is_no_file_here_keeps_its_name(folder, name):
    """A bundled model, also where a folder is called like it; the Hub's; and what is nowhere, for the error."""
    assert absolute_source(name) == name


@pytest.mark.parametrize("name", ["model", "./model", "../{here}/model", "ink.safetensors"])
def test_source_that_lies_here_is_absolute(folder, name):
    """As the engine records it, without dots."""
    name = name.format(here=folder.name)
    assert absolute_source(name) == str(folder / name.rpartition("/")[2])


def test_spec_and_sweep_name_all_their_files_absolutely(folder):
    """Model, VAE, configuration, LoRAs and embeddings; a spec without any is the same object."""
    spec = RunSpec(
        pipeline=PipelineSpec(
            model="mini", vae="model", config="model", loras=(Lora(name="ink.safetensors", weight=0.5),),
            embeddings=(Embedding(name="ink.safetensors", token="<x>"),),
        ),
        variants=(Variant(prompt="a"),), seeds=(1,),
    )  # fmt: skip
    here = absolute_spec(spec).pipeline
    assert (here.model, here.vae, here.config) == ("mini", str(folder / "model"), str(folder / "model"))
    assert (here.loras[0].name, here.loras[0].weight) == (str(folder / "ink.safetensors"), 0.5)
    assert (here.embeddings[0].name, here.embeddings[0].token) == (str(folder / "ink.safetensors"), "<x>")
    plain = spec.vary(vae=None, config=None, loras=(), embeddings=())
    assert absolute_spec(plain) is plain
    sweep = absolute_sweep(build_sweep(plain, [Axis(field="model", values=("mini", "model"))]))
    assert [cell.spec.pipeline.model for cell in sweep.cells] == ["mini", str(folder / "model")]


@pytest.mark.parametrize("ref", ["last", "3", "3/12", "sweep:3", "gone.png"])
def test_ref_that_is_no_file_here_is_as_typed(folder, ref):
    """A run's number stays one, also where a folder is called like it."""
    assert absolute_ref(ref) == ref


def test_ref_that_is_a_file_is_absolute(folder):
    """A picture, or a grid."""
    assert absolute_ref("picture.png") == str(folder / "picture.png")
