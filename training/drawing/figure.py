"""Who is drawn: proportions and colours that follow from the attributes and one seed.

The unit is a pixel at scale 1; the head's centre is the origin, and a profile looks towards +x (the canvas is mirrored for the other side).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from training.attributes import AGES, COLOURS, FEMININE, Attributes
from training.drawing.tools import Colour, mix

__all__ = ["Figure", "figure"]

SKINS: tuple[Colour, ...] = (
    (0.96, 0.80, 0.69),
    (0.90, 0.70, 0.56),
    (0.80, 0.58, 0.43),
    (0.66, 0.44, 0.31),
    (0.52, 0.34, 0.24),
)
HAIRS: tuple[Colour, ...] = ((0.11, 0.09, 0.08), (0.24, 0.14, 0.08), (0.42, 0.24, 0.12), (0.62, 0.28, 0.10))
OWN: dict[str, Colour] = {
    "king": (0.62, 0.10, 0.16), "queen": (0.48, 0.16, 0.55), "wizard": (0.24, 0.22, 0.62), "pirate": (0.45, 0.12, 0.12),
    "samurai": (0.55, 0.10, 0.10), "viking": (0.40, 0.30, 0.20), "knight": (0.22, 0.28, 0.50), "monk": (0.45, 0.28, 0.14),
    "detective": (0.52, 0.43, 0.30), "warrior chief": (0.50, 0.28, 0.14), "warrior": (0.42, 0.28, 0.16),
    "clown": (0.92, 0.40, 0.15), "doctor": (0.25, 0.55, 0.75), "chef": (0.75, 0.15, 0.15), "man": (0.24, 0.32, 0.42),
    "woman": (0.58, 0.20, 0.30), "astronaut": (0.90, 0.45, 0.10), "robot": (0.15, 0.65, 0.75),
}  # fmt: skip
INKS: tuple[Colour, ...] = ((0.10, 0.08, 0.09), (0.62, 0.08, 0.08), (0.12, 0.18, 0.50))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One drawn person.

    Args:
        age: 0 (child) … 4 (oldest).
        w, h: half the head's width and height.
        jaw: the chin's width as a share of the head's.
        yaw: radians that the head is turned by; 0 for a profile, which has outlines of its own.
        eye, lid: size of the eyes, and how far they are open.
        gaze: sideways shift of the irises.
        beard: 0 (none) … 1.2 (long).
    """

    a: Attributes
    age: int
    feminine: bool
    w: float
    h: float
    jaw: float
    yaw: float
    profile: bool
    skin: Colour
    hair: Colour
    cloth: Colour
    ink: Colour
    iris: Colour
    eye: float
    lid: float
    gaze: float
    beard: float
    long_hair: bool
    shoulders: float

    def x(self, angle: float, y: float = 0.0) -> float:
        """Where a feature at ``angle`` from the nose lies on the turned head, at height ``y``."""
        return self.w * math.sin(angle + self.yaw) * math.sqrt(max(0.15, 1 - (y / self.h) ** 2 * 0.45))

    @property
    def sides(self) -> tuple[int, ...]:
        """The halves of the face that can be seen."""
        return (1,) if self.profile else (-1, 1)


def figure(a: Attributes, r: random.Random) -> Figure:
    """Proportions for ``a``; what captions cannot say is drawn from ``r``, in an order that the age does not change."""
    age = AGES.index(a.age)
    u = r.uniform
    feminine = a.feminine or a.role in FEMININE
    skin, hair, ink, iris = (
        r.choice(SKINS),
        r.choice(HAIRS),
        r.choice(INKS),
        r.choice(((0.24, 0.14, 0.07), (0.16, 0.32, 0.52))),
    )
    w = (20.5, 19.8, 20.8, 20.8, 20.2)[age] + u(-0.6, 0.6) - (1 if feminine else 0)
    h = (22.5, 25.5, 26.8, 26.8, 27)[age] + u(-0.6, 0.6)
    jaw = (0.84, 0.70, 0.86, 0.84, 0.76)[age] - (0.1 if feminine else 0)
    turned = a.side * u(0.50, 0.60)
    yaw = {"front": u(-0.06, 0.06), "three-quarter": turned, "profile": 0.0}[a.view]
    gaze = a.side * 1.7 if a.away else 0.0
    long_hair = feminine or u(0, 1) < (0.6 if a.role in ("warrior chief", "viking", "samurai", "wizard") else 0.1)
    return Figure(
        a=a, age=age, feminine=feminine, w=w, h=h, jaw=jaw, yaw=yaw, profile=a.view == "profile",
        skin=mix(skin, (0.88, 0.74, 0.65), (0, 0, 0, 0.15, 0.3)[age]),
        hair=(hair, hair, hair, mix(hair, (0.62, 0.62, 0.63), 0.85), (0.95, 0.95, 0.96))[age],
        cloth=COLOURS[a.colour] if a.colour else OWN[a.role],
        ink=COLOURS[a.colour] if a.colour else ink, iris=iris,
        eye=(1.42, 1.18, 1.06, 1.0, 0.95)[age],
        lid={"neutral": 1.0, "serious": 0.68, "smiling": 0.85, "angry": 0.8, "surprised": 1.5}[a.expression],
        gaze=gaze, beard=_beard(a, age), long_hair=long_hair,
        shoulders=(35, 43, 50, 49, 46)[age] + u(-2, 2) - (4 if feminine else 0),
    )  # fmt: skip


def _beard(a: Attributes, age: int) -> float:
    """Beards tell the ages of those who grow them; short ones fit into a helmet."""
    length = (0.0, 0.0, 0.3, 0.6, 1.05)[age] if a.bearded else 0.0
    return min(length, 0.45) if a.role == "astronaut" else length
