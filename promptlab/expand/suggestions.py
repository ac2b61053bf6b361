"""Suggests a change of words that works as it is typed, for what a command says next.

A run is followed by one seed with other words. Which words is the user's to say; but a line that can be pasted shows
how, so it names words that the prompts have, and others that mean something in their place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

__all__ = ["alternatives", "suggested_edit"]

_ALTERNATIVES: Final = MappingProxyType(
    {
        "old": "{young|middle aged}", "young": "{old|middle aged}", "oldest": "{youngest|middle aged}",
        "red": "{blue|green}", "blue": "{red|yellow}", "green": "{red|blue}", "yellow": "{blue|green}",
        "black": "{white|red}", "white": "{black|blue}", "golden": "{silver|blue}",
        "man": "{woman|boy}", "woman": "{man|girl}", "king": "{queen|knight}", "queen": "{king|empress}",
        "smiling": "{serious|angry}", "serious": "{smiling|surprised}", "angry": "{smiling|serious}",
        "small": "{large|tiny}", "large": "{small|huge}", "big": "{small|huge}",
        "day": "{night|dawn}", "night": "{day|dusk}", "summer": "{winter|autumn}", "winter": "{summer|autumn}",
        "snow": "{rain|sand}", "rain": "{snow|fog}", "forest": "{desert|city}", "desert": "{forest|city}",
        "profile": "{front view|three quarter view}", "photo": "{drawing|oil painting}",
        "portrait": "{drawing|photo}", "painting": "{photo|drawing}",
    }
)  # fmt: skip
"""Words that prompts often have, and others of their kind: ages and colours first, as one varies them first."""

_WORD: Final = re.compile(r"[a-z]+")
_LIGHTS: Final = (", rim light", ", soft light")


def alternatives(words: str) -> tuple[str, ...]:
    """Return other words of their kind that may stand in the place of ``words``, if any are known."""
    found = _ALTERNATIVES.get(words.strip().lower(), "{}")
    return tuple(filter(None, found.strip("{}").split("|")))


def suggested_edit(prompts: Sequence[str]) -> tuple[str, str]:
    """Return a field of a rerun and its value, which changes all of ``prompts``.

    Returns:
        ``("replace", "old=>{young|middle aged}")`` where every prompt has such a word; ``("append", ", rim light")``
        elsewhere.
    """
    words = [set(_WORD.findall(prompt.lower())) & set(prompt.split()) for prompt in prompts]
    shared = set.intersection(*words) if words else set()
    for word, others in _ALTERNATIVES.items():
        if word in shared:
            return "replace", f"{word}=>{others}"
    light = next((light for light in _LIGHTS if not any(light in prompt for prompt in prompts)), _LIGHTS[0])
    return "append", light
