"""Decodes again in float32 the rows that come out black, or as no numbers, in float16.

The decoder of SDXL's first VAE, among others, grows numbers that float16 cannot hold; what is left of the picture is
NaN, and black once it is bytes. Its weights are fine, so computing with them in float32 gives the picture.

Invariant: what a row comes out as depends on its own latents alone. A row is decoded again by itself, whatever the
others of its batch need, and the weights are in float16 again afterwards: both casts are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

__all__ = ["BLACK", "DecodeRecord", "decoded_again", "looking_at_decodings"]

BLACK: Final = 2
"""The brightest a pixel of a black picture may be, of 255: a decoder's black is not always 0."""


@dataclass(slots=True)
class DecodeRecord:
    """Notes which rows were decoded again, in the order in which they were decoded."""

    again: list[bool] = field(default_factory=list)

    def of(self, row: int, rows: int) -> bool:
        """Say whether row ``row`` of ``rows`` was; a pipeline that decodes other things does not tell."""
        return len(self.again) == rows and self.again[row]


@contextmanager
def looking_at_decodings(pipeline: Any) -> Iterator[DecodeRecord]:
    """Make ``pipeline.vae.decode`` decode again, in the block, what float16 was too narrow for."""
    found, vae = DecodeRecord(), getattr(pipeline, "vae", None)
    if vae is None or not hasattr(vae, "decode"):
        yield found
        return
    decode, own = vae.decode, vars(vae).get("decode")

    def careful(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        out = decode(latents, *args, **kwargs)
        sample, again = decoded_again(vae, decode, latents, _sample(out), kwargs)
        found.again += again
        return _with_sample(out, sample)

    vae.decode = careful
    try:
        yield found
    finally:
        if own is None:
            del vae.decode
        else:
            vae.decode = own


def decoded_again(
    vae: Any,
    decode: Callable[..., Any],
    latents: torch.Tensor,
    sample: torch.Tensor,
    arguments: Mapping[str, Any] | None = None,
) -> tuple[torch.Tensor, list[bool]]:
    """Return ``sample`` with the rows made anew that float16 was too narrow for, and which those are.

    Args:
        vae: whose weights are cast and cast back. One that lies in pieces on several devices is left as it is.
        decode: its method.
        latents: what was decoded, ``[rows, channels, …]``.
        sample: what came of it, ``[rows, 3, …, height, width]``, about −1 … 1.
        arguments: further ones of ``decode``.
    """
    import torch

    rows = sample.shape[0]
    if not _narrow(vae) or rows != latents.shape[0]:
        return sample, [False] * rows
    again = [_nothing_to_see(sample[row]) for row in range(rows)]
    if not any(again):
        return sample, again
    wide = sample.float()
    _cast(vae, torch.float32)
    try:
        for row in (row for row in range(rows) if again[row]):
            one = latents[row : row + 1].float()
            wide[row] = _sample(decode(one, **_of_row(arguments or {}, row, rows)))[0].float()
    finally:
        _cast(vae, torch.float16)
    return wide, again


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


def _sample(out: Any) -> torch.Tensor:
    found: torch.Tensor = out[0] if isinstance(out, tuple) else out.sample
    return found


def _with_sample(out: Any, sample: torch.Tensor) -> Any:
    if isinstance(out, tuple):
        return (sample, *out[1:])
    out.sample = sample
    return out
