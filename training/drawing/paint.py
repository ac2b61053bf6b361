"""Make-up: bold stripes, or a panther's mask with a muzzle and rosettes, clipped to the face and laid under eyes and mouth."""

from __future__ import annotations

import skia

from training.drawing.figure import Figure
from training.drawing.tools import dot, fill, mix, oval, poly, shade, smooth, stroke

__all__ = ["face_paint"]

SPOTS = ((0.0, -0.66), (-0.62, -0.70), (0.62, -0.70), (-0.86, 0.42), (0.86, 0.42))
"""Where a panther's rosettes lie on a face, in half heads; few and large, since one of them is six pixels wide."""
SPOTS_ASIDE = ((0.42, -0.70), (0.02, 0.20), (0.30, 0.46))
"""The same of a profile."""


def face_paint(c: skia.Canvas, f: Figure, edge: skia.Path) -> None:
    """A clown's white, then what the attributes ask for."""
    c.save()
    c.clipPath(edge, True)
    if f.a.role == "clown":
        _clown(c, f)
    if f.a.makeup == "panther":
        _panther(c, f)
    elif f.a.makeup == "stripes":
        _stripes(c, f)
    c.restore()


def _clown(c: skia.Canvas, f: Figure) -> None:
    w, h = f.w, f.h
    c.drawPaint(fill((0.97, 0.95, 0.93), 0.85))
    oval(
        c, w * 0.9 if f.profile else f.x(0, h * 0.5), h * 0.53, 12 if not f.profile else 8, 6.5, fill((0.86, 0.1, 0.12))
    )
    if f.a.makeup == "none":
        for d in f.sides:
            x = w * 0.58 if f.profile else f.x(d * 0.45)
            c.drawPath(poly([(x - 3.4, -h * 0.05), (x, -h * 0.5), (x + 3.4, -h * 0.05), (x, h * 0.32)]), fill(f.cloth))


def _panther(c: skia.Canvas, f: Figure) -> None:
    """A cat's mask with tips at the temples, a dark nose on a pale muzzle, rosettes: shapes that a 16-pixel cell can hold."""
    w, h, k = f.w, f.h, f.ink
    bright = sum(k) > 1.7
    line, dark = (shade(k, 0.3) if bright else mix(k, (1.0, 1.0, 1.0), 0.62)), shade(k, 0.3 if bright else 0.12)
    pale = (0.97, 0.94, 0.88)
    if f.profile:
        mask = [(1.02, 0.06), (0.84, -0.26), (0.50, -0.36), (-0.16, -0.66), (-0.02, -0.14), (0.26, 0.16), (0.66, 0.22)]
        outline = smooth([(x * w, y * h) for x, y in mask])
        oval(c, w * 0.94, h * 0.44, 7.0, h * 0.13, fill(pale))
        spots = [(x * w, y * h) for x, y in SPOTS_ASIDE]
        nose = [(w * 0.86, h * 0.16), (w * 1.6, h * 0.10), (w * 1.5, h * 0.34), (w * 0.94, h * 0.35)]
    else:
        half = [(0.16, -0.24), (0.50, -0.36), (1.20, -0.64), (1.06, -0.06), (0.62, 0.22), (0.20, 0.16)]
        mask = [*half, (0.0, 0.24), *((-x, y) for x, y in reversed(half)), (0.0, -0.20)]
        outline = smooth([(f.x(x, y * h), y * h) for x, y in mask])
        x = f.x(0, h * 0.25) + f.yaw * 5
        for d in (-1, 1):
            oval(c, x + d * 5.0, h * 0.45, 6.2, h * 0.14, fill(pale))
        spots = [(f.x(x * 1.2, y * h), y * h) for x, y in SPOTS]
        nose = [(x - 5.5, h * 0.17), (x + 5.5, h * 0.17), (x + 1.6, h * 0.38), (x - 1.6, h * 0.38)]
    c.drawPath(outline, fill(k))
    c.drawPath(outline, stroke(line, 1.5))
    c.drawPath(poly(nose), fill(dark))
    for x, y in spots:
        oval(c, x, y, 3.6, 3.1, fill(k))
        dot(c, x, y, 1.5, dark if bright else line)


def _stripes(c: skia.Canvas, f: Figure) -> None:
    w, h, k = f.w, f.h, f.ink
    for d in f.sides:
        start, end = (w * 0.72, -w * 0.1) if f.profile else (f.x(d * 0.28), f.x(d * 1.1))
        for i in range(2):
            c.drawLine(start, h * (0.20 + 0.19 * i) + 2, end, h * (0.24 + 0.19 * i), stroke(k, 3.8))
    c.drawRect(skia.Rect.MakeLTRB(-w * 1.2, -h * 0.56, w * 1.2, -h * 0.38), fill(k))
