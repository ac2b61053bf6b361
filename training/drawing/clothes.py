"""Neck, shoulders and what each role wears on them; the named colour always covers a large patch."""

from __future__ import annotations

import skia

from training.drawing.figure import Figure
from training.drawing.tools import Colour, dot, fade, fill, oval, poly, shade, smooth, stroke

__all__ = ["torso"]

GOLD: Colour = (0.95, 0.76, 0.20)
STEEL: Colour = (0.66, 0.69, 0.74)
IVORY: Colour = (0.93, 0.89, 0.78)
WHITE: Colour = (0.95, 0.95, 0.96)


def torso(c: skia.Canvas, f: Figure) -> None:
    """Everything below the chin."""
    n, y, s = (7.5, 9, 11.5, 11, 10)[f.age] - (1.5 if f.feminine else 0), f.h + 5, f.shoulders
    skin = shade(f.skin, 0.74)
    c.drawPath(smooth([(-n, f.h * 0.4), (n, f.h * 0.4), (n, y), (n + 5, y + 8), (-n - 5, y + 8), (-n, y)]), fill(skin))
    base = {"astronaut": WHITE, "robot": STEEL}.get(f.a.role, f.cloth)
    body = smooth(
        [
            (-n - 2, y - 1),
            (0, y + 4),
            (n + 2, y - 1),
            (s * 0.75, y + 5),
            (s, y + 17),
            (s + 4, 95),
            (-s - 4, 95),
            (-s, y + 17),
            (-s * 0.75, y + 5),
        ]
    )
    c.drawPath(body, fade((0, y), (0, y + 42), shade(base, 1.05), shade(base, 0.75)))
    c.save()
    c.clipPath(body, True)
    WEAR.get(f.a.role, _plain)(c, f, y, n)
    c.restore()


