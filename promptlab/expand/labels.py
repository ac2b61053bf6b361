"""Labels each variant by what tells it from its neighbours: new words, or what is not shared.

Invariant: :func:`labelled` gives every variant a label of its own, of one line and 1 to ``MAX_LABEL`` characters,
whatever the prompts are. Where words do not suffice, they are numbered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from promptlab.expand.prompt_edits import replacements
from promptlab.expand.word_diff import common_start, cut, key, matches, split_words
from promptlab.specs import Variant

__all__ = ["MAX_LABEL", "labelled", "numbered"]

MAX_LABEL: Final = 40
"""Characters; what fits above a small picture in two lines."""

_NOTHING: Final = "(nothing)"
_EMPTY: Final = "(empty)"
_EDGES: Final = " ,;，、。"

_MANY: Final = 5_000
"""Variants that are compared word by word; where there are more, what all begin with is left out, and that is all."""

_ROUNDS: Final = 8
"""How often variants that still look alike are compared among themselves."""

_LOOKED_AT: Final = 200
"""Words that are compared, from where the first of them differs; a label has room for far fewer."""


def labelled(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Give each of ``variants`` a label.

    Replaced words name what was put in (``(nothing)`` for an empty text); one prompt is named by its first words;
    several by their first words where these differ and little is shared, else by the words that are not shared.
    """
    labels = _by_replacement(variants)
    if labels is None or len(set(labels)) < len(labels):
        texts = [variant.prompt for variant in variants]
        if len(set(texts)) < len(texts):
            texts = [
                f"{one.prompt} not {one.negative_prompt}" if one.negative_prompt else one.prompt for one in variants
            ]
        labels = _by_words(texts)
    return tuple(replace(variant, label=label) for variant, label in zip(variants, numbered(labels), strict=True))


def _by_replacement(variants: Sequence[Variant]) -> list[str] | None:
    """Return the new words of the replacements that differ; ``None`` if some variant has none."""
    made = [[new for _, new in replacements(variant)] for variant in variants]
    if len({len(news) for news in made}) != 1 or not made[0]:
        return None
    places = [place for place, news in enumerate(zip(*made, strict=True)) if len(set(news)) > 1]
    places = places or list(range(len(made[0])))
    return [cut(" · ".join(news[place].strip() or _NOTHING for place in places), MAX_LABEL) for news in made]


def _by_words(texts: Sequence[str]) -> list[str]:
    if len(texts) > _MANY:
        least = min(texts)
        start = least.rfind(" ", 0, common_start([least, max(texts)])) + 1
        return [cut(("…" if start else "") + text[start:], MAX_LABEL) or _EMPTY for text in texts]
    words = [split_words(text) for text in texts]
    first = [cut(text, MAX_LABEL) or _EMPTY for text in texts]
    labels = list(first)
    groups = [list(range(len(texts)))] if len(texts) > 1 else []
    for round_ in range(_ROUNDS):
        for group in groups:
            rests, shared = _unshared([words[member] for member in group])
            if (
                not round_
                and len(set(first)) == len(first)
                and 2 * shared < min(len(words[member]) for member in group)
            ):
                return first
            for member, rest in zip(group, rests, strict=True):
                if rest is not None:
                    labels[member] = rest
        alike = _alike(labels)
        if alike == groups:
            break
        groups = alike
    return labels


def _alike(labels: Sequence[str]) -> list[list[int]]:
    """Return the places of labels that are equal, group by group."""
    places: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    return [group for group in places.values() if len(group) > 1]


def _unshared(texts: Sequence[Sequence[str]]) -> tuple[list[str | None], int]:
    """Return what each text has that others lack, as a label or ``None``, and how many words they share."""
    keys = [[*map(key, text)] for text in texts]
    head = common_start(keys)
    tail = common_start([list(reversed(words[head:])) for words in keys])
    inner = [words[head : len(words) - tail][:_LOOKED_AT] for words in keys]
    shared = inner[0]
    for words in inner[1:]:
        shared = [word for start, _, length in matches(shared, words) for word in shared[start : start + length]]
    rests = [
        _label(
            text[head : head + len(words)],
            words,
            shared,
            cut_before=head > 0,
            cut_after=head + len(words) + tail < len(text),
        )
        for text, words in zip(texts, inner, strict=True)
    ]
    return rests, head + len(shared) + tail


def _label(
    text: Sequence[str], keys: Sequence[str], shared: Sequence[str], *, cut_before: bool, cut_after: bool
) -> str | None:
    """Join the runs of ``text`` that are not in ``shared``, with ``…`` where they are cut."""
    runs: list[str] = []
    done = 0
    begins_inside = cut_before
    for _, start, length in matches(shared, keys):
        if run := "".join(text[done:start]).strip():
            begins_inside = begins_inside if runs else cut_before or done > 0
            runs.append(run.strip(_EDGES) or run)
        done = start + length
    if not runs:
        return None
    whole = " … ".join(runs)
    short = cut(whole, MAX_LABEL)
    if short == " ".join(whole.split()) and not cut_after:
        return short
    return cut(("…" if begins_inside else "") + whole + (" …" if cut_after else ""), MAX_LABEL)


def numbered(labels: Iterable[str]) -> list[str]:
    """Put a number behind each of ``labels`` that came before; what is empty says so."""
    labels = [label or _EMPTY for label in labels]
    taken = set(labels)
    met: Counter[str] = Counter()
    unique: list[str] = []
    for label in labels:
        met[label] += 1
        named = label
        while met[label] > 1:
            number = f" ({met[label]})"
            named = cut(label, MAX_LABEL - len(number)) + number
            if named not in taken:
                break
            met[label] += 1
        taken.add(named)
        unique.append(named)
    return unique
