"""Tells which family of models a LoRA was trained for, by the names and shapes of its tensors alone.

Kohya's, LyCORIS', ai-toolkit's, diffusers' and the makers' own scripts name the same layers differently, but in each
naming a family has names that no other has. Nothing is claimed where there are none.

Invariant: a LoRA that fits its model is never refused here: both families must be known, and be different.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from promptlab.engine.sources.configuration import Configuration
from promptlab.errors import InputError, ref_value

__all__ = ["check_family", "lora_family", "model_family"]

Header = Mapping[str, Mapping[str, Any]]

_FAMILIES: Final[Mapping[str, re.Pattern[str]]] = {
    "FLUX.3": re.compile(r"(content_|txt_)?mode_blocks[._]\d"),
    "FLUX": re.compile(r"single_(transformer_)?blocks[._]\d+[._](linear\d|proj_mlp|attn[._]to_qkv_mlp_proj)"),
    "Qwen-Image": re.compile(r"transformer_blocks[._]\d+[._](img|txt)_(mlp|mod)[._]"),
    "Stable Diffusion 3": re.compile(r"joint_blocks[._]\d+[._](x|context)_block"),
    "Anima": re.compile(r"llm_adapter|blocks[._]\d+[._](self|cross)_attn[._]output_proj"),
    "Wan": re.compile(r"blocks[._]\d+[._](self|cross)_attn[._](q|k|v|o)[._]"),
    "Z-Image": re.compile(r"(?<!transformer_)layers[._]\d+[._](attention|feed_forward|adaLN_modulation)"),
    "Krea 2": re.compile(
        r"(?<!transformer_)blocks[._]\d+[._](attn[._](w[qkvo]|gate)|mlp[._](gate|up|down))\b|txtfusion"
    ),
    "Stable Diffusion XL": re.compile(r"^lora_unet_(input|output)_blocks_\d|^lora_unet_middle_block_\d|^lora_te2_"),
}  # fmt: skip
"""Names that a family's layers alone have; ``_`` and ``.`` are the same, as kohya's scripts write them."""

_CROSS: Final = re.compile(r"attn2[._](processor[._])?to_k(_lora)?[._](lora_down|lora_A|down)\.weight$")
_DOWN: Final = re.compile(r"(lora_down|lora_A)(\.default)?\.weight$|hada_w1_b$")
_UNETS: Final = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}
_SOME_UNET: Final = "Stable Diffusion"
"""A model whose width is none of these: what UNet a LoRA is for is left to its layers."""

_OF_PIPELINES: Final = {
    "StableDiffusionXL": "Stable Diffusion XL", "StableDiffusion3": "Stable Diffusion 3", "Flux2": "FLUX.2",
    "Flux": "FLUX.1", "QwenImage": "Qwen-Image", "ZImage": "Z-Image", "Krea2": "Krea 2", "Lumina2": "Lumina 2",
}  # fmt: skip
_WIDTHS: Final = {"Z-Image": 3840, "Lumina 2": 2304}
"""Two families with the same names, by what their layers read."""


def check_family(name: str, header: Header, config: Configuration) -> None:
    """Refuse a LoRA for a model of another family than that of ``config``.

    Raises:
        InputError: naming both.
    """
    theirs, ours = lora_family(header), model_family(config)
    if theirs is None or ours is None or (ours == _SOME_UNET and theirs in _UNETS.values()):
        return
    if theirs != ours:
        raise InputError(
            "loras", name, problem=f"is for {theirs}, and this model is {ours}",
            allowed=f"a LoRA that was trained for this {config.pipeline_class}", hint=ref_value("loras", "none"),
        )  # fmt: skip


def lora_family(header: Header) -> str | None:
    """Return the family that the layers of a LoRA are of; ``None`` where its names do not tell."""
    for family, names in _FAMILIES.items():
        if any(names.search(name) for name in header):
            if family == "FLUX":
                return _flux(header)
            return _by_width(header) if family == "Z-Image" else family
    return _unet(header)


def model_family(config: Configuration) -> str | None:
    """Return the family of a model, in the words of :func:`lora_family`."""
    kind = config.pipeline_class
    for start, family in _OF_PIPELINES.items():
        if kind.startswith(start):
            return None if kind.startswith("QwenImage21") else family
    if kind.startswith(("StableDiffusionPipeline", "StableDiffusionPAG", "LatentConsistency")):
        return _UNETS.get(_number((config.denoiser or {}).get("cross_attention_dim")), _SOME_UNET)
    return None


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _unet(header: Header) -> str | None:
    """Tell UNets apart by how wide the text is that their cross-attention reads."""
    for name, tensor in header.items():
        if _CROSS.search(name) and len(tensor["shape"]) > 1:
            return _UNETS.get(int(tensor["shape"][1]))
    return None


def _flux(header: Header) -> str | None:
    """Tell FLUX.1 from FLUX.2, whose single blocks have one projection for attention and a gated MLP.

    Its outputs are 9 times as many as its inputs in FLUX.2 (3 and 2 × 3), 7 times in FLUX.1 (3 and 4).
    """
    if any("to_qkv_mlp_proj" in name for name in header):
        return "FLUX.2"
    if any("proj_mlp" in name for name in header):
        return "FLUX.1"
    sides: dict[str, int] = {}
    for name, tensor in header.items():
        if re.search(r"single_blocks[._]0[._]linear1[._]", name) and len(tensor["shape"]) == 2:
            up = name.endswith(("lora_up.weight", "lora_B.weight"))
            sides["up" if up else "down"] = int(tensor["shape"][0 if up else 1])
    return {7: "FLUX.1", 9: "FLUX.2"}.get(sides.get("up", 0) // (sides.get("down", 0) or 1))


def _by_width(header: Header) -> str | None:
    widths = {int(tensor["shape"][1]) for name, tensor in header.items() if _DOWN.search(name) and tensor["shape"][1:]}
    return next((family for family, width in _WIDTHS.items() if width in widths), None)
