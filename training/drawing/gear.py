"""What each role wears on the head, behind it and before it: the silhouette that names the role."""

from __future__ import annotations

import math

import skia

from training.drawing.clothes import GOLD, IVORY, STEEL, WHITE
from training.drawing.figure import Figure
from training.drawing.tools import Colour, dot, fade, fill, glow, oval, poly, shade, smooth, stroke

__all__ = ["TALL", "before", "behind"]

TALL = frozenset(
    {"warrior chief", "wizard", "chef", "samurai", "king", "queen", "robot", "knight", "astronaut", "viking"}
)
"""Roles whose headgear needs room above the head."""

INK: Colour = (0.10, 0.09, 0.11)


def behind(c: skia.Canvas, f: Figure) -> None:
    """What the head hides in part."""
    draw = {"warrior chief": _crest, "monk": _hood, "samurai": _neck_guard, "clown": _curls, "astronaut": _visor}.get(
        f.a.role
    )
    if draw:
        draw(c, f)


def before(c: skia.Canvas, f: Figure) -> None:
    """What lies over hair and forehead."""
    draw = BEFORE.get(f.a.role)
    if draw:
        draw(c, f, -3.5 if f.profile else f.yaw * 2.5)


def _crest(c: skia.Canvas, f: Figure) -> None:
    """A fan of seven broad plumes with an eye on each, as some bird of an invented world might spare."""
    lean = -0.55 if f.profile else -f.yaw * 0.3
    for i in sorted(range(-3, 4), key=abs, reverse=True):
        t = -math.pi / 2 + lean + i * 0.36
        bx, by = math.cos(t) * f.w * 0.5, -f.h * 0.5 + math.sin(t) * 4
        ux, uy = math.cos(t), math.sin(t)
        length = 33 - abs(i) * 1.5
        plume = smooth([(bx - uy * 2, by + ux * 2), (bx + ux * length * 0.7 - uy * 7, by + uy * length * 0.7 + ux * 7), (bx + ux * length, by + uy * length),
                        (bx + ux * length * 0.7 + uy * 7, by + uy * length * 0.7 - ux * 7), (bx + uy * 2, by - ux * 2)])  # fmt: skip
        c.drawPath(
            plume, fill(f.cloth if i % 2 else shade(f.cloth, 0.62) if sum(f.cloth) > 0.5 else (0.25, 0.25, 0.29))
        )
        c.drawPath(plume, stroke(shade(f.cloth, 0.4), 0.9))
        dot(c, bx + ux * length * 0.76, by + uy * length * 0.76, 3.6, IVORY)
        dot(c, bx + ux * length * 0.76, by + uy * length * 0.76, 1.8, (0.10, 0.50, 0.52))


def _hood(c: skia.Canvas, f: Figure) -> None:
    w, h, dx = f.w, f.h, -3 if f.profile else 0
    c.drawPath(
        smooth([(dx, -h * 1.32), (w * 1.2 + dx, -h * 0.75), (w * 1.42 + dx, h * 0.3), (w * 1.2, h * 1.25), (-w * 1.2, h * 1.25), (-w * 1.42 + dx, h * 0.3), (-w * 1.2 + dx, -h * 0.75)]),
        fade((0, -h * 1.3), (0, h * 1.3), shade(f.cloth, 1.08), shade(f.cloth, 0.7)),
    )  # fmt: skip
    oval(c, dx * 0.3, 1, w * 1.14, h * 1.12, fill(shade(f.cloth, 0.3)))


def _neck_guard(c: skia.Canvas, f: Figure) -> None:
    w, h = f.w, f.h
    c.drawPath(
        smooth(
            [
                (-w * 1.1, -h * 0.5),
                (w * 1.1, -h * 0.5),
                (w * 1.6, h * 0.75),
                (w * 0.8, h * 0.5),
                (-w * 0.8, h * 0.5),
                (-w * 1.6, h * 0.75),
            ]
        ),
        fill(shade(f.cloth, 0.6)),
    )


def _curls(c: skia.Canvas, f: Figure) -> None:
    for i in range(11):
        t = math.pi + math.pi * i / 10
        x, y = math.cos(t) * f.w * 1.25 - (4 if f.profile else 0), math.sin(t) * f.h * 0.85 + 1
        dot(c, x, y, 9, f.cloth if i % 2 else shade(f.cloth, 0.75))


def _visor(c: skia.Canvas, f: Figure) -> None:
    dot(c, 0, -1, f.h * 1.3, (0.11, 0.14, 0.20))


def _chief(c: skia.Canvas, f: Figure, dx: float) -> None:
    """A brow-band of bronze with a gem, and two short horns of shell."""
    del dx
    w, y = f.w, -f.h * 0.58
    band = smooth([(-w * 1.08, y + 4), (0, y), (w * 1.04, y + 4), (w * 1.02, y - 5), (0, y - 9), (-w * 1.06, y - 5)])
    for d in (-1, 1):
        c.drawPath(
            smooth([(d * w * 0.95, y + 4), (d * w * 1.35, y + 1), (d * w * 1.55, y - 13), (d * w * 1.12, y - 6)]),
            fill(IVORY),
        )
    c.drawPath(band, fill(GOLD))
    c.drawPath(band, stroke(shade(GOLD, 0.5), 1.0))
    oval(c, w * 0.6 if f.profile else f.x(0), y - 4.5, 4, 4.4, fill((0.15, 0.75, 0.70)))


def _warrior(c: skia.Canvas, f: Figure, dx: float) -> None:
    """A steel circlet with a blade-shaped crest of the named colour."""
    del dx
    w, y = f.w, -f.h * 0.5
    x = w * 0.3 if f.profile else f.x(0)
    c.drawPath(smooth([(x - 5, y - 3), (x - 7, y - 16), (x, y - 29), (x + 7, y - 16), (x + 5, y - 3)]), fill(f.cloth))
    c.drawPath(
        smooth([(x - 5, y - 3), (x - 7, y - 16), (x, y - 29), (x + 7, y - 16), (x + 5, y - 3)]), stroke(INK, 1.0)
    )
    c.drawPath(
        smooth([(-w * 1.08, y + 3), (0, y - 1), (w * 1.03, y + 3), (w * 1.02, y - 4), (0, y - 8), (-w * 1.08, y - 4)]),
        fill(shade(STEEL, 0.85)),
    )


def _crown(c: skia.Canvas, f: Figure, dx: float) -> None:
    king = f.a.role == "king"
    y, height, half = -f.h * 0.66, 20 if king else 15, f.w * (1.0 if king else 0.84)
    tips = [(-half * 1.1 + 2.2 * half * i / 4 + dx, y - height + (0 if king else abs(i - 2) * 3)) for i in range(5)]
    points = [(-half + dx, y + 4)]
    for i, tip in enumerate(tips):
        points.append(tip)
        if i < 4:
            points.append((tip[0] + 0.275 * half * 2, y - height * 0.3))
    points.append((half + dx, y + 4))
    c.drawPath(poly(points), fade((-half, y), (half, y), shade(GOLD, 1.1), shade(GOLD, 0.75)))
    c.drawPath(poly(points), stroke(shade(GOLD, 0.45), 1.0))
    for i, (x, top) in enumerate(tips):
        dot(c, x, top, 2.8, ((0.85, 0.1, 0.15), (0.1, 0.4, 0.85))[i % 2])
    if not king:
        for d in (0,) if f.profile else (-1, 1):
            oval(c, d * f.w * 1.02 - (2 if f.profile else 0), f.h * 0.38, 2.4, 4, fill(GOLD))


def _wizard(c: skia.Canvas, f: Figure, dx: float) -> None:
    w, y = f.w, -f.h * 0.56
    tip = dx + (-6 if f.profile else -f.yaw * 10)
    c.drawPath(
        smooth(
            [(-w * 0.98 + dx, y), (-w * 0.5 + dx, y - 19), (tip, y - 41), (w * 0.5 + dx, y - 19), (w * 0.98 + dx, y)]
        ),
        fade((-w, y), (w, y), shade(f.cloth, 1.1), shade(f.cloth, 0.72)),
    )
    oval(c, dx, y + 1, w * 1.6, 6, fill(shade(f.cloth, 0.75)))
    c.drawPath(smooth([(-w * 0.92 + dx, y - 4), (dx, y - 1), (w * 0.92 + dx, y - 4)], False), stroke(GOLD, 3.6))
    for x, dy, q in ((-5, -14, 3.4), (5, -21, 2.8)):
        star = [
            (
                dx + x + math.cos(k * math.pi / 5 - 1.57) * q * (1 if k % 2 == 0 else 0.45),
                y + dy + math.sin(k * math.pi / 5 - 1.57) * q * (1 if k % 2 == 0 else 0.45),
            )
            for k in range(10)
        ]
        c.drawPath(poly(star), fill((1.0, 0.95, 0.6)))


