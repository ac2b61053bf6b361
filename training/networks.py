"""The networks' sizes, in one place: what ships in float16 must stay under 20 MB, and what runs on two cores under a second a picture.

The autoencoder halves a picture four times (f = 16), so that the UNet works on 8 × 8 latents of 32 channels.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

__all__ = ["LATENT", "autoencoder", "deeper", "text_encoder", "tiny_autoencoder", "unet"]

LATENT = 32
"""Channels of the latents."""
LEVELS = 5


def autoencoder(channels: tuple[int, ...] = (16, 16, 48, 96, 112), layers: int = 1) -> AutoencoderKL:
    """2.7 million parameters, almost none of them at full size."""
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=LATENT, block_out_channels=channels, layers_per_block=layers, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * LEVELS, up_block_types=("UpDecoderBlock2D",) * LEVELS,
        sample_size=128, mid_block_add_attention=False, scaling_factor=1.0, force_upcast=False,
    )  # fmt: skip


def deeper(vae: AutoencoderKL) -> AutoencoderKL:
    """``vae`` with one more residual block a level, each of which begins as nothing: it makes the same until it is trained."""
    channels = tuple(vae.config.block_out_channels)
    deep = autoencoder(channels, vae.config.layers_per_block + 1)
    known = vae.state_dict()
    missing, unexpected = deep.load_state_dict(known, strict=False)
    assert not unexpected
    with torch.no_grad():
        for name in missing:
            if ".conv2." in name:
                deep.get_parameter(name).zero_()
    return deep


def tiny_autoencoder(latent_channels: int = LATENT, levels: int = LEVELS) -> AutoencoderTiny:
    """For previews: no normalisation, one width throughout, next to nothing at full size."""
    width = 24
    return AutoencoderTiny(
        latent_channels=latent_channels, encoder_block_out_channels=(width,) * levels, decoder_block_out_channels=(width,) * levels,
        num_encoder_blocks=(0, *(1,) * (levels - 2), 2), num_decoder_blocks=(2, *(1,) * (levels - 2), 0), scaling_factor=1.0, force_upcast=False,
    )  # fmt: skip


def unet() -> UNet2DConditionModel:
    """8 × 8 and 4 × 4; the pooled text is added to the time embedding, so that the whole prompt acts everywhere from the first step on."""
    return UNet2DConditionModel(
        sample_size=8, in_channels=LATENT, out_channels=LATENT, layers_per_block=1, block_out_channels=(128, 136),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=128, attention_head_dim=4, norm_num_groups=8, addition_embed_type="text", addition_embed_type_num_heads=8,
    )  # fmt: skip


def text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """CLIP's own architecture, three layers deep."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=128, intermediate_size=384, projection_dim=128, num_hidden_layers=3, num_attention_heads=4,
            max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip
