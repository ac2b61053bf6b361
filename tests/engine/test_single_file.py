"""A checkpoint in one file, as model pages offer them, makes the pictures that its folder makes."""

import json
import re
import shutil

import numpy as np
import pytest

from promptlab.errors import InputError, NotFound
from promptlab.plan import tasks_of
from tests.engine.folders import write_hub_cache, write_json

pytestmark = pytest.mark.slow

SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.fixture(scope="module")
def small(mini, tmp_path_factory):
    """A Stable Diffusion of random weights, small as can be, with the bundled model's text encoder."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    folder = tmp_path_factory.mktemp("models") / "small"
    shutil.copytree(mini, folder, ignore=shutil.ignore_patterns("unet", "vae"))
    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(32, 64), norm_num_groups=8, cross_attention_dim=128,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).save_pretrained(folder / "unet")  # fmt: skip
    AutoencoderKL(
        block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ).save_pretrained(folder / "vae")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def checkpoint(small, tmp_path_factory):
    """Its weights in one file, under the names that CompVis gave them."""
    from safetensors.torch import load_file, save_file

    def weights(part, name="diffusion_pytorch_model"):
        return load_file(small / part / f"{name}.safetensors")

    text = {key.removeprefix("text_model."): value for key, value in weights("text_encoder", "model").items()}
    tensors = {
        **{f"model.diffusion_model.{_denoiser(key)}": value for key, value in weights("unet").items()},
        **{
            f"first_stage_model.{_vae(key)}": value[..., None, None]
            if "attn" in _vae(key) and value.ndim == 2
            else value
            for key, value in weights("vae").items()
        },
        **{f"cond_stage_model.transformer.text_model.{key}": value for key, value in text.items()},
    }
    path = tmp_path_factory.mktemp("files") / "small.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return path


def _renamed(key, names):
    for old, new in names:
        key = re.sub(old, new, key)
    return key


def _denoiser(key):
    """diffusers' names of two blocks of one layer, as ``scripts/convert_diffusers_to_original_stable_diffusion.py``."""
    resnet = [
        (r"\.norm1\.", ".in_layers.0."), (r"\.conv1\.", ".in_layers.2."), (r"\.time_emb_proj\.", ".emb_layers.1."),
        (r"\.norm2\.", ".out_layers.0."), (r"\.conv2\.", ".out_layers.3."), (r"\.conv_shortcut\.", ".skip_connection."),
    ]  # fmt: skip
    if ".resnets." in key:
        key = _renamed(key, resnet)

    def down(match):
        return f"input_blocks.{int(match[1]) * 2 + 1}.{0 if match[2] == 'resnets' else 1}."

    def up(match):
        return f"output_blocks.{int(match[1]) * 2 + int(match[3])}.{0 if match[2] == 'resnets' else 1}."

    return _renamed(
        key,
        [
            (r"^conv_in\.", "input_blocks.0.0."),
            (r"^time_embedding\.linear_1\.", "time_embed.0."),
            (r"^time_embedding\.linear_2\.", "time_embed.2."),
            (r"^conv_norm_out\.", "out.0."),
            (r"^conv_out\.", "out.2."),
            (r"^mid_block\.resnets\.0\.", "middle_block.0."),
            (r"^mid_block\.attentions\.0\.", "middle_block.1."),
            (r"^mid_block\.resnets\.1\.", "middle_block.2."),
            (r"^down_blocks\.0\.downsamplers\.0\.conv\.", "input_blocks.2.0.op."),
            (r"^up_blocks\.0\.upsamplers\.0\.conv\.", "output_blocks.1.1.conv."),
            (r"^down_blocks\.(\d)\.(resnets|attentions)\.(\d)\.", down),
            (r"^up_blocks\.(\d)\.(resnets|attentions)\.(\d)\.", up),
        ],
    )


