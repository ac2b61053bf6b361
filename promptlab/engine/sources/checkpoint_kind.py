"""Tells which model a checkpoint in one file was trained from, by the names and shapes of its tensors.

diffusers tells it for files as their makers publish them; here are those it takes for Stable Diffusion 1.5, which is
its answer to whatever it does not know: a denoiser under diffusers' own names, one without the encoders beside it.

Invariant: nothing is imported but what reads a header; whoever plans without torch gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = [
    "KEEPS_NAMES",
    "PREFIXES",
    "UNKNOWN_ORIGIN",
    "holds_denoiser_alone",
    "is_checkpoint",
    "is_latent_diffusion",
    "known_origin",
    "without_prefix",
]

Header = Mapping[str, Mapping[str, Any]]
PREFIXES: Final = ("model.diffusion_model.", "diffusion_model.")
"""Lists what other programs put before the names of a denoiser's tensors."""

_OTHER_PARTS: Final = (
    "first_stage_model.", "vae.", "cond_stage_model.", "conditioner.", "text_encoders.", "text_encoder.",
    "text_model.",
)  # fmt: skip
"""Lists how names of encoders and VAEs begin, where a file holds them beside its denoiser."""

_CHECKPOINTS: Final = (
    *PREFIXES, "double_blocks.", "single_blocks.", "joint_blocks.", "double_layers.", "double_stream_blocks.", "net.",
    "txtfusion.", "txt_in.", "cap_embedder.", "layers.0.", "blocks.0.", "distilled_guidance_layer.",
)  # fmt: skip
"""Tells files that makers and other programs publish by how tensors begin: diffusers' ``CHECKPOINT_KEY_NAMES``."""

UNKNOWN_ORIGIN: Final = "stable-diffusion-v1-5/stable-diffusion-v1-5"
"""diffusers' answer to whatever it does not know."""

KEEPS_NAMES: Final = frozenset({"QwenImageTransformer2DModel"})
"""Classes whose tensors diffusers expects in a single file under its own names, without a prefix."""

_LATENT_DIFFUSION: Final = "input_blocks."
_XL_LABELS: Final = "label_emb.0.0.weight"
_FLUX_2: Final = {3072: "black-forest-labs/FLUX.2-klein-4B", 4096: "black-forest-labs/FLUX.2-klein-9B"}
_CROSS: Final = (
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight",
)


def known_origin(header: Header) -> str | None:
    """Return the Hub id of the model that a file is of; ``None`` where diffusers has to be asked."""
    named = without_prefix(header)
    return next((found for tell in _TELLERS if (found := tell(named)) is not None), None)


def is_checkpoint(header: Header) -> bool:
    """Tell whether the file can hold a denoiser, as far as the names of its tensors go."""
    return any(name.startswith(_CHECKPOINTS) for name in header) or known_origin(header) is not None


def is_latent_diffusion(header: Header) -> bool:
    """Tell whether the file has a UNet as CompVis named it: what diffusers does not know it takes for one."""
    return any(_LATENT_DIFFUSION in name for name in header)


def holds_denoiser_alone(header: Header) -> bool:
    """Tell whether the file has neither encoders nor a VAE beside its denoiser."""
    return not any(name.startswith(_OTHER_PARTS) for name in header)


def without_prefix(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the denoiser's tensors by their names without another program's prefix."""
    for prefix in PREFIXES:
        if any(name.startswith(prefix) for name in header):
            return {name.removeprefix(prefix): value for name, value in header.items() if name.startswith(prefix)}
    return dict(header)


def _width(named: Header, *names: str, side: int = -1) -> int | None:
    """Return one side of the first of these tensors that is there."""
    shape = next((named[name]["shape"] for name in names if name in named), ())
    return int(shape[side]) if -len(shape) <= side < len(shape) else None


def _of_unet(named: Header) -> str | None:
    """Tell a UNet alone: diffusers looks for the encoders of Stable Diffusion XL, and finds none."""
    theirs = "conv_in.weight" in named and "time_embedding.linear_1.weight" in named
    if "controlnet_cond_embedding.conv_in.weight" in named:
        return None
    if theirs and _width(named, "conv_in.weight", side=1) != 4:
        return None
    width = _width(named, *_CROSS)
    if width == 2048 and (_XL_LABELS in named or "add_embedding.linear_1.weight" in named):
        return "stabilityai/stable-diffusion-xl-base-1.0"
    if theirs and "add_embedding.linear_1.weight" not in named and _width(named, _UNET_15) == 768:
        return UNKNOWN_ORIGIN
    return None


_UNET_15: Final = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"


def _of_flux(named: Header) -> str | None:
    if "single_stream_modulation.lin.weight" in named or "single_stream_modulation.linear.weight" in named:
        return _FLUX_2.get(_width(named, "img_in.weight", "x_embedder.weight", side=0) or 0)
    if "single_transformer_blocks.0.proj_mlp.weight" not in named or "distilled_guidance_layer.in_proj.bias" in named:
        return None
    guided = "time_text_embed.guidance_embedder.linear_1.weight" in named
    return f"black-forest-labs/FLUX.1-{'dev' if guided else 'schnell'}"


def _of_sd3(named: Header) -> str | None:
    if not {"pos_embed.pos_embed", "context_embedder.weight", "transformer_blocks.0.attn.add_k_proj.weight"} <= set(
        named
    ):
        return None
    if "transformer_blocks.37.attn.to_q.weight" in named:
        return "stabilityai/stable-diffusion-3.5-large"
    medium = "transformer_blocks.0.attn2.to_q.weight" in named
    return f"stabilityai/stable-diffusion-3{'.5-medium' if medium else '-medium-diffusers'}"


def _of_others(named: Header) -> str | None:
    for marks, origin in _MARKED.items():
        if set(marks) <= set(named):
            return origin
    return None


_MARKED: Final[Mapping[tuple[str, ...], str]] = {
    ("txt_norm.weight", "img_in.weight", "transformer_blocks.0.img_mod.1.weight"): "Qwen/Qwen-Image",
    ("layers.0.adaLN_modulation.0.weight", "cap_embedder.1.weight"): "Tongyi-MAI/Z-Image-Turbo",
    ("text_fusion.projector.weight", "time_mod_proj.weight"): "krea/Krea-2-Raw",
    ("caption_norm.weight", "patch_embed.proj.weight", "time_embed.linear.weight"): (
        "Efficient-Large-Model/Sana_1600M_1024px_diffusers"
    ),
}
"""Tensors that one family has, and the model whose configuration is taken; ``config`` names another of them."""

_TELLERS: Final[tuple[Callable[[Header], str | None], ...]] = (_of_unet, _of_flux, _of_sd3, _of_others)
