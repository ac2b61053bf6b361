"""A small Stable Diffusion as a folder, and the same weights in one file, under the names that CompVis gave them."""

import re
import shutil

from promptlab.models import bundled


def write_small(folder):
    """Random weights, as few as can be, with the bundled model's text encoder: the folder."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    shutil.copytree(bundled("mini"), folder, ignore=shutil.ignore_patterns("unet", "vae"))
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


def write_checkpoint(path, folder, *, encoder=True, vae=True):
    """The weights of :func:`write_small` in one file: its path."""
    from safetensors.torch import load_file, save_file

    def weights(part, name="diffusion_pytorch_model"):
        return load_file(folder / part / f"{name}.safetensors")

    text = weights("text_encoder", "model") if encoder else {}
    tensors = {
        **{f"model.diffusion_model.{_denoiser(key)}": value for key, value in weights("unet").items()},
        **{
            f"first_stage_model.{_vae(key)}": value[..., None, None]
            if "attn" in _vae(key) and value.ndim == 2
            else value
            for key, value in (weights("vae").items() if vae else ())
        },
        **{
            f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}": value
            for key, value in text.items()
        },
    }
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
