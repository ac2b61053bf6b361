"""Attributes as numbers: one row a picture, one column an attribute, -1 where the picture was left its own choice."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from training.attributes import BY_NAME, Attributes, choose

__all__ = ["COLUMNS", "cross_entropies", "label_row", "label_rows"]

COLUMNS = (*BY_NAME, "beard")
SIZES = (*(len(values) for values in BY_NAME.values()), 2)


def label_row(a: Attributes) -> list[int]:
    """The place of each value in its set, in the order of ``COLUMNS``."""
    row = []
    for name, values in BY_NAME.items():
        value = getattr(a, name)
        row.append(-1 if value is None else values.index(value))
    return [*row, int(a.bearded)]


def label_rows(count: int) -> np.ndarray:
    """int64 (count, columns) of the first ``count`` pictures."""
    return np.array([label_row(choose(i)) for i in range(count)], np.int64)


def cross_entropies(scores: Tensor, labels: Tensor) -> list[Tensor]:
    """One loss an attribute, over the rows that have it, 0 where none has; ``scores`` are all attributes' side by side."""
    parts = scores.float().split(SIZES, -1)
    return [
        nn.functional.cross_entropy(part, labels[:, i], ignore_index=-1, reduction="sum")
        / (labels[:, i] >= 0).sum().clamp(min=1)
        for i, part in enumerate(parts)
    ]
