"""Head, ears, eyes, nose, mouth, wrinkles, beard and hair: everything that tells age, view and expression at a glance.

Eyes and mouths are drawn larger and with harder edges than life, so that they survive an autoencoder that halves a picture four times.
"""

from __future__ import annotations

import skia

from training.drawing.figure import Figure
from training.drawing.tools import Point, dot, fade, fill, glow, mix, oval, poly, shade, smooth, stroke

__all__ = ["back_hair", "beard", "ears", "face", "head", "outline", "top_hair"]

HELMETED = frozenset({"robot", "astronaut", "monk", "knight"})


def outline(f: Figure) -> skia.Path:
    """The head's edge."""
    w, h, j = f.w, f.h, f.jaw
    if not f.profile:
        k = f.yaw * 4
        return smooth([
            (0, -h), (w * 0.72, -h * 0.78), (w, -h * 0.12), (w * 0.93 + k * 0.3, h * 0.35), (w * j * 0.72 + k, h * 0.76), (k * 1.2, h),
            (-w * j * 0.72 + k, h * 0.76), (-w * 0.93 + k * 0.3, h * 0.35), (-w, -h * 0.12), (-w * 0.72, -h * 0.78),
        ])  # fmt: skip
    n = (0.85, 0.95, 1.1, 1.2, 1.3)[f.age]
    return smooth([
        (0, -h), (w * 0.62, -h * 0.83), (w * 0.93, -h * 0.42), (w * 0.90, -h * 0.17), (w * 0.98, 0), (w * (1 + 0.32 * n), h * 0.20),
        (w * (1 + 0.20 * n), h * 0.30), (w * 0.96, h * 0.32), (w * 1.08, h * 0.43), (w * 0.97, h * 0.51), (w * 1.04, h * 0.60), (w * 0.88, h * 0.70),
        (w * 0.94, h * 0.84), (w * 0.76, h * 0.97), (w * 0.35, h * 0.90), (-w * 0.15, h * 0.62), (-w * 0.75, h * 0.5), (-w * 1.12, -h * 0.05), (-w * 0.8, -h * 0.72),
    ])  # fmt: skip


def head(c: skia.Canvas, f: Figure) -> None:
    """Skin, cheeks, and a soft shadow of the chin on the neck."""
    oval(c, 0, f.h * 1.0, f.w * 0.6, 4.5, fill(shade(f.skin, 0.45), 0.6, 1.5))
    if not f.profile:
        ears(c, f)
    centre = (f.w * 0.35 if f.profile else f.yaw * 12, -f.h * 0.2)
    edge = outline(f)
    c.drawPath(edge, glow(centre, f.h * 1.4, shade(f.skin, 1.08), shade(f.skin, 0.74)))
    c.save()
    c.clipPath(edge, True)
    for d in f.sides:
        x = f.w * 0.45 if f.profile else f.x(d * 0.62)
        if f.age < 2 or f.feminine:
            oval(c, x, f.h * 0.34, 5, 4, fill(mix(f.skin, (0.9, 0.25, 0.22), 0.55), 0.55 if f.age == 0 else 0.35, 1.5))
        if f.age == 4:
            oval(c, f.w * 0.2 if f.profile else f.x(d * 0.9), f.h * 0.46, 3.4, 7, fill(shade(f.skin, 0.6), 0.55, 1.5))
    c.restore()
    if f.profile:
        ears(c, f)


def ears(c: skia.Canvas, f: Figure) -> None:
    """Two, one, or none under a helmet."""
    if f.a.role in HELMETED:
        return
    if f.profile:
        oval(c, -f.w * 0.12, f.h * 0.08, 3.8, 6, fill(shade(f.skin, 0.84)))
        oval(c, -f.w * 0.08, f.h * 0.08, 1.8, 3.6, fill(shade(f.skin, 0.6)))
        return
    for d in (-1, 1):
        if d * f.yaw <= 0.25:
            x = d * f.w - f.yaw * 4
            oval(c, x, f.h * 0.10, 3.4, 6, fill(shade(f.skin, 0.82)))
            oval(c, x + d * 0.5, f.h * 0.10, 1.4, 3.4, fill(shade(f.skin, 0.6)))


