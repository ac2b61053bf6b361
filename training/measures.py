"""Numbers from arrays: nothing here knows a model. Readings are places in each attribute's set, in the order of ``labels.COLUMNS``."""

from __future__ import annotations

import numpy as np

from training.attributes import AGES
from training.labels import COLUMNS

__all__ = ["ages_in_order", "entropy", "frechet", "same_picture_kept"]


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features, (n, d) and (m, d): ‖μa-μb‖² + tr(Σa + Σb - 2 (Σa Σb)^½) (Heusel et al. 2017).

    The trace of the root is the sum of the roots of the eigenvalues of Σa^½ Σb Σa^½, which is symmetric.
    """
    sa, sb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(sa)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ sb @ root)
    gap = float(((a.mean(0) - b.mean(0)) ** 2).sum())
    return gap + float(np.trace(sa) + np.trace(sb) - 2 * np.sqrt(np.clip(inner, 0, None)).sum())


def ages_in_order(probabilities: np.ndarray, each: int = 4) -> np.ndarray:
    """For every seed, whether the expected age rises from picture to picture; ``probabilities`` is (seeds x each, ages), youngest asked first."""
    expected = (probabilities * np.arange(len(AGES))).sum(-1).reshape(-1, each)
    return (np.diff(expected, axis=1) > 0).all(1)


def same_picture_kept(found: np.ndarray, names: tuple[str, ...], each: int = 4) -> dict[str, np.ndarray]:
    """For every seed and each name, whether all of its pictures are read alike."""
    rows = found.reshape(-1, each, found.shape[-1])
    return {name: (rows[:, :, COLUMNS.index(name)] == rows[:, :1, COLUMNS.index(name)]).all(1) for name in names}


def entropy(values: np.ndarray) -> float:
    """Bits in the spread of ``values``: 0 when all are one, log2 of their number when all are different."""
    share = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(share * np.log2(share)).sum())
