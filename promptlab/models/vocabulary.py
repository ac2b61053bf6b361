"""Lists the words that the bundled model was trained to draw, so that prompts of others are told.

They are those of the captions it learned from (``training/captions.py``); a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["WORDS", "without_known_words"]

WORDS: Final = frozenset(
    """
    adult aged ancient android angry armor astonished astronaut backlight bare beard bearded black blue calm captain
    chef chief chieftain child clown cook cosmonaut dark detective doctor dramatic drawing elderly empress extremely
    eyes face facing fighter forward front frontal furious green grey guy happy hard hooded jester king knight lady
    laughing leopard light lighting little magician make makeup man middle monarch monk neutral old oldest orange
    paint panther photography physician pink pirate portrait profile purple quarter queen red rim robot samurai
    serious shadow shaven shocked side slightly smile smiling soft sorcerer spaceman spy stern striped stripes
    studio surprised teal teenage three tribal turned view viking war warrior white wizard woman yellow young
    youthful
    """.split()  # noqa: SIM905 - quotes would hide the words
)
"""Ages, roles, make-up, views, expressions, light and colours."""

_WORD: Final = re.compile(r"[a-z]{3,}")


def without_known_words(prompts: Iterable[str]) -> tuple[str, ...]:
    """Return the prompts of which the bundled model knows no word; an empty prompt is none of them."""
    return tuple(prompt for prompt in prompts if prompt.strip() and not WORDS & set(_WORD.findall(prompt.lower())))
