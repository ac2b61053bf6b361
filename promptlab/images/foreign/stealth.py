"""Reads a text that is hidden in the lowest bits of a picture's pixels.

Programs keep it there because sites take EXIF and chunks away ("stealth pnginfo"): NovelAI in the alpha channel of its
PNGs, an extension of AUTOMATIC1111's web UI there or in the colours. The bits go down the columns, from left to right:
a signature of fifteen bytes, the length in bits as a number of four, the text itself, as it is or gzipped.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as Picture

__all__ = ["hidden_text"]

_SIGNATURES: Final = {
    b"stealth_pnginfo": ("A", False),
    b"stealth_pngcomp": ("A", True),
    b"stealth_rgbinfo": ("RGB", False),
    b"stealth_rgbcomp": ("RGB", True),
}
_HEAD: Final = 15 + 4
_MOST_PIXELS: Final = 40_000_000
_LONGEST: Final = 8_000_000


def hidden_text(path: Path) -> str:
    """Return the text that is hidden in the pixels of a PNG or WebP; empty where there is none."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=["PNG", "WEBP"]) as image:
                if image.width * image.height > _MOST_PIXELS or image.mode not in ("RGB", "RGBA"):
                    return ""
                return _read(image)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError):
        return ""


def _read(image: Picture) -> str:
    for channels in ("A", "RGB") if image.mode == "RGBA" else ("RGB",):
        head = _bytes_of(_bits(image, channels, (_HEAD * 8 // len(channels)) // image.height + 1), _HEAD)
        signature, length = head[:15], int.from_bytes(head[15:], "big") // 8
        named, compressed = _SIGNATURES.get(signature, ("", False))
        if named != channels or not 0 < length <= _LONGEST:
            continue
        columns = ((_HEAD + length) * 8 // len(channels)) // image.height + 1
        data = _bytes_of(_bits(image, channels, columns), _HEAD + length)[_HEAD:]
        if compressed:
            data = zlib.decompressobj(31).decompress(data, _LONGEST)
        return data.decode("utf-8", "replace")
    return ""


def _bits(image: Picture, channels: str, columns: int) -> np.ndarray:
    """Return the lowest bits of the first columns, down each of them, colour by colour."""
    import numpy as np

    part = image.crop((0, 0, min(columns, image.width), image.height))
    plane = np.asarray(part.getchannel("A") if channels == "A" else part.convert("RGB"))
    return (np.swapaxes(plane, 0, 1).reshape(-1) & 1).astype(np.uint8)


def _bytes_of(bits: np.ndarray, count: int) -> bytes:
    import numpy as np

    return np.packbits(bits[: count * 8]).tobytes()
