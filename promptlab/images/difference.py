"""Measures how far two images are from one another, and draws the difference.

Invariant: only images of one size are compared; whatever the numbers say is said of every pixel and all channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GAINS", "PixelDifference", "decibels", "difference", "difference_image", "mean_square", "visible_gain"]

GAINS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
"""What an image of differences may be multiplied by: few steps, so that images can be compared by eye."""

_LEVELS: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDifference:
    """Measures how two images of one size differ.

    Args:
        differing_pixels: those that differ in any channel.
        pixels: all there are.
        greatest: levels of 255, in one channel of one pixel.
        mean: levels of 255, over all channels of all pixels.
        psnr: peak signal-to-noise ratio over all channels, dB; ``None`` when nothing differs.
    """

    differing_pixels: int
    pixels: int
    greatest: int
    mean: float
    psnr: float | None

    @property
    def identical(self) -> bool:
        """Return whether every pixel is the same."""
        return self.differing_pixels == 0


def difference(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> PixelDifference | None:
    """Measure what differs between two images; return None when their sizes differ.

    Args:
        before, after: uint8, ``[height, width, 3]``.
    """
    if before.shape != after.shape:
        return None
    apart = _apart(before, after)
    return PixelDifference(
        differing_pixels=int(apart.any(axis=2).sum()),
        pixels=apart.shape[0] * apart.shape[1],
        greatest=int(apart.max()),
        mean=float(apart.mean()),
        psnr=decibels(_mean_square(apart)),
    )


def mean_square(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Return the mean over all channels and pixels of the square of what differs, in levels of 255.

    Args:
        before, after: of one size.
    """
    return _mean_square(_apart(before, after))


def _mean_square(apart: NDArray[np.uint8]) -> float:
    return float((apart.astype("uint32") ** 2).sum(dtype="uint64")) / apart.size


def decibels(square: float) -> float | None:
    """Return the peak signal-to-noise ratio of a mean square, dB; ``None`` when nothing differs."""
    return 10 * math.log10(_LEVELS**2 / square) if square else None


def difference_image(before: NDArray[np.uint8], after: NDArray[np.uint8], *, gain: int = 1) -> NDArray[np.uint8]:
    """Draw how far apart two images are in each channel, ``gain`` times as bright as it is.

    Black where nothing differs.

    Raises:
        ValueError: when their sizes differ.
    """
    if before.shape != after.shape:
        raise ValueError(f"pictures of two sizes have no difference: {before.shape} and {after.shape}")
    import numpy as np

    return np.minimum(_apart(before, after).astype(np.uint16) * gain, _LEVELS).astype(np.uint8)


def visible_gain(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> int:
    """Return the greatest of :data:`GAINS` at which 99 of 100 differing levels stay within 255.

    So a few bright pixels do not leave all others in the dark.
    """
    import numpy as np

    counts = np.bincount(_apart(before, after).ravel(), minlength=_LEVELS + 1)
    counts[0] = 0
    if not counts.any():
        return 1
    level = int(np.searchsorted(np.cumsum(counts), 0.99 * counts.sum()))
    return max((gain for gain in GAINS if gain * level <= _LEVELS), default=1)


def _apart(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the absolute difference, without leaving eight bits."""
    import numpy as np

    return np.maximum(before, after) - np.minimum(before, after)
