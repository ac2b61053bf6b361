"""Contact sheets, as PNG files: rows of pictures, edge to edge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

__all__ = ["pairs", "save_sheet", "to_uint8"]


def to_uint8(pictures: Tensor) -> np.ndarray:
    """float (n, 3, h, w) in -1…1 to uint8 (n, h, w, 3)."""
    scaled = ((pictures.clamp(-1, 1) + 1) * 127.5).round()
    return scaled.byte().permute(0, 2, 3, 1).cpu().numpy()


def save_sheet(pictures: list[np.ndarray] | np.ndarray, columns: int, path: Path) -> None:
    """uint8 pictures of one size, row by row."""
    height, width = pictures[0].shape[:2]
    sheet = np.full((-(-len(pictures) // columns) * height, columns * width, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * height, i % columns * width
        sheet[y : y + height, x : x + width] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path, optimize=True)


def pairs(real: Tensor, made: Tensor, path: Path, columns: int = 8) -> None:
    """Originals with what came back of each below it."""
    rows = []
    for start in range(0, len(real), columns):
        rows += [*to_uint8(real[start : start + columns]), *to_uint8(made[start : start + columns])]
    save_sheet(rows, columns, path)
