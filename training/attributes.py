"""What a portrait can be told to be: closed sets, and one portrait's choice among them.

A choice is a function of its number alone, so that any picture of the data set can be drawn again from its index.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

__all__ = [
    "AGES", "BY_NAME", "COLOURS", "EXPRESSIONS", "FEMININE", "LIGHTS", "MAKEUPS", "ROLES", "STYLES", "VIEWS", "Attributes", "choose",
]  # fmt: skip

AGES: Final = ("child", "young", "adult", "old", "oldest")
ROLES: Final = (
    "warrior chief", "warrior", "king", "queen", "wizard", "pirate", "astronaut", "robot", "samurai",
    "viking", "knight", "doctor", "chef", "clown", "monk", "detective", "man", "woman",
)  # fmt: skip
COLOURS: Final = {
    "red": (0.82, 0.09, 0.11), "blue": (0.10, 0.26, 0.84), "green": (0.10, 0.56, 0.20), "yellow": (0.97, 0.84, 0.12),
    "orange": (0.96, 0.48, 0.06), "purple": (0.46, 0.14, 0.68), "pink": (0.98, 0.52, 0.72), "teal": (0.04, 0.62, 0.64),
    "white": (0.95, 0.95, 0.94), "black": (0.07, 0.07, 0.09),
}  # fmt: skip
MAKEUPS: Final = ("none", "stripes", "panther")
VIEWS: Final = ("front", "three-quarter", "profile")
EXPRESSIONS: Final = ("neutral", "serious", "smiling", "angry", "surprised")
LIGHTS: Final = ("soft", "rim", "dramatic")
STYLES: Final = ("photo", "drawing")
FEMININE: Final = frozenset({"queen", "woman"})
EITHER: Final = frozenset({"doctor", "warrior", "astronaut", "clown", "detective", "chef"})
BY_NAME: Final = {
    "role": ROLES, "age": AGES, "view": VIEWS, "makeup": MAKEUPS, "light": LIGHTS, "expression": EXPRESSIONS,
    "style": STYLES, "colour": tuple(COLOURS), "background": tuple(COLOURS),
}  # fmt: skip
"""Every attribute that a caption can name, with its values in the order of the classifier's outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """One portrait's choice.

    Args:
        colour: of clothes and paint; ``None`` leaves the role its own.
        background: ``None`` is one of a few quiet greys.
        side: -1 turns the head to the picture's left, 1 to its right.
        away: the eyes look past the camera.
        feminine: of roles that may be either; queens and women need not be told.
    """

    role: str = "man"
    age: str = "adult"
    view: str = "front"
    makeup: str = "none"
    light: str = "soft"
    expression: str = "neutral"
    style: str = "photo"
    colour: str | None = None
    background: str | None = None
    side: int = 1
    away: bool = False
    feminine: bool = False
    shaven: bool = False

    @property
    def bearded(self) -> bool:
        """Men grow beards from adult age on, unless they shave; robots never do."""
        return self.age in AGES[2:] and not (
            self.feminine or self.shaven or self.role in FEMININE or self.role == "robot"
        )


def choose(index: int) -> Attributes:
    """The attributes of picture ``index``; warriors, profiles and make-up come often, since the story asks for them."""
    r = random.Random(1_000_003 * index + 17)
    role = r.choices(ROLES, [4.0, 2.0] + [1.2] * 16)[0]
    fighter = role in ("warrior chief", "warrior")
    colour = r.choice(list(COLOURS)) if r.random() < 0.7 else None
    others = [name for name in COLOURS if name != colour]
    return Attributes(
        role=role,
        age=r.choices(AGES, [1, 1.2, 1.4, 1.4, 1.2])[0],
        makeup=r.choices(MAKEUPS, [3, 2.5, 3] if fighter else [5, 2, 2])[0],
        colour=colour,
        background=r.choice(others) if r.random() < 0.7 else None,
        view=r.choices(VIEWS, [3.5, 3, 3.5])[0],
        side=r.choice([-1, 1]),
        away=r.random() < 0.3,
        expression=r.choices(EXPRESSIONS, [3, 3, 1.8, 1.4, 1.4])[0],
        light=r.choices(LIGHTS, [5, 3, 2])[0],
        style=r.choices(STYLES, [8, 1])[0],
        feminine=role in FEMININE or (role in EITHER and r.random() < 0.35),
        shaven=r.random() < 0.3,
    )
