"""Decodes again in float32 the rows that come out black, or as no numbers, in float16.

The decoder of SDXL's first VAE, among others, grows numbers that float16 cannot hold; what is left of the picture is
NaN, and black once it is bytes. Its weights are fine, so computing with them in float32 gives the picture.

Invariant: what a row comes out as depends on its own latents alone. A row is decoded again by itself, whatever the
others of its batch need, and the weights are in float16 again afterwards: both casts are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

__all__ = ["BLACK", "decode_carefully"]

BLACK: Final = 2
"""The brightest a pixel of a black picture may be, of 255: a decoder's black is not always 0."""


def decode_carefully(
    vae: Any, decode: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Any, list[bool]]:
    """Return what ``decode`` gives, rows made anew that float16 is too narrow for, and which those are.

    Args:
        vae: whose weights are cast and cast back. One that lies in pieces on several devices is left as it is.
        decode: its method.
        args, kwargs: of a call of it; the first are latents, ``[rows, channels, …]``.
    """
    import torch

    out = decode(*args, **kwargs)
    sample, latents = _sample(out), args[0] if args else None
    if sample is None or not isinstance(latents, torch.Tensor):
        return out, []
    rows = sample.shape[0]
    if not _narrow(vae) or rows != latents.shape[0]:
        return out, [False] * rows
    again = [_nothing_to_see(sample[row]) for row in range(rows)]
    if not any(again):
        return out, again
    wide = sample.float()
    _cast(vae, torch.float32)
    try:
        for row in (row for row in range(rows) if again[row]):
            one = latents[row : row + 1].float()
            redone = _sample(decode(one, *args[1:], **_of_row(kwargs, row, rows)))
            wide[row] = redone[0].float()
    finally:
        _cast(vae, torch.float16)
    return _with_sample(out, wide), again


def _cast(vae: Any, dtype: torch.dtype) -> None:
    """Cast weights, not in inference mode, which would leave some that cannot be used outside of it."""
    import torch

    with torch.inference_mode(False), torch.no_grad():
        vae.to(dtype)


def _narrow(vae: Any) -> bool:
    """Say whether the decoder is in float16, and in one place: offloaded layers keep own weights."""
    import torch

    for module in vae.modules():
        if hasattr(module, "_diffusers_hook") or (module is not vae and hasattr(module, "_hf_hook")):
            return False
    return all(each.dtype is torch.float16 for each in vae.parameters())


def _nothing_to_see(row: torch.Tensor) -> bool:
    """Say whether a row is not all numbers, or black: −1 is, and a pipeline rounds."""
    import torch

    return not bool(torch.isfinite(row).all()) or float(row.max()) <= (BLACK + 0.5) / 127.5 - 1


def _of_row(arguments: Mapping[str, Any], row: int, rows: int) -> dict[str, Any]:
    """Return the arguments for one row: a list of generators has one for each."""
    return {
        name: [value[row]] if isinstance(value, list) and len(value) == rows else value
        for name, value in arguments.items()
    }


def _sample(out: Any) -> Any:
    import torch

    found = out[0] if isinstance(out, tuple) else getattr(out, "sample", None)
    return found if isinstance(found, torch.Tensor) else None


def _with_sample(out: Any, sample: torch.Tensor) -> Any:
    if isinstance(out, tuple):
        return (sample, *out[1:])
    out.sample = sample
    return out