def _pirate(c: skia.Canvas, f: Figure, dx: float) -> None:
    w, y = f.w, -f.h * 0.5
    brim = [(-w * 1.7 + dx, y - 6), (-w * 0.9 + dx, y + 1), (dx, y + 3), (w * 0.9 + dx, y + 1), (w * 1.7 + dx, y - 6)]
    c.drawPath(smooth([*brim, (w * 1.1 + dx, y - 17), (dx, y - 27), (-w * 1.1 + dx, y - 17)]), fill(INK))
    c.drawPath(smooth(brim, False), stroke(f.cloth if f.a.colour not in (None, "black") else GOLD, 2.8))
    x = dx + (4 if f.profile else 0)
    oval(c, x, y - 13, 5.2, 4.8, fill(WHITE))
    c.drawRect(skia.Rect.MakeLTRB(x - 2.8, y - 10, x + 2.8, y - 6), fill(WHITE))
    for d in (-2, 2):
        dot(c, x + d, y - 13, 1.5, INK)
    if f.profile:
        c.drawLine(-w * 0.8, -f.h * 0.35, w * 0.9, 0, stroke(INK, 1.6))
    else:
        c.drawLine(-w, -f.h * 0.38, w, -f.h * 0.1, stroke(INK, 1.6))
        oval(c, f.x(0.45), -f.h * 0.04, 7, 6, fill(INK))


def _astronaut(c: skia.Canvas, f: Figure, dx: float) -> None:
    del dx
    r = f.h * 1.32
    oval(c, 0, -1, r * 0.98, r, stroke(WHITE, 6.5))
    oval(c, 0, -1, r * 0.86, r * 0.88, stroke(shade(STEEL, 0.8), 1.8))
    c.drawPath(
        smooth([(-r * 0.62, -r * 0.38), (-r * 0.38, -r * 0.60), (-r * 0.12, -r * 0.70)], False),
        stroke((1, 1, 1), 3.0, 0.8),
    )
    for d in (-1, 1):
        oval(c, d * r, 2, 5, 9, fill(f.cloth))


def _samurai(c: skia.Canvas, f: Figure, dx: float) -> None:
    w, y = f.w, -f.h * 0.42
    bowl = smooth(
        [
            (-w * 1.12 + dx * 0.5, y + 3),
            (-w * 1.1 + dx, y - 12),
            (-w * 0.5 + dx, y - 24),
            (w * 0.5 + dx, y - 24),
            (w * 1.1 + dx, y - 12),
            (w * 1.12 + dx * 0.5, y + 3),
            (dx, y - 2),
        ]
    )
    c.drawPath(bowl, glow((-6, y - 18), 38, shade(f.cloth, 1.15), shade(f.cloth, 0.55)))
    c.drawPath(smooth([(-w * 1.32, y + 5), (dx, y - 1), (w * 1.32, y + 5)], False), stroke(shade(f.cloth, 0.5), 4.6))
    x = dx + (w * 0.55 if f.profile else 0)
    for d in (-1, 1):
        c.drawPath(smooth([(x, y - 5), (x + d * 13, y - 17), (x + d * 16, y - 34), (x + d * 7, y - 18)]), fill(GOLD))
    dot(c, x, y - 8, 4.2, shade(GOLD, 0.8))


def _viking(c: skia.Canvas, f: Figure, dx: float) -> None:
    w, y = f.w, -f.h * 0.45
    for d in (-1, 1):
        x = d * w * 0.95 + dx - (6 * d if f.profile else 0)
        c.drawPath(
            smooth([(x, y - 4), (x + d * 13, y - 10), (x + d * 15, y - 29), (x + d * 5, y - 19), (x - d * 2, y - 14)]),
            fill(IVORY),
        )
    c.drawPath(
        smooth(
            [
                (-w * 1.08 + dx * 0.4, y + 3),
                (-w * 1.02 + dx, y - 12),
                (dx, y - 23),
                (w * 1.02 + dx, y - 12),
                (w * 1.08 + dx * 0.4, y + 3),
                (dx, y),
            ]
        ),
        glow((-7, y - 15), 38, shade(STEEL, 1.3), shade(STEEL, 0.6)),
    )
    c.drawPath(smooth([(-w * 1.08, y + 3), (dx, y), (w * 1.05, y + 3)], False), stroke((0.55, 0.40, 0.18), 4.6))
    c.drawLine(dx, y, dx, y - 22, stroke((0.55, 0.40, 0.18), 3.4))


