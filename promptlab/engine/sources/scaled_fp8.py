"""Reads single files that ComfyUI quantised, as far as that is certain: fp8 weights with a scale each.

Such a file (``fp8_scaled``) has, beside a weight in float8, its scale: ``NAME.scale_weight`` in files with the mark
``scaled_fp8``, ``NAME.weight_scale`` in newer ones. The weight is their product; scales of inputs are for fp8 kernels,
which are not used here. Source: ComfyUI's QUANTIZATION.md. Everything else that ComfyUI writes (``int8_convrot``,
``nvfp4``, ``mxfp8`` …) turns or packs weights in ways that are no promise of a format, and is refused.

Invariant: weights that are not read rightly are not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab.errors import InputError, one_line, ref_value

if TYPE_CHECKING:
    import torch

__all__ = ["check_readable", "is_scaled", "read_scaled"]

Header = Mapping[str, Mapping[str, Any]]
_SCALES: Final = (".scale_weight", ".weight_scale")
_ASIDE: Final = (*_SCALES, ".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")
"""Ends of names that stand beside weights, and are no part of the model."""

_FP8: Final = ("F8_E4M3", "F8_E5M2")
_FLOATS: Final = ("F32", "F16", "BF16")
_MARK: Final = ".comfy_quant"


def check_readable(path: Path, header: Header) -> None:
    """Refuse a file with weights that ComfyUI quantised otherwise than by one scale for a tensor or a row.

    Raises:
        InputError: naming the format, as far as the file does, and what to use instead.
    """
    for name, tensor in header.items():
        if name.endswith(_ASIDE) or not name.endswith(".weight"):
            continue
        scale = _scale_of(name, header)
        packed = tensor["dtype"] not in (*_FP8, *_FLOATS)
        if packed and (scale is not None or f"{name.removesuffix('.weight')}{_MARK}" in header):
            raise _refused(path, header, name)
        if scale is not None and tensor["dtype"] in _FP8 and not _fits(header[scale], tensor):
            raise _refused(path, header, name)


def is_scaled(header: Header) -> bool:
    """Say whether some of the weights are fp8 with a scale, which diffusers would leave out."""
    return any(each["dtype"] in _FP8 and _scale_of(name, header) is not None for name, each in header.items())


def read_scaled(path: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Read weights by name, each times its scale in float32 and rounded to ``dtype`` once."""
    import torch
    from safetensors import safe_open

    found: dict[str, torch.Tensor] = {}
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        for name in sorted(names):
            if name.endswith(_ASIDE):
                continue
            weight = file.get_tensor(name)
            scale = next((each for end in _SCALES if (each := _beside(name, end)) in names), None)
            if weight.dtype in (torch.float8_e4m3fn, torch.float8_e5m2) and scale is not None:
                factor = file.get_tensor(scale).float()
                weight = weight.float() * factor.reshape(-1, *([1] * (weight.ndim - 1)))
            found[name] = weight.to(dtype) if weight.is_floating_point() else weight
    return found


def _beside(name: str, end: str) -> str:
    return name.removesuffix(".weight") + end


def _scale_of(name: str, header: Header) -> str | None:
    if not name.endswith(".weight"):
        return None
    return next((each for end in _SCALES if (each := _beside(name, end)) in header), None)


def _fits(scale: Mapping[str, Any], weight: Mapping[str, Any]) -> bool:
    """Say whether a scale is one number, or one for each row."""
    count = prod(scale["shape"])
    return scale["dtype"] in _FLOATS and (count == 1 or weight["shape"][:1] == scale["shape"][:1] == [count])


def _refused(path: Path, header: Header, name: str) -> InputError:
    said = _format_of(path, header, _beside(name, _MARK)) or f"{header[name]['dtype']} with scales"
    return InputError(
        "model", str(path), problem=f"holds weights as ComfyUI's {said}, which is not read here",
        allowed="the model as it was published, its fp8_scaled file, or a GGUF of it",
        hint=f"{ref_value('model', 'ID')} {ref_value('quantization', 'int8')}",
    )  # fmt: skip


def _format_of(path: Path, header: Header, mark: str) -> str | None:
    """Return what a file says of one weight: JSON in a tensor of bytes."""
    if mark not in header:
        return None
    try:
        with path.open("rb") as file:
            begin = 8 + int.from_bytes(file.read(8), "little")
            first, last = header[mark]["data_offsets"]
            file.seek(begin + first)
            about = json.loads(file.read(max(0, min(last - first, 4096))))  # of fewer than none it would read all
        return f"{one_line(about['format'], limit=40)}{', convrot' if about.get('convrot') else ''}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
