"""Splits the wordings of a run into the words that all share, and those that each has alone.

So a grid says the common words once, and above each column what is different there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from promptlab.expand.word_diff import common_start, key, split_words
from promptlab.specs import Variant

__all__ = ["SharedWords", "shared_words"]

_LONGEST: Final = 60
"""Characters of a caption that are read above a picture at a glance; longer words stand beside a row, in full."""

_EDGES: Final = " ,;，、。"
_GAP: Final = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedWords:
    """Holds the words of several prompts, parted.

    Args:
        prompt: what all share, in one line, with ``…`` where they differ; empty where they share nothing.
        captions: what each has there; ``(nothing)`` where it has no words of its own.
    """

    prompt: str
    captions: tuple[str, ...]


def shared_words(variants: Sequence[Variant]) -> SharedWords | None:
    """Return the words of ``variants`` parted, or None where a caption would be too long, or say nothing.

    Prompts are compared from both ends; what lies between is what differs.
    """
    if len(variants) < 2 or len({variant.negative_prompt.strip() for variant in variants}) > 1:
        return None
    texts = [split_words(variant.prompt) for variant in variants]
    keys = [[*map(key, words)] for words in texts]
    head = common_start(keys)
    tail = common_start([words[head:][::-1] for words in keys])
    own = ["".join(words[head : len(words) - tail]).strip(_EDGES) for words in texts]
    if len(set(own)) < len(own) or max(map(len, own)) > _LONGEST:
        return None
    first = texts[0]
    before, after = "".join(first[:head]).strip(), "".join(first[len(first) - tail :]).strip()
    joint = "" if after[:1] in _EDGES else " "
    prompt = f"{before} {_GAP}{joint}{after}".strip() if before or after else ""
    return SharedWords(prompt=prompt, captions=tuple(words or "(nothing)" for words in own))
