"""Suggests other words in the place of some: first what was tried there, then others of their kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from promptlab.expand.prompt_edits import replacements
from promptlab.expand.suggestions import alternatives
from promptlab.specs import Variant

__all__ = ["tried_instead"]

_CHOICE: Final = re.compile(r"(?<!\\)\{([^{}]*)\}")
_MOST: Final = 12
_LONGEST: Final = 80


def tried_instead(words: str, rewordings: Iterable[tuple[str | None, str | None]]) -> dict[str, int]:
    """Return what was tried in the place of ``words``, the most frequent first; then what never was.

    Args:
        rewordings: of variants that were made: their replacements, as a variant keeps them, and their templates.
    """
    asked = words.strip()
    found: Counter[str] = Counter()
    for replacement, template in rewordings:
        for old, new in replacements(Variant(prompt="", replacement=replacement)):
            pair = (old.strip(), new.strip())
            if asked in pair:
                found[pair[1] if asked == pair[0] else pair[0]] += 1
        for choice in _CHOICE.findall(template or ""):
            others = [text.strip() for text in choice.split("|")]
            if asked in others:
                found.update(others)
    del found[asked], found[""]
    tried = {text: count for text, count in found.most_common() if len(text) <= _LONGEST}
    never = {text: 0 for text in alternatives(asked) if text not in tried}
    return dict([*(tried | never).items()][:_MOST])
