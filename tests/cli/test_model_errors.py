"""What only the real engine can find wrong, found through the command line before any weight is loaded."""

import shutil

import pytest

from promptlab.models import bundled_models

pytestmark = pytest.mark.slow

ALLOWED_MODELS = "allowed: a Hub id, a folder, a .safetensors file, or a bundled model: mini"
WRONG = {
    "model folder": (["--model", "./nowhere"], ["--model './nowhere' does not exist", ALLOWED_MODELS]),
    "model, nearly": (["--model", "minni"], ["--model 'minni' does not exist (did you mean mini?); allowed: "]),
    "vae, nearly": (["--vae", "mini-vae-f"], ["'mini-vae-f' does not exist (did you mean mini-vae-ft?); allowed: "]),
    "vae": (
        ["--vae", "nowhere"],
        ["--vae 'nowhere' does not exist", "a folder or a .safetensors file with an autoencoder"],
    ),
    "scheduler": (["--scheduler", "flow-euler"], ["--scheduler 'flow-euler' does not fit this model", "ddim, ddpm"]),
    "scheduler option": (
        ["--scheduler", "euler:use_karas_sigmas=true"],
        ["'use_karas_sigmas' is no option of euler (did you mean use_karras_sigmas?)"],
    ),
    "scheduler value": (
        ["--scheduler", "euler:timestep_spacing=wide"],
        ["timestep_spacing", "linspace, leading, trailing"],
    ),
    "scheduler options": (
        ["--scheduler", "euler:"],
        ["--scheduler 'euler:' has no option behind its colon; allowed: NAME, or NAME:key=value"],
    ),
    "lora": (
        ["--lora", "nowhere"],
        ["--lora 'nowhere' does not exist; allowed: a .safetensors file with a LoRA, a folder with one"],
    ),
    "lora on the hub": (
        ["--lora", "nobody/nothing"],
        ["the Hub cannot be reached", "type: --lora with a file or folder"],
    ),
    "lora of a model": (["--lora", str(bundled_models()["mini"])], ["is a whole model, not a LoRA; allowed: "]),
    "lora as text": (
        ["--lora", __file__],
        ["is no safetensors file: it does not begin with a list of tensors; allowed"],
    ),
    "embedding": (
        ["--textual-inversion", "nowhere"],
        ["--textual-inversion 'nowhere' does not exist; allowed: a .safetensors file with an embedding, a folder with"],
    ),
    "weights variant": (
        ["--variant", "fp16"],
        ["--variant 'fp16' is no variant of mini; allowed: none; type: the command without --variant"],
    ),
    "revision": (
        ["--revision", "main"],
        [
            "--revision 'main' means nothing for mini, which does not come from the Hub",
            "type: the command without --re",
        ],
    ),
    "device": (["--device", "cuda:77"], ["--device 'cuda:77' is not there", "allowed: "]),
    "size": (["--size", "100"], ["--size '100x100' is not divisible by 16", "type: --size 112x112"]),
}


@pytest.fixture
def typed(promptlab, monkeypatch):
    monkeypatch.setenv("PROMPTLAB_ENGINE", "diffusers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return promptlab


@pytest.mark.parametrize("case", WRONG)
def test_run_model_that_does_not_load_is_one_line_and_nothing_is_written(case, typed, workspace):
    """Exit code 2, what, which value, what is allowed; no run, no folder."""
    words, sentences = WRONG[case]
    said = typed("run", "a", *words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert [sentence for sentence in sentences if sentence not in said.err] == []
    assert typed("list").out.startswith("no runs yet")
    assert not (workspace.root / "images").exists()


def test_run_hub_id_that_is_not_cached_is_said_at_once(typed):
    """Offline, nothing waits for the network."""
    said = typed("run", "a", "--model", "nobody/nothing")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--model 'nobody/nothing'" in said.err


def test_run_model_with_only_pickled_weights_is_refused(typed, tmp_path):
    """Loading a pickle runs what is in it."""
    folder = tmp_path / "pickled"
    shutil.copytree(bundled_models()["mini"], folder)
    (folder / "unet/diffusion_pytorch_model.safetensors").rename(folder / "unet/diffusion_pytorch_model.bin")
    said = typed("run", "a", "--model", str(folder))
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "has only pickled weights in unet" in said.err
    assert "allowed: safetensors weights" in said.err
