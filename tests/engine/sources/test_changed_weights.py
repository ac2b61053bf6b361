"""Weights that changed under their name, or are gone: verify and resume say so in one line, before anything loads."""

import shutil

import pytest

from promptlab.engine import NO_PERMISSIONS
from promptlab.errors import InputError
from promptlab.lab import Lab
from promptlab.lab.execution.weights import as_recorded
from promptlab.models import bundled
from promptlab.records import Outcome
from promptlab.specs import Embedding, Lora
from tests.engine.drawing import resolve
from tests.engine.single_file import write_checkpoint, write_small
from tests.engine.steered import write_embedding, write_lora
from tests.engine.tiny import save_tiny, save_tiny_xl

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(workspace, engine):
    return Lab(workspace, engine=engine)


def flip(path):
    """Another content of the same size."""
    held = bytearray(path.read_bytes())
    held[-3] ^= 1
    path.write_bytes(held)


def said_by(lab, run, engine, monkeypatch):
    """What a verify and a resume of what the run still owes say; nothing is generated."""
    with monkeypatch.context() as patched:
        patched.setattr(engine, "generate", lambda *_, **__: pytest.fail("something was made"))
        (verdict,) = lab.verify([str(run.id)])
        with pytest.raises(InputError) as refused:
            as_recorded(engine, [run], permissions=NO_PERMISSIONS)  # what a resume asks first
    assert verdict.verification is None
    assert verdict.problem == str(refused.value)
    return verdict.problem


def test_adapter_and_vae_changed_or_gone_are_named(lab, make_spec, tmp_path, engine, monkeypatch):
    """A LoRA, an embedding and a VAE: exact, until one is another file; then which, and what to type."""
    parts = {
        "loras": write_lora(tmp_path / "wash", 1, words=False),
        "embeddings": write_embedding(tmp_path / "cat.safetensors", 1),
        "vae": shutil.copytree(bundled("mini-vae-ft"), tmp_path / "vae") / "diffusion_pytorch_model.safetensors",
    }
    spec = make_spec(
        "a <cat>", num_inference_steps=1, loras=(Lora(name=str(parts["loras"])),),
        embeddings=(Embedding(name=str(parts["embeddings"])),), vae=str(tmp_path / "vae"),
    )  # fmt: skip
    run = lab.run(spec)
    (verdict,) = lab.verify([str(run.id)])
    assert verdict.verification.outcome is Outcome.EXACT
    for field, path in parts.items():
        name = str(tmp_path / "vae") if field == "vae" else str(path)
        kept = shutil.copy(path, tmp_path / "kept")
        flip(path)
        said = said_by(lab, run, engine, monkeypatch)
        assert said.startswith(f"{field} '{name}' is not what run 1 was made by (sha256:")
        assert said.endswith("allowed: the same weights; type: promptlab rerun 1")
        shutil.rmtree(name) if field == "vae" else path.unlink()
        said = said_by(lab, run, engine, monkeypatch)
        assert said.startswith(f"{field} '{name}' does not exist any more, and run 1 was made by it; ")
        assert said.endswith(f"type: promptlab rerun 1 {field}=ANOTHER")
        path.parent.mkdir(exist_ok=True)
        if field == "vae":
            shutil.copy(bundled("mini-vae-ft") / "config.json", path.parent)
        shutil.copy(kept, path)
    (verdict,) = lab.verify([str(run.id)])
    assert verdict.verification.outcome is Outcome.EXACT


def test_config_changed_or_gone_is_named(lab, make_spec, tmp_path, engine, monkeypatch):
    """A single file with ``config``: exact, until the folder says something else, or is gone."""
    small = write_small(tmp_path / "small")
    checkpoint = write_checkpoint(tmp_path / "small.safetensors", small)
    run = lab.run(make_spec(model=str(checkpoint), config=str(small), num_inference_steps=1))
    (verdict,) = lab.verify([str(run.id)])
    assert verdict.verification.outcome is Outcome.EXACT
    scheduler = small / "scheduler" / "scheduler_config.json"
    text = scheduler.read_text()
    scheduler.write_text(text.replace('"beta_end": 0.012', '"beta_end": 0.013'))
    assert scheduler.read_text() != text
    said = said_by(lab, run, engine, monkeypatch)
    assert said.startswith(f"model '{checkpoint}' with config={small} is not what run 1 was made by (sha256:")
    small.rename(tmp_path / "elsewhere")
    said = said_by(lab, run, engine, monkeypatch)
    assert said.startswith(f"config '{small}' does not exist any more, and run 1 was made by it; ")
    with pytest.raises(InputError, match=r"config '.*/small' does not exist; allowed: a diffusers folder"):
        lab.rerun(lab.history.find("1"), changes={"num_inference_steps": 2})


def test_config_of_another_model_is_refused(make_spec, tmp_path, engine):
    """Told by the file's header: a part that is missing, tensors of other shapes, a family that has no single files."""
    small = write_small(tmp_path / "small")
    checkpoint = write_checkpoint(tmp_path / "small.safetensors", small)

    def refusal(config):
        with pytest.raises(InputError) as refused:
            resolve(engine, make_spec(model=str(checkpoint), config=str(config)))
        said = str(refused.value)
        assert said.endswith("type: the command without config, which tells it from the file")
        return said.partition("' ")[2].partition("; allowed: the configuration of the model that")[0]

    def changed(part, old, new):
        folder = shutil.copytree(small, tmp_path / f"changed {len(list(tmp_path.iterdir()))}")
        if old is None:
            shutil.rmtree(folder / part)
        else:
            file = folder / part
            text = file.read_text()
            file.write_text(text.replace(old, new))
            assert file.read_text() != text
        return folder

    none = "is not that of small.safetensors: its "
    assert refusal(save_tiny(tmp_path / "tiny")) == f"{none}text_encoder is 8 wide, the file's 128"
    assert refusal(save_tiny_xl(tmp_path / "xl")) == f"{none}text_encoder is 8 wide, the file's 128"
    assert refusal(bundled("mini")) == f"{none}unet has conv_in.weight of 128×32×3×3, the file of 32×4×3×3"
    assert refusal(changed("vae/config.json", '"latent_channels": 4', '"latent_channels": 8')) == (
        f"{none}vae has encoder.conv_out.weight of 16×8×3×3, the file of 8×8×3×3"
    )
    for part, kind in (("unet", "UNet2DConditionModel"), ("vae", "AutoencoderKL"), ("tokenizer", "CLIPTokenizer")):
        assert refusal(changed(part, None, None)) == f"has no folder {part} with the configuration of its {kind}"
    assert refusal(changed("model_index.json", "StableDiffusionPipeline", "QwenImagePipeline")) == (
        "is of a QwenImagePipeline, which diffusers reads from no single file"
    )


def test_checkpoint_without_encoders_takes_those_of_its_config(make_spec, tmp_path, engine):
    """Their weights are then part of what the model is, and pickled ones are refused like everywhere."""
    small = write_small(tmp_path / "small")
    checkpoint = write_checkpoint(tmp_path / "small.safetensors", small, encoder=False)
    spec = make_spec(model=str(checkpoint), config=str(small))
    before = resolve(engine, spec).model_identity
    flip(small / "text_encoder" / "model.safetensors")
    assert resolve(engine, spec).model_identity != before
    (small / "text_encoder" / "model.safetensors").rename(small / "text_encoder" / "pytorch_model.bin")
    with pytest.raises(InputError, match="has no safetensors weights of its text_encoder, a CLIPTextModel, and the fi"):
        resolve(engine, spec)
