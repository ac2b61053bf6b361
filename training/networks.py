"""The networks' sizes, in one place: what ships in float16 must stay under 20 MB, and what runs on two cores under a second a picture.

The autoencoder halves a picture four times (f = 16), so that the UNet works on 8 × 8 latents of 32 channels.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

__all__ = ["FINE", "LATENT", "WIDTHS", "autoencoder", "text_encoder", "tiny_autoencoder", "told_apart", "unet", "wider"]

LATENT = 32
"""Channels of the latents."""
LEVELS = 5
WIDTHS = (16, 32, 48, 96, 112)
"""Channels of the pipeline's own autoencoder, from full size to latents: 2.7 million parameters, almost none of them at full size."""
FINE = (48, 64, 144, 96, 112)
"""Those of mini-vae-ft: multiples of the pipeline's own, different where those are, for the encoder to be the same one."""


def autoencoder(channels: tuple[int, ...] = WIDTHS, layers: int = 1) -> AutoencoderKL:
    """An AutoencoderKL of ``channels`` a level, with ``layers`` residual blocks each in the encoder and one more in the decoder."""
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=LATENT, block_out_channels=channels, layers_per_block=layers, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * LEVELS, up_block_types=("UpDecoderBlock2D",) * LEVELS,
        sample_size=128, mid_block_add_attention=False, scaling_factor=1.0, force_upcast=False,
    )  # fmt: skip


def wider(vae: AutoencoderKL, channels: tuple[int, ...]) -> AutoencoderKL:
    """``vae`` with ``channels`` a level, which makes the same until it is trained.

    Every channel becomes several, each a copy that its readers weigh by a share, so that group norms see the statistics they saw
    (Net2Net, Chen et al. 2016).

    Args:
        channels: whole multiples of those that ``vae`` has, two neighbours different wherever its own are.
    """
    wide = autoencoder(channels, vae.config.layers_per_block)
    known = vae.state_dict()
    with torch.no_grad():
        for name, p in wide.named_parameters():
            if name in known:
                p.copy_(_spread(known[name], p.shape))
            elif name.endswith("shortcut.weight"):  # between levels of one width there was none: what came in went on
                p.copy_(_spread(torch.eye(_width(known, name)), p.shape[:2])[..., None, None])
            else:
                p.zero_()
    return wide


def told_apart(module: nn.Module, share: float = 0.02) -> None:
    """Noise on the weights, a ``share`` of their spread, in place: copies that are alike would get the same gradients for ever."""
    with torch.no_grad():
        for p in module.parameters():
            if p.ndim > 1:
                p.add_(torch.randn_like(p) * p.std() * share)


def _width(known: dict[str, Tensor], shortcut: str) -> int:
    """The width that the block of ``shortcut`` had."""
    return known[shortcut.replace("conv_shortcut.weight", "conv2.bias")].numel()


def _spread(weight: Tensor, shape: torch.Size) -> Tensor:
    """Copies of every output; every input's weight is shared among its copies."""
    weight = weight.repeat_interleave(shape[0] // weight.shape[0], 0)
    if len(shape) > 1:
        times = shape[1] // weight.shape[1]
        weight = weight.repeat_interleave(times, 1) / times
    return weight


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