def _vae(key):
    """diffusers' names of a VAE of two blocks, as CompVis has them: the decoder's blocks the other way round."""
    return _renamed(
        key,
        [
            (r"\.conv_shortcut\.", ".nin_shortcut."),
            (r"coder\.conv_norm_out\.", "coder.norm_out."),
            (r"\.down_blocks\.(\d)\.downsamplers\.0\.", r".down.\1.downsample."),
            (r"\.down_blocks\.(\d)\.resnets\.(\d)\.", r".down.\1.block.\2."),
            (r"\.up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f".up.{1 - int(m[1])}.upsample."),
            (r"\.up_blocks\.(\d)\.resnets\.(\d)\.", lambda m: f".up.{1 - int(m[1])}.block.{m[2]}."),
            (r"\.mid_block\.resnets\.(\d)\.", lambda m: f".mid.block_{int(m[1]) + 1}."),
            (r"\.mid_block\.attentions\.0\.group_norm\.", ".mid.attn_1.norm."),
            (r"\.mid_block\.attentions\.0\.to_([qkv])\.", r".mid.attn_1.\1."),
            (r"\.mid_block\.attentions\.0\.to_out\.0\.", ".mid.attn_1.proj_out."),
        ],
    )


def test_one_file_makes_the_pictures_of_its_folder(engine, make_spec, small, checkpoint, tmp_path):
    """The file holds the weights; the configuration of the model it comes from is taken from the Hub's cache."""
    write_hub_cache(tmp_path / "hub", SD, small)
    of_file = engine.resolve(make_spec(model=str(checkpoint), num_inference_steps=2))
    assert of_file.model_identity.startswith("sha256:")
    assert engine.resolve(of_file.spec) == of_file
    from_file = [picture.pixels for picture in engine.generate(tasks_of(of_file))]
    engine.free()
    from_folder = [p.pixels for p in engine.generate(tasks_of(engine.resolve(make_spec(model=str(small)))))]
    np.testing.assert_array_equal(from_file, from_folder)


def test_a_file_has_no_revision(checkpoint, engine, make_spec):
    """Revisions are the Hub's."""
    with pytest.raises(InputError, match="--revision 'main' means nothing for"):
        engine.resolve(make_spec(model=str(checkpoint), revision="main"))


def test_its_configuration_can_be_named(checkpoint, engine, make_spec, small, tmp_path, monkeypatch):
    """A folder or a Hub id stands in for what diffusers would tell from the tensors; its content is part of the recipe,
    wherever it lies."""
    write_hub_cache(tmp_path / "hub", "org/small", small)
    monkeypatch.chdir(small.parent)
    spec = make_spec(model=str(checkpoint), config="./small", num_inference_steps=2)
    of_folder, of_hub = engine.resolve(spec), engine.resolve(spec.vary(config="org/small"))
    assert (of_folder.spec.pipeline.config, of_hub.spec.pipeline.config) == (str(small), "org/small")
    assert of_folder.model_identity == of_hub.model_identity
    assert engine.resolve(of_folder.spec) == of_folder
    named = [picture.pixels for picture in engine.generate(tasks_of(of_folder))]
    engine.free()
    plain = engine.resolve(make_spec(model=str(small), num_inference_steps=2))
    np.testing.assert_array_equal(named, [picture.pixels for picture in engine.generate(tasks_of(plain))])
    other = shutil.copytree(small, tmp_path / "other", ignore=shutil.ignore_patterns("*.safetensors"))
    assert engine.resolve(spec.vary(config=str(other))).model_identity == of_folder.model_identity
    config = json.loads((other / "scheduler" / "scheduler_config.json").read_text())
    write_json(other / "scheduler" / "scheduler_config.json", {**config, "beta_end": 0.013})
    assert engine.resolve(spec.vary(config=str(other))).model_identity != of_folder.model_identity


def test_a_configuration_that_is_none_is_refused(checkpoint, engine, make_spec, small, tmp_path):
    """Nowhere, empty, a file, not cached: each one line, before a weight is read."""
    spec = make_spec(model=str(checkpoint))
    with pytest.raises(
        NotFound, match=r"--config '\./nowhere' does not exist; allowed: a diffusers folder with a model_"
    ):
        engine.resolve(spec.vary(config="./nowhere"))
    with pytest.raises(NotFound, match=r"--config '.*' does not exist; allowed: a diffusers folder"):
        engine.resolve(spec.vary(config=str(checkpoint)))
    with pytest.raises(InputError, match=r"--config '.*' has no model_index\.json, so it is no configuration of a pip"):
        engine.resolve(spec.vary(config=str(tmp_path)))
    with pytest.raises(InputError, match="--config 'org/model' is neither a folder here nor in the Hub cache, and the"):
        engine.resolve(spec.vary(config="org/model"))


@pytest.mark.parametrize("model", ["mini", "small", "org/model"])
def test_only_a_single_file_takes_a_configuration(engine, make_spec, small, model):
    """Everything else has its own, so one that is named would be ignored silently."""
    with pytest.raises(
        InputError, match=r"--config 'org/other' means nothing for .*, which has a configuration of its"
    ):
        engine.resolve(make_spec(model=str(small) if model == "small" else model, config="org/other"))
