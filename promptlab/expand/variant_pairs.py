"""Pairs the wordings of one run with those of another. Pure.

Invariant: every wording of both sides is in some pair; one that nothing stands against is in a pair of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from promptlab.specs import Variant

__all__ = ["Pair", "origin", "paired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Names two wordings by their places: ``None`` for one that is only on the other side."""

    before: int | None
    after: int | None


def paired(before: Sequence[Variant], after: Sequence[Variant], *, varied: bool) -> tuple[Pair, ...]:
    """Pair wordings in the order of ``after``, then what is only in ``before``.

    Args:
        varied: whether ``after`` was varied from ``before``, so that the sources of its variants are places in it.
    """
    if not varied and len(after) == 1 < len(before):
        return tuple(Pair(before=pair.after, after=pair.before) for pair in paired(after, before, varied=False))
    pairs = []
    for place, variant in enumerate(after):
        known = variant if varied else dataclasses.replace(variant, source=None)
        pairs.append(Pair(before=origin(known, place, before), after=place))
    met = {pair.before for pair in pairs}
    return (*pairs, *(Pair(before=place, after=None) for place in range(len(before)) if place not in met))


def origin(variant: Variant, place: int, before: Sequence[Variant]) -> int | None:
    """Find in ``before`` what ``variant`` was varied from, as it says or, else, as is most likely.

    That is the only wording there, or the same words, the same label, the same place; ``None`` when there is none.
    """
    if variant.source is not None and variant.source < len(before):
        return variant.source
    if len(before) == 1:
        return 0
    for same in (
        lambda one: (one.prompt, one.negative_prompt) == (variant.prompt, variant.negative_prompt),
        lambda one: one.label == variant.label != "",
    ):
        found = next((at for at, one in enumerate(before) if same(one)), None)
        if found is not None:
            return found
    return place if place < len(before) else None
