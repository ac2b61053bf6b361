"""Makes the small images that a report carries: as good as their number allows.

They never take more than fits.

Every image has the same share of the budget. What does not keep to it is encoded once more at a lower quality, and
then smaller; photographs never are, noise is. Threads, because Pillow lets go of the GIL.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from promptlab.errors import InputError, NotFound
from promptlab.images.png import read_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Thumbnail", "small_webp", "thumbnails"]

_LARGEST: Final = 384
_SMALLEST: Final = 16
_QUALITY: Final = 82
_POOREST: Final = 60
"""WebP's quality, below which a smaller image shows more."""

_FEW: Final = 100
"""Images up to which each has a thumbnail of the largest size."""

_METHOD: Final = 2
"""Of WebP's seven: 2 ms a thumbnail; the next ones take twice the time for a tenth less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """Holds what a report shows of one image.

    Args:
        standing: whether the file is whole.
        webp: the small image; ``None`` where there is no whole file, or no room.
    """

    standing: Literal["whole", "gone", "damaged"]
    webp: bytes | None = None


def thumbnails(paths: Sequence[Path | None], *, budget: int) -> list[Thumbnail | None]:
    """Make thumbnails in at most ``budget`` bytes together; None where no file is named."""
    count = sum(path is not None for path in paths)
    share = budget // max(count, 1)
    side = _LARGEST if count <= _FEW else 256
    with ThreadPoolExecutor(min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)) as threads:
        return list(threads.map(lambda path: None if path is None else _thumbnail(path, side, share), paths))


def small_webp(path: Path, side: int) -> bytes:
    """Return an image of at most ``side`` pixels a side as WebP.

    Raises:
        NotFound, InputError: when there is no such file, or it is damaged.
    """
    from PIL import Image

    return _encoded(Image.fromarray(read_pixels(path)), side, _QUALITY)


def _thumbnail(path: Path, side: int, share: int) -> Thumbnail:
    from PIL import Image

    try:
        image = Image.fromarray(read_pixels(path))
    except NotFound:
        return Thumbnail(standing="gone")
    except InputError:
        return Thumbnail(standing="damaged")
    quality = _QUALITY
    while side >= _SMALLEST:
        encoded = _encoded(image, side, quality)
        if len(encoded) <= share:
            return Thumbnail(standing="whole", webp=encoded)
        if quality == _POOREST:
            side = int(side * min(0.8, 0.95 * math.sqrt(share / len(encoded))))  # bytes go with the area
        quality = _POOREST
    return Thumbnail(standing="whole")


def _encoded(image: Image, side: int, quality: int) -> bytes:
    from PIL import Image

    small = image
    if max(image.size) > side:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    into = io.BytesIO()
    small.save(into, "WEBP", quality=quality, method=_METHOD)
    return into.getvalue()