def _plain(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    dark = shade(f.cloth, 0.55)
    c.drawPath(poly([(-10, y - 3), (0, y + 10), (10, y - 3), (12, y + 5), (0, y + 16), (-12, y + 5)]), fill(dark))


def _chief(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    """Shoulder plates of carved shell and one great gem: no dress of any people on this earth."""
    s = f.shoulders
    for d in (-1, 1):
        for i in range(2):
            x = d * (s + 1 - 9 * i)
            c.drawPath(
                smooth([(x - 6, y + 24), (x + d * 3, y + 3 + 2 * i), (x + 6, y + 24)]), fill(IVORY if i % 2 else GOLD)
            )
    c.drawPath(smooth([(-n - 6, y - 2), (0, y + 13), (n + 6, y - 2)], False), stroke(GOLD, 3.4))
    oval(c, 0, y + 13, 5.5, 6.5, fill(GOLD))
    oval(c, 0, y + 13, 3.6, 4.6, fill((0.15, 0.75, 0.70)))


def _warrior(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    s = f.shoulders
    for d in (-1, 1):
        oval(c, d * (s - 5), y + 13, 15, 12, fill(shade(STEEL, 0.8)))
        oval(c, d * (s - 5), y + 13, 9, 7, fill(shade(STEEL, 1.15)))
    c.drawLine(-20, y + 1, 26, 95, stroke((0.25, 0.15, 0.08), 6))


def _royal(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    s = f.shoulders
    c.drawPath(
        smooth(
            [
                (-n - 4, y - 4),
                (0, y + 6),
                (n + 4, y - 4),
                (s * 0.7, y + 3),
                (17, y + 17),
                (0, y + 21),
                (-17, y + 17),
                (-s * 0.7, y + 3),
            ]
        ),
        fill(WHITE),
    )
    for x, dy in ((-22, 8), (-12, 13), (12, 13), (22, 8)):
        oval(c, x, y + dy, 1.2, 2, fill((0.1, 0.1, 0.12)))
    dot(c, 0, y + 13, 4.2, GOLD)


def _pirate(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    c.drawPath(poly([(-10, y - 3), (0, y + 30), (10, y - 3)]), fill(WHITE))
    for d in (-1, 1):
        c.drawPath(poly([(d * 9, y - 5), (d * 20, y + 2), (d * 3, y + 34), (d * 1, y + 26)]), fill(shade(f.cloth, 0.5)))


def _astronaut(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    s = f.shoulders
    for d in (-1, 1):
        c.drawPath(
            poly([(d * s * 1.1, y - 4), (d * s * 0.40, y), (d * s * 0.52, 96), (d * s * 1.2, 96)]), fill(f.cloth)
        )
    oval(c, 0, y + 3, 26, 8, fill(shade(STEEL, 0.9)))
    c.drawRect(skia.Rect.MakeLTRB(-11, y + 14, 11, y + 27), fill(shade(STEEL, 0.6)))
    for x, k in ((-5, (0.9, 0.2, 0.2)), (5, (0.2, 0.8, 0.3))):
        dot(c, x, y + 20, 2.8, k)


def _robot(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    c.drawRect(skia.Rect.MakeLTRB(-24, y + 6, 24, 96), fill(f.cloth))
    for x in (-10, 0, 10):
        dot(c, x, y + 15, 3.2, (0.12, 0.12, 0.14))
    for d in (-1, 1):
        oval(c, d * f.shoulders, y + 14, 13, 14, fill(f.cloth))


def _samurai(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    for i in range(4):
        c.drawLine(-60, y + 8 + 9 * i, 60, y + 8 + 9 * i, stroke(shade(f.cloth, 0.45), 2.6))
    c.drawLine(-17, y, -12, 95, stroke(GOLD, 2.4))
    c.drawLine(17, y, 12, 95, stroke(GOLD, 2.4))


def _viking(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    """A fur collar of broad tufts over the coloured shirt."""
    del n
    for i in range(-5, 6):
        x = i * f.shoulders / 5.2
        top = y + abs(i) * 1.6
        c.drawPath(
            smooth([(x - 6, top - 4), (x + 6, top - 4), (x + 2, top + 8), (x - 2, top + 8)]),
            fill((0.46, 0.34, 0.22) if i % 2 else (0.58, 0.45, 0.31)),
        )


def _knight(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    for d in (-1, 1):
        x = d * (f.shoulders - 5)
        oval(c, x, y + 13, 16, 13, glow_steel(x, y))


def glow_steel(x: float, y: float) -> skia.Paint:
    """A polished plate."""
    return fade((x - 10, y), (x + 10, y + 26), shade(STEEL, 1.35), shade(STEEL, 0.6))


def _doctor(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    """A white coat, open over a shirt of the named colour."""
    del f, n
    for d in (-1, 1):
        c.drawPath(poly([(d * 9, y - 6), (d * 70, y), (d * 70, 97), (d * 14, 97), (d * 12, y + 22)]), fill(WHITE))
    c.drawPath(smooth([(-12, y - 3), (-13, y + 12), (-8, y + 20)], False), stroke((0.12, 0.12, 0.14), 2.4))
    c.drawPath(smooth([(12, y - 3), (13, y + 12), (8, y + 20)], False), stroke((0.12, 0.12, 0.14), 2.4))
    dot(c, 8, y + 22, 3.6, STEEL)


def _chef(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    """A jacket of the named colour with a white neckerchief."""
    del f
    c.drawPath(
        smooth([(-n - 4, y - 4), (0, y + 3), (n + 4, y - 4), (n + 2, y + 6), (0, y + 13), (-n - 2, y + 6)]), fill(WHITE)
    )
    for dy in (17, 26):
        for x in (-8, 8):
            dot(c, x, y + dy, 2.0, WHITE)


def _clown(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    for i in range(-4, 5):
        dot(c, i * 7.5, y + 4 - abs(i) * 0.8, 6.2, WHITE if i % 2 else shade(f.cloth, 0.7))
    for dy in (17, 28):
        dot(c, 0, y + dy, 3.4, WHITE)


def _monk(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    c.drawPath(poly([(-5, y), (5, y), (1, y + 34), (-1, y + 34)]), fill(shade(f.cloth, 0.5)))


def _detective(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    c.drawPath(poly([(-9, y - 4), (0, y + 28), (9, y - 4)]), fill(WHITE))
    c.drawPath(poly([(-3, y + 3), (3, y + 3), (3.6, y + 26), (-3.6, y + 26)]), fill((0.2, 0.1, 0.1)))
    for d in (-1, 1):
        c.drawPath(poly([(d * 8, y - 7), (d * 25, y + 1), (d * 8, y + 30), (d * 2, y + 22)]), fill(shade(f.cloth, 0.6)))


def _woman(c: skia.Canvas, f: Figure, y: float, n: float) -> None:
    del n
    c.drawPath(smooth([(-13, y - 4), (0, y + 15), (13, y - 4)]), fill(shade(f.skin, 0.9)))
    for i in range(-2, 3):
        dot(c, i * 4, y + 8 - abs(i) * 1.9, 1.9, WHITE)


WEAR = {
    "warrior chief": _chief, "warrior": _warrior, "king": _royal, "queen": _royal, "pirate": _pirate, "astronaut": _astronaut,
    "robot": _robot, "samurai": _samurai, "viking": _viking, "knight": _knight, "doctor": _doctor, "chef": _chef, "clown": _clown,
    "monk": _monk, "detective": _detective, "woman": _woman,
}  # fmt: skip