def _knight(c: skia.Canvas, f: Figure, dx: float) -> None:
    """An open helm with a plume of the named colour."""
    w, h = f.w, f.h
    plume = [
        (-2 + dx, -h * 1.2),
        (-8 + dx, -h * 1.75),
        (-24 + dx, -h * 1.7),
        (-33 + dx, -h * 1.1),
        (-28, -h * 0.7),
        (-18, -h * 1.2),
    ]
    c.drawPath(smooth(plume), fill(f.cloth))
    c.drawPath(smooth(plume), stroke(shade(f.cloth, 0.6), 1.0))
    shell = smooth(
        [
            (-w * 1.18, h * 0.2),
            (-w * 1.15, -h * 0.7),
            (-w * 0.6, -h * 1.2),
            (0, -h * 1.3),
            (w * 0.6, -h * 1.2),
            (w * 1.15, -h * 0.7),
            (w * 1.18, h * 0.2),
            (w * 0.9, h * 1.02),
            (0, h * 1.14),
            (-w * 0.9, h * 1.02),
        ]
    )
    x = f.yaw * 7 + (w * 0.66 if f.profile else 0)
    opening = skia.Path()
    opening.addOval(skia.Rect.MakeLTRB(x - w * 0.92, -h * 0.54, x + w * 0.92, h * 0.92))
    c.save()
    c.clipPath(opening, skia.ClipOp.kDifference, True)
    c.drawPath(shell, fade((-w, -h), (w, h), shade(STEEL, 1.35), shade(STEEL, 0.6)))
    c.restore()
    c.save()
    c.clipPath(shell, True)
    c.drawPath(opening, stroke((0.25, 0.26, 0.30), 2))
    c.restore()


def _doctor(c: skia.Canvas, f: Figure, dx: float) -> None:
    del dx
    y, x = -f.h * 0.64, f.w * 0.62 if f.profile else f.x(0.2)
    c.drawPath(smooth([(-f.w * 1.06, y + 3), (0, y - 2), (f.w, y + 3)], False), stroke((0.25, 0.27, 0.32), 3))
    dot(c, x, y - 6, 8, (0.80, 0.84, 0.90))
    dot(c, x, y - 6, 2.4, INK)


def _chef(c: skia.Canvas, f: Figure, dx: float) -> None:
    w, y = f.w, -f.h * 0.58
    for px, py, q in ((-14, -19, 12), (14, -19, 12), (0, -24, 14)):
        oval(c, px + dx, y + py, q, q * 0.95, glow((px + dx - 3, y + py - 5), 18, (1, 1, 1), (0.80, 0.81, 0.85)))
    c.drawPath(
        smooth(
            [
                (-w * 0.98 + dx, y + 3),
                (dx, y),
                (w * 0.98 + dx, y + 3),
                (w * 0.92 + dx, y - 15),
                (dx, y - 16),
                (-w * 0.92 + dx, y - 15),
            ]
        ),
        fade((-w, 0), (w, 0), WHITE, (0.82, 0.83, 0.86)),
    )


def _clown(c: skia.Canvas, f: Figure, dx: float) -> None:
    del dx
    x = f.w * 1.2 if f.profile else f.x(0) + f.yaw * 6
    dot(c, x, f.h * 0.24, 6, (0.92, 0.08, 0.10))
    dot(c, x - 1.8, f.h * 0.17, 1.6, (1.0, 0.75, 0.72))


def _detective(c: skia.Canvas, f: Figure, dx: float) -> None:
    w, y, k = f.w, -f.h * 0.5, shade(f.cloth, 0.8)
    c.drawPath(
        smooth(
            [
                (-w * 0.98 + dx, y),
                (-w * 0.92 + dx, y - 18),
                (-w * 0.4 + dx, y - 25),
                (dx, y - 21),
                (w * 0.4 + dx, y - 25),
                (w * 0.92 + dx, y - 18),
                (w * 0.98 + dx, y),
            ]
        ),
        fade((0, y - 24), (0, y), shade(k, 1.1), shade(k, 0.85)),
    )
    c.drawPath(
        smooth([(-w + dx, y - 4), (dx, y - 2), (w + dx, y - 4)], False),
        stroke(INK if f.a.colour != "black" else WHITE, 4.5),
    )
    c.drawPath(
        smooth(
            [
                (-w * 1.65 + dx, y - 1),
                (dx, y - 3),
                (w * 1.65 + dx, y - 1),
                (w * 0.9 + dx, y + 4.5),
                (dx, y + 5.5),
                (-w * 0.9 + dx, y + 4.5),
            ]
        ),
        fill(shade(k, 0.75)),
    )


BEFORE = {
    "warrior chief": _chief, "warrior": _warrior, "king": _crown, "queen": _crown, "wizard": _wizard, "pirate": _pirate,
    "astronaut": _astronaut, "samurai": _samurai, "viking": _viking, "knight": _knight, "doctor": _doctor, "chef": _chef,
    "clown": _clown, "detective": _detective,
}  # fmt: skip