def face(c: skia.Canvas, f: Figure) -> None:
    """Wrinkles, nose, eyes, then beard and mouth."""
    _wrinkles(c, f)
    _nose(c, f)
    y = -f.h * (0.03 if f.age else -0.05)
    if f.profile:
        _eye(c, f, f.w * 0.60, y, 0.72, -1)
    else:
        for side in (-1, 1):
            squash = 1.0 if abs(f.yaw) < 0.2 else (0.72 if side * f.yaw > 0 else 1.0)
            _eye(c, f, f.x(side * 0.45), y, squash, side)
    if f.a.expression in ("angry", "serious"):
        x = f.w * 0.84 if f.profile else f.x(0)
        for d in (-1.5, 1.5):
            c.drawLine(x + d, -f.h * 0.27, x + d * 0.9, -f.h * 0.14, stroke(shade(f.skin, 0.45), 1.2))
    beard(c, f)
    _mouth(c, f)


def _eye(c: skia.Canvas, f: Figure, x: float, y: float, squash: float, side: int) -> None:
    rx, ry = 5.3 * f.eye * squash, 3.1 * f.eye * f.lid
    dark = shade(f.skin, 0.5)
    if f.age >= 3:
        for d in range(f.age - 2):
            below = y + ry + 1.6 + 2.0 * d
            c.drawPath(smooth([(x - rx, below - 1), (x, below + 1), (x + rx, below - 1)], False), stroke(dark, 1.2))
        for k in (-1.4, 1.6):
            c.drawLine(x + side * (rx + 1.2), y + k * 0.6, x + side * (rx + 4.6), y + k * 1.8, stroke(dark, 1.0))
    almond = smooth(
        [
            (x - rx, y + 0.3),
            (x - rx * 0.35, y - ry),
            (x + rx * 0.4, y - ry),
            (x + rx, y + 0.1),
            (x + rx * 0.35, y + ry * 0.8),
            (x - rx * 0.45, y + ry * 0.8),
        ]
    )
    c.drawPath(almond, fill((0.97, 0.97, 0.95)))
    c.save()
    c.clipPath(almond, True)
    ix, ir = x + f.gaze * squash * f.eye, 2.6 * f.eye
    dot(c, ix, y, ir, f.iris)
    dot(c, ix, y, ir * 0.55, (0.02, 0.02, 0.02))
    dot(c, ix - 0.9, y - 1.0, 0.85, (1, 1, 1))
    c.restore()
    lash = [(x - rx, y + 0.3), (x - rx * 0.35, y - ry), (x + rx * 0.4, y - ry), (x + rx, y + 0.1)]
    c.drawPath(smooth(lash, False), stroke((0.09, 0.05, 0.05), 1.9 if f.feminine else 1.4))
    _brow(c, f, x, y - ry, rx, side)


def _brow(c: skia.Canvas, f: Figure, x: float, top: float, rx: float, side: int) -> None:
    e = f.a.expression
    y = top - (4.2 if e == "surprised" else 1.6 if e in ("serious", "angry") else 2.8)
    tilt = {"serious": 1.2, "angry": 3.0, "surprised": -1.2, "smiling": -0.6, "neutral": 0.0}[e]
    inner, outer = (x - side * rx * 1.05, y + tilt * 0.8), (x + side * rx * 1.25, y + 0.4 - tilt * 0.5)
    width = (1.5, 2.0, 2.6, 3.0, 3.8)[f.age] * (0.75 if f.feminine else 1)
    c.drawPath(
        smooth([inner, (x + side * rx * 0.2, y - 1.3 + tilt * 0.1), outer], False),
        stroke(shade(f.hair, 0.9 if f.age < 3 else 1), width),
    )


