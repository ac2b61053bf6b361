"""Skia in a few short words: fills, strokes, gradients and smooth outlines, in the figure's own units."""

from __future__ import annotations

import skia

__all__ = ["Colour", "Point", "dot", "fade", "fill", "glow", "mix", "oval", "poly", "shade", "smooth", "stroke"]

Colour = tuple[float, float, float]
Point = tuple[float, float]


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """``a`` at 0, ``b`` at 1."""
    return (a[0] * (1 - t) + b[0] * t, a[1] * (1 - t) + b[1] * t, a[2] * (1 - t) + b[2] * t)


def shade(a: Colour, k: float) -> Colour:
    """Darker below 1, lighter above it, clipped to 0…1."""
    return (min(1.0, a[0] * k), min(1.0, a[1] * k), min(1.0, a[2] * k))


def _c(colour: Colour, alpha: float = 1.0) -> skia.Color4f:
    return skia.Color4f(float(colour[0]), float(colour[1]), float(colour[2]), float(alpha))


def fill(colour: Colour, alpha: float = 1.0, blur: float = 0.0) -> skia.Paint:
    """A flat fill, anti-aliased."""
    paint = skia.Paint(AntiAlias=True, Color4f=_c(colour, alpha))
    if blur:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return paint


def stroke(colour: Colour, width: float, alpha: float = 1.0) -> skia.Paint:
    """A line of ``width`` with round ends."""
    paint = fill(colour, alpha)
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeWidth(width)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    paint.setStrokeJoin(skia.Paint.kRound_Join)
    return paint


def fade(p0: Point, p1: Point, c0: Colour, c1: Colour) -> skia.Paint:
    """A linear gradient."""
    paint = skia.Paint(AntiAlias=True)
    ends = [skia.Point(*p0), skia.Point(*p1)]
    paint.setShader(skia.GradientShader.MakeLinear(ends, [_c(c0).toColor(), _c(c1).toColor()]))
    return paint


def glow(centre: Point, radius: float, c0: Colour, c1: Colour) -> skia.Paint:
    """A radial gradient."""
    paint = skia.Paint(AntiAlias=True)
    colours = [_c(c0).toColor(), _c(c1).toColor()]
    paint.setShader(skia.GradientShader.MakeRadial(skia.Point(*centre), radius, colours))
    return paint


def smooth(points: list[Point], closed: bool = True) -> skia.Path:
    """A Catmull-Rom curve through ``points``."""
    n = len(points)
    path = skia.Path()
    path.moveTo(*points[0])
    for i in range(n if closed else n - 1):
        p0 = points[(i - 1) % n] if closed or i else points[0]
        p1, p2 = points[i], points[(i + 1) % n]
        p3 = points[(i + 2) % n] if closed or i + 2 < n else points[-1]
        path.cubicTo(
            p1[0] + (p2[0] - p0[0]) / 6, p1[1] + (p2[1] - p0[1]) / 6,
            p2[0] - (p3[0] - p1[0]) / 6, p2[1] - (p3[1] - p1[1]) / 6, *p2,
        )  # fmt: skip
    if closed:
        path.close()
    return path


def poly(points: list[Point], closed: bool = True) -> skia.Path:
    """Straight lines through ``points``."""
    path = skia.Path()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    if closed:
        path.close()
    return path


def oval(canvas: skia.Canvas, x: float, y: float, rx: float, ry: float, paint: skia.Paint) -> None:
    """An ellipse about (x, y)."""
    canvas.drawOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry), paint)


def dot(canvas: skia.Canvas, x: float, y: float, r: float, colour: Colour) -> None:
    """A flat disc."""
    oval(canvas, x, y, r, r, fill(colour))
