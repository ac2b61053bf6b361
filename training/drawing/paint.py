"""Make-up: bold stripes, or a panther's mask with spots and whiskers, clipped to the face and laid under eyes and mouth."""

from __future__ import annotations

import skia

from training.drawing.figure import Figure
from training.drawing.tools import dot, fill, oval, poly, shade, smooth, stroke

__all__ = ["face_paint"]

SPOTS = (
    (-0.78, 0.30),
    (-0.62, 0.52),
    (-0.86, 0.02),
    (0.78, 0.30),
    (0.62, 0.52),
    (0.86, 0.02),
    (-0.40, -0.62),
    (0.40, -0.62),
    (-0.62, -0.42),
    (0.62, -0.42),
)
"""Where a panther's spots lie, in half heads; fixed, so that they can be learnt."""


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
    w, h, k = f.w, f.h, f.ink
    dark = shade(k, 0.45) if sum(k) > 0.4 else (0.0, 0.0, 0.0)
    if f.profile:
        c.drawPath(
            smooth(
                [
                    (w * 1.0, h * 0.10),
                    (w * 0.72, -h * 0.28),
                    (w * 0.1, -h * 0.40),
                    (w * 0.22, h * 0.06),
                    (w * 0.62, h * 0.20),
                ]
            ),
            fill(k),
        )
        c.drawPath(
            poly([(w * 0.84, h * 0.12), (w * 1.6, h * 0.10), (w * 1.5, h * 0.33), (w * 0.9, h * 0.34)]), fill(dark)
        )
        spots = [(0.35 + 0.5 * x, y) for x, y in SPOTS if x < 0.5]
    else:
        for d in (-1, 1):
            mask = [
                (f.x(d * 0.10), h * 0.14),
                (f.x(d * 0.2), -h * 0.24),
                (f.x(d * 0.62), -h * 0.32),
                (f.x(d * 1.15), -h * 0.40),
                (f.x(d * 0.9), h * 0.0),
                (f.x(d * 0.5), h * 0.19),
            ]
            c.drawPath(smooth(mask), fill(k))
        x = f.x(0, h * 0.25) + f.yaw * 5
        c.drawPath(poly([(x - 5, h * 0.17), (x + 5, h * 0.17), (x + 2, h * 0.36), (x - 2, h * 0.36)]), fill(dark))
        spots = list(SPOTS)
    for x, y in spots:
        at = x * w if f.profile else f.x(x * 1.2, y * h)
        oval(c, at, y * h, 2.7, 2.2, fill(k))
        dot(c, at, y * h, 0.9, dark)
    middle = w * 0.8 if f.profile else f.x(0)
    c.drawPath(
        poly([(middle - 2.6, -h), (middle + 2.6, -h), (middle + 0.8, -h * 0.26), (middle - 0.8, -h * 0.26)]), fill(k)
    )
    for d in f.sides:
        for i in range(2):
            start, end = (w * 0.66, w * 0.1) if f.profile else (f.x(d * 0.34), f.x(d * 0.98))
            c.drawLine(start, h * (0.36 + 0.09 * i), end, h * (0.30 + 0.14 * i), stroke(dark, 1.5))


def _stripes(c: skia.Canvas, f: Figure) -> None:
    w, h, k = f.w, f.h, f.ink
    for d in f.sides:
        start, end = (w * 0.72, -w * 0.1) if f.profile else (f.x(d * 0.28), f.x(d * 1.1))
        for i in range(2):
            c.drawLine(start, h * (0.20 + 0.19 * i) + 2, end, h * (0.24 + 0.19 * i), stroke(k, 3.8))
    c.drawRect(skia.Rect.MakeLTRB(-w * 1.2, -h * 0.56, w * 1.2, -h * 0.38), fill(k))
