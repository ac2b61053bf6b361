"""Judges the first line of a docstring by its first word: a verb, or not."""

from __future__ import annotations

from pathlib import Path

VERBS = frozenset(Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").split())
"""The verbs of ``verbs.txt``, in the imperative: add the one you miss, it keeps nouns out, not words."""

IRREGULAR = {"be": "is", "do": "does", "go": "goes", "have": "has"}


def third_person(verb: str) -> str:
    """Return the third person of a verb in the imperative: ``carries`` of ``carry``, ``matches`` of ``match``."""
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    if verb.endswith(("s", "x", "z", "ch", "sh")):
        return f"{verb}es"
    return f"{verb}s"


def begins_with_verb(line: str) -> bool:
    """Return whether the first word of ``line`` is a verb of :data:`VERBS`, in the imperative or the third person."""
    words = line.split()
    first = words[0].rstrip(",:;") if words else ""
    return first[:1].isupper() and first.lower() in _FORMS


_FORMS = VERBS | {third_person(verb) for verb in VERBS}
