"""Takes pictures off the device as bytes, without anybody waiting for the copy.

The numbers are those of ``VaeImageProcessor.numpy_to_pil`` (times 255, rounded), done where the picture is: a quarter
of the bytes has to travel, and float32 rounds alike everywhere. It is done here and not by diffusers because numbers
that are none (NaN) can be seen only before it.

Invariant: a picture is taken off a device only when its copy is complete, and is kept there until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptlab.engine.sampling.fp32_fallback import BLACK

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["Picture", "PictureOnDevice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Holds a picture as bytes.

    Args:
        pixels: uint8, ``[height, width, 3]``, C-contiguous; what was no number is black.
        flag: see :class:`promptlab.engine.events.ImageDone`.
    """

    pixels: NDArray[np.uint8]
    flag: str | None


class PictureOnDevice:
    """Copies a picture; :attr:`ready` says when it can be taken without waiting.

    Args:
        image: 0 … 1, ``[3, height, width]``, on any device.
        unsafe: whether the model's own checker blacked it out.
    """

    def __init__(self, image: torch.Tensor, *, unsafe: bool) -> None:
        import torch

        self._unsafe = unsafe
        finite = torch.isfinite(image).all()
        pixels = (torch.nan_to_num(image.float()) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
        self._kept = pixels, finite
        beside = image.device.type == "cuda"
        self._pixels, self._finite = (_fetched(each, beside=beside) for each in self._kept)
        self._copied = torch.cuda.current_stream(image.device).record_event() if beside else None

    @property
    def ready(self) -> bool:
        """Say whether :meth:`taken` need not wait."""
        return self._copied is None or bool(self._copied.query())

    def taken(self) -> Picture:
        """Return the picture. Waits for the device."""
        if self._copied is not None:
            self._copied.synchronize()
        pixels = self._pixels.numpy().copy()
        black = pixels.max() <= BLACK
        flag = "nan" if not self._finite else "unsafe" if self._unsafe else "black" if black else None
        return Picture(pixels=pixels, flag=flag)


def _fetched(tensor: torch.Tensor, *, beside: bool) -> Any:
    """Copy to the CPU, or begin to: into pinned memory, which a device writes to without anybody waiting."""
    import torch

    if not beside:
        return tensor.cpu()
    there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return there.copy_(tensor, non_blocking=True)