def _wrinkles(c: skia.Canvas, f: Figure) -> None:
    w, h = f.w, f.h
    line = stroke(shade(f.skin, 0.55 if f.age < 4 else 0.48), 1.1 if f.age < 4 else 1.4)
    if f.age >= 2:  # from the nose to the corners of the mouth
        for d in f.sides:
            x0, x1 = (w * 0.74, w * 0.58) if f.profile else (f.x(d * 0.30), f.x(d * 0.52))
            c.drawPath(smooth([(x0, h * 0.27), ((x0 + x1) / 2 + d * 0.6, h * 0.36), (x1, h * 0.46)], False), line)
    if f.age == 0:
        for d in f.sides:
            x = w * 0.5 if f.profile else f.x(d * 0.55)
            for k in (-2.2, 0, 2.2):
                dot(c, x + k, h * 0.22 + abs(k) * 0.5, 0.75, shade(f.skin, 0.6))
    if f.age < 3:
        return
    middle = w * 0.5 if f.profile else f.x(0)
    for i in range(2 if f.age == 3 else 3):
        y, half = -h * 0.42 - i * 3.4, (w * 0.55 - i * 1.4) * (0.5 if f.profile else 1)
        c.drawPath(smooth([(middle - half, y + 0.8), (middle, y - 0.6), (middle + half, y + 0.8)], False), line)
    if f.age == 4:
        for d in f.sides:
            x = w * 0.2 if f.profile else f.x(d * 0.82)
            c.drawPath(smooth([(x, h * 0.2), (x + d * 0.8, h * 0.34), (x - d, h * 0.48)], False), line)


def _nose(c: skia.Canvas, f: Figure) -> None:
    w, h = f.w, f.h
    dark = shade(f.skin, 0.55)
    if f.profile:
        c.drawPath(smooth([(w * 0.95, h * 0.18), (w * 0.9, h * 0.26), (w, h * 0.3)], False), stroke(dark, 1.3))
        return
    x, y, half = f.x(0, h * 0.25) + f.yaw * 6, h * 0.27, (2.6, 3.2, 3.9, 4.2, 4.6)[f.age] * (0.85 if f.feminine else 1)
    d = 1 if f.yaw <= 0 else -1
    c.drawPath(
        smooth([(f.x(0) + d * 2.2, -h * 0.10), (x + d * 2.2, h * 0.1), (x + d * half, y)], False),
        stroke(shade(f.skin, 0.78), 1.8),
    )
    c.drawPath(
        smooth(
            [(x - half, y), (x - half * 0.4, y + 1.8), (x, y + 1.2), (x + half * 0.4, y + 1.8), (x + half, y)], False
        ),
        stroke(dark, 1.5),
    )


def _mouth(c: skia.Canvas, f: Figure) -> None:
    h, e = f.h, f.a.expression
    y = h * 0.53
    lip = mix(shade(f.skin, 0.72), (0.78, 0.12, 0.16), 0.65 if f.feminine else 0.4)
    dark: tuple[float, float, float] = (0.22, 0.03, 0.05)
    x, half = (f.w * 0.80, 5.0) if f.profile else (f.x(0, y), (6.6, 7.6, 8.4, 8.2, 7.8)[f.age])
    if e == "surprised":
        oval(c, x + (2 if f.profile else 0), y + 1.5, 4.4 if not f.profile else 3.4, 5.6, fill(lip))
        oval(c, x + (2 if f.profile else 0), y + 1.5, 2.9 if not f.profile else 2.0, 4.0, fill(dark))
    elif e == "smiling":
        edge = smooth(
            [
                (x - half - 1, y - 3),
                (x, y - 0.6),
                (x + half + 1, y - 3),
                (x + half * 0.6, y + 3.4),
                (x, y + 5.2),
                (x - half * 0.6, y + 3.4),
            ]
        )
        c.drawPath(edge, fill(dark))
        c.save()
        c.clipPath(edge, True)
        oval(c, x, y - 0.6, half * 0.95, 3.3, fill((0.98, 0.97, 0.95)))
        c.restore()
        c.drawPath(edge, stroke(lip, 1.6))
    else:
        dy = {"angry": 3.4, "serious": 1.2, "neutral": -0.4}[e]
        c.drawPath(
            smooth(
                [
                    (x - half, y + dy),
                    (x - 2.4, y - 2.2),
                    (x, y - 1.4),
                    (x + 2.4, y - 2.2),
                    (x + half, y + dy),
                    (x + 3, y + 3.2),
                    (x - 3, y + 3.2),
                ]
            ),
            fill(lip),
        )
        c.drawPath(smooth([(x - half, y + dy), (x, y + 0.2), (x + half, y + dy)], False), stroke(dark, 1.4))


