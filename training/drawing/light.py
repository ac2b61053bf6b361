"""Backgrounds, light and the drawing style: everything that is done to whole pictures, in numpy.

Arrays are float32 in 0…1, height × width × 3; ``alpha`` is the figure's coverage.
"""

from __future__ import annotations

import functools
import random

import numpy as np

from training.attributes import COLOURS, Attributes
from training.frame import SIZE

__all__ = ["backdrop", "blur", "compose"]

Array = np.ndarray
QUIET = ((0.44, 0.45, 0.47), (0.33, 0.37, 0.42), (0.55, 0.50, 0.44), (0.38, 0.42, 0.36), (0.62, 0.62, 0.63))
_Y, _X = (np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + 0.5) / SIZE


@functools.cache
def _kernel(sigma: float) -> Array:
    i = np.arange(SIZE)
    k = np.exp(-0.5 * ((i[:, None] - i[None]) / sigma) ** 2).astype(np.float32)
    return k / k.sum(1, keepdims=True)


def blur(plane: Array, sigma: float) -> Array:
    """A Gaussian blur of one plane, as two products with a banded matrix."""
    k = _kernel(sigma)
    return k @ plane @ k.T


def backdrop(a: Attributes, r: random.Random) -> Array:
    """One colour, a little lighter towards the upper middle."""
    colour = np.array(COLOURS[a.background] if a.background else r.choice(QUIET), np.float32)
    away = np.sqrt((_X - 0.5) ** 2 + (_Y - 0.4) ** 2)
    return colour * (1.04 - 0.34 * away)[..., None]


def compose(a: Attributes, rgb: Array, alpha: Array, back: Array, side: int) -> Array:
    """The lit figure before its backdrop; ``side`` is where the light comes from."""
    if a.style == "drawing":
        return _drawn(a, rgb, alpha, back, side)
    if a.light == "rim":
        return _rim(rgb, alpha, back, side)
    if a.light == "dramatic":
        dark = np.clip(0.5 - (_X - 0.5) * side * 7, 0, 1)
        rgb = rgb * (1 - 0.68 * dark)[..., None]
        back = back * (1 - 0.55 * np.clip(0.5 + (_X - 0.5) * side * 1.6, 0, 1))[..., None]
    else:
        rgb = rgb * (1 - 0.16 * np.clip(0.5 - (_X - 0.5) * side * 2, 0, 1))[..., None]
    return back * (1 - alpha[..., None]) + rgb * alpha[..., None]


def _rim(rgb: Array, alpha: Array, back: Array, side: int) -> Array:
    """A dimmed figure with a hard bright edge, strongest towards the light."""
    edge = np.clip((1 - blur(alpha, 3.0)) * 3.4 - 0.45, 0, 1) * alpha
    gy, gx = np.gradient(blur(alpha, 3.0))
    facing = np.clip(0.55 - gx * 6 * side - gy * 3, 0.25, 1)
    lit = (edge * facing)[..., None]
    rgb = rgb * 0.62 * (1 - lit) + np.array((1.0, 0.98, 0.93), np.float32) * lit
    back = back * (0.86 - 0.3 * np.sqrt((_X - 0.5) ** 2 + (_Y - 0.5) ** 2))[..., None]
    return back * (1 - alpha[..., None]) + rgb * alpha[..., None]


def _drawn(a: Attributes, rgb: Array, alpha: Array, back: Array, side: int) -> Array:
    """Pale colours with ink along every edge."""
    if a.light == "dramatic":
        rgb = rgb * (1 - 0.7 * (np.clip(0.5 - (_X - 0.5) * side * 20, 0, 1)))[..., None]
    elif a.light == "rim":
        rim = np.clip((1 - blur(alpha, 2.4)) * 3.4 - 0.5, 0, 1) * alpha
        rgb = rgb * 0.7 * (1 - rim[..., None]) + rim[..., None]
    paper = back * 0.65 + 0.33
    img = paper * (1 - alpha[..., None]) + (rgb * 0.85 + 0.13) * alpha[..., None]
    gy, gx = np.gradient(blur(img.mean(-1), 0.8))
    ay, ax = np.gradient(blur(alpha, 0.9))
    ink = np.clip(np.maximum(np.hypot(gx, gy) * 7 - 0.25, np.hypot(ax, ay) * 3.4 - 0.15), 0, 1)
    return img * (1 - 0.9 * ink[..., None])
