"""The robot's head: its metal ages from bright to rust, and its eyes and grille show the expression."""

from __future__ import annotations

import random

import skia

from training.drawing.figure import Figure
from training.drawing.paint import SPOTS
from training.drawing.tools import dot, fade, fill, glow, oval, shade, smooth, stroke

__all__ = ["robot_head"]

METALS = ((0.86, 0.91, 0.98), (0.76, 0.80, 0.86), (0.60, 0.62, 0.66), (0.60, 0.50, 0.40), (0.52, 0.34, 0.22))
INK = (0.10, 0.10, 0.13)


def robot_head(c: skia.Canvas, f: Figure, r: random.Random) -> None:
    """A box with an antenna; seen from the side it has one eye and a seam."""
    w, h = f.w * 1.05, f.h * 0.95
    metal, box = METALS[f.age], skia.Rect.MakeLTRB(-w, -h, w, h * 0.92)
    shift = f.yaw * 8 + (w * 0.45 if f.profile else 0)
    c.drawLine(0, -h, 0, -h - 12, stroke((0.4, 0.42, 0.45), 3))
    dot(c, 0, -h - 14, 4.4, f.cloth)
    if f.profile:
        c.drawRoundRect(skia.Rect.MakeLTRB(w - 4, h * 0.1, w + 7, h * 0.42), 2, 2, fill(shade(metal, 0.6)))
    else:
        c.drawRoundRect(skia.Rect.MakeLTRB(-w - 5, -7, w + 5, 9), 3, 3, fill((0.35, 0.37, 0.40)))
    corner = 13 if f.age == 0 else 7
    c.drawRoundRect(box, corner, corner, fade((-w, -h), (w, h), shade(metal, 1.12), shade(metal, 0.74)))
    c.save()
    c.clipRRect(skia.RRect.MakeRectXY(box, corner, corner), True)
    _rust(c, f, r, w, h)
    _paint(c, f, w, h)
    if f.profile:
        c.drawLine(-w * 0.35, -h, -w * 0.35, h, stroke(shade(metal, 0.5), 1.6))
        dot(c, -w * 0.65, 0, 4.5, shade(metal, 0.5))
    for d in f.sides:
        _eye(c, f, shift + (w * 0.12 if f.profile else d * w * 0.44), -h * 0.12, d)
    _grille(c, f, shift - (-w * 0.10 if f.profile else 0), h * 0.52)
    c.restore()


def _eye(c: skia.Canvas, f: Figure, x: float, y: float, side: int) -> None:
    dot(c, x, y, 7.4 * min(f.eye, 1.2), INK)
    oval(
        c,
        x,
        y,
        5.6 * min(f.eye, 1.2),
        5.6 * min(f.eye, 1.2) * min(1.0, f.lid),
        glow((x, y), 7, (1, 1, 1), f.cloth if f.a.colour != "black" else (0.6, 0.6, 0.6)),
    )
    dot(c, x + f.gaze, y, 1.9, INK)
    if f.a.expression in ("angry", "serious"):
        drop = 4 if f.a.expression == "angry" else 1
        c.drawLine(x - side * 7, y - 7 + drop, x + side * 7, y - 9, stroke(INK, 2.8))


def _grille(c: skia.Canvas, f: Figure, x: float, y: float) -> None:
    half = 7 if f.profile else 11
    if f.a.expression == "surprised":
        dot(c, x, y, 5.6, INK)
        return
    bend = {"smiling": -4, "angry": 4}.get(f.a.expression, 0)
    c.drawPath(smooth([(x - half, y + bend), (x, y), (x + half, y + bend)], False), stroke(INK, 6.5))
    for i in range(-1, 2):
        c.drawLine(
            x + i * half * 0.5,
            y - 2 + bend * abs(i) * 0.3,
            x + i * half * 0.5,
            y + 2 + bend * abs(i) * 0.3,
            stroke((0.8, 0.82, 0.85), 1.3),
        )


def _paint(c: skia.Canvas, f: Figure, w: float, h: float) -> None:
    if f.a.makeup == "stripes":
        c.drawRect(skia.Rect.MakeLTRB(-w, -h * 0.72, w, -h * 0.50), fill(f.ink))
        for d in f.sides:
            for i in range(2):
                c.drawLine(d * w * 0.55, h * (0.14 + 0.2 * i), d * w * 1.1, h * (0.18 + 0.2 * i), stroke(f.ink, 3.6))
    if f.a.makeup == "panther":
        for d in f.sides:
            oval(c, w * 0.55 if f.profile else d * w * 0.5 + f.yaw * 8, -h * 0.14, 12, 10, fill(f.ink))
        for x, y in SPOTS:
            oval(c, x * w * 0.95, y * h * 1.1, 2.9, 2.4, fill(f.ink))


def _rust(c: skia.Canvas, f: Figure, r: random.Random, w: float, h: float) -> None:
    for _ in range((0, 0, 0, 5, 10)[f.age]):
        oval(
            c,
            r.uniform(-w, w),
            r.uniform(-h, h),
            r.uniform(2.5, 5.5),
            r.uniform(2, 4),
            fill((0.45, 0.20, 0.08) if f.age == 3 else (0.30, 0.13, 0.06)),
        )
    if f.age == 4:
        c.drawPath(smooth([(-w * 0.9, -h * 0.5), (-w * 0.5, -h * 0.62), (-w * 0.2, -h * 0.9)], False), stroke(INK, 1.6))
        c.drawPath(smooth([(w * 0.9, h * 0.3), (w * 0.6, h * 0.5), (w * 0.65, h * 0.8)], False), stroke(INK, 1.6))