def beard(c: skia.Canvas, f: Figure) -> None:
    """A short one hugs the chin; a long one falls over the chest."""
    if f.beard <= 0:
        return
    w, h = f.w, f.h
    length = h * (0.2 + f.beard * 0.85)
    points: list[Point]
    if f.profile:
        points = [(w * 0.02, h * 0.12), (w * 0.3, h * 0.42), (w * 0.72, h * 0.44), (w * 1.08, h * 0.40), (w * 0.92, h * 0.5), (w * 1.04, h * 0.72),
                  (w * 0.95, h * 0.6 + length), (w * 0.45, h * 0.5 + length * 0.9), (-w * 0.02, h * 0.62)]  # fmt: skip
    else:
        k = f.yaw * 8
        points = [(-w * 0.98, h * 0.08), (-w * 0.74, h * 0.34), (-7 + k, h * 0.40), (k, h * 0.37), (7 + k, h * 0.40), (w * 0.74, h * 0.34), (w * 0.98, h * 0.08),
                  (w * 0.9, h * 0.62), (w * 0.5 + k * 0.7, h * 0.5 + length * 0.85), (k * 0.8, h * 0.5 + length * 1.08),
                  (-w * 0.5 + k * 0.7, h * 0.5 + length * 0.85), (-w * 0.9, h * 0.62)]  # fmt: skip
    edge = smooth(points)
    c.drawPath(edge, fade((0, h * 0.2), (0, h * 0.5 + length), f.hair, shade(f.hair, 0.8)))
    if f.beard > 0.5:
        c.save()
        c.clipPath(edge, True)
        for i in range(-2, 3):
            x = (w * 0.55 + i * 4) if f.profile else (i * 6.5 + f.yaw * 6)
            c.drawPath(
                smooth([(x, h * 0.62), (x * 0.9, h * 0.6 + length * 0.4), (x * 0.6, h * 0.6 + length)], False),
                stroke(shade(f.hair, 0.72), 1.3),
            )
        c.restore()


def back_hair(c: skia.Canvas, f: Figure) -> None:
    """Long hair behind the shoulders."""
    if f.a.role in HELMETED or not f.long_hair:
        return
    w, h = f.w, f.h
    dx = -w * 0.35 if f.profile else -f.yaw * 5
    c.drawPath(
        smooth([(dx, -h * 1.12), (w * 1.08 + dx, -h * 0.5), (w * 1.18 + dx, h * 0.5), (w * 1.05 + dx, h * 0.3 + 34), (dx, h * 0.8),
                (-w * 1.05 + dx, h * 0.3 + 34), (-w * 1.18 + dx, h * 0.5), (-w * 1.1 + dx, -h * 0.5)]),
        fade((0, -h), (0, h + 20), f.hair, shade(f.hair, 0.65)),
    )  # fmt: skip


def top_hair(c: skia.Canvas, f: Figure) -> None:
    """What a hat leaves to be seen; the oldest men's hair has gone back."""
    if f.a.role in HELMETED:
        return
    w, h = f.w, f.h
    line = h * (0.86 if f.age == 4 and not f.feminine else 0.58)
    if f.profile:
        points = [(w * 0.78, -h * 0.72), (w * 0.35, -line), (w * 0.05, -h * 0.25), (-w * 0.1, h * 0.05), (-w * 0.55, h * 0.5), (-w * 1.2, h * 0.2),
                  (-w * 1.18, -h * 0.45), (-w * 0.6, -h * 1.02), (w * 0.1, -h * 1.12)]  # fmt: skip
    else:
        q = f.yaw * 6
        points = [(-w * 1.04, 0), (-w * 1.10, -h * 0.55), (-w * 0.62, -h * 1.05), (0, -h * 1.14), (w * 0.62, -h * 1.05), (w * 1.10, -h * 0.55), (w * 1.04, 0),
                  (w * 0.86 + q * 0.2, -h * 0.36), (w * 0.45 + q, -line), (q + 3, -line - 3), (-w * 0.45 + q, -line), (-w * 0.86 + q * 0.2, -h * 0.36)]  # fmt: skip
    c.drawPath(smooth(points), fade((0, -h * 1.15), (0, -h * 0.2), shade(f.hair, 1.15), shade(f.hair, 0.8)))
    if f.a.role == "man" and f.age == 0 and not f.profile:
        c.drawPath(poly([(-2, -h * 1.12), (1, -h * 1.3), (4, -h * 1.1)]), fill(f.hair))
