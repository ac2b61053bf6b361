"""Draws some variants instead of all, the same ones for the same seed in every version.

Invariant: only ``random.Random(seed).random()`` is used, the one method whose sequence Python's documentation promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from promptlab.errors import InputError
from promptlab.expand.templates import MAX_PROMPTS, Lists, Template

__all__ = ["drawn", "sample_prompts"]

Item = TypeVar("Item")

_COUNTED_OUT: Final = 4096
"""Templates that make at most so many prompts are made in full, to know how many of them differ."""


def drawn(items: Sequence[Item], n: int, seed: int, *, what: str = "sample") -> tuple[Item, ...]:
    """Draw ``n`` of ``items``, each as likely, in the order they had.

    Raises:
        InputError: when there are not so many.
    """
    import random

    if not 1 <= n <= len(items):
        raise InputError(what, n, problem="is too many" if n > 0 else "is too few", allowed=f"1 to {len(items):,}")
    generator = random.Random(seed)  # noqa: S311  (it is to be repeatable)
    places = list(range(len(items)))
    for at in range(n):
        other = at + int(generator.random() * (len(places) - at))
        places[at], places[other] = places[other], places[at]
    return tuple(items[place] for place in sorted(places[:n]))


def sample_prompts(
    templates: Sequence[Template], n: int, seed: int, lists: Lists | None = None
) -> tuple[tuple[str, ...], ...]:
    """Draw ``n`` prompts of all templates together; all of them, where there are no more.

    The ``n`` are shared out evenly; a template that has fewer leaves its share to the others. Within a template they
    are drawn by weight, see :meth:`promptlab.expand.templates.Template.sample`: one template alone gives what it gives.

    Args:
        templates: one or more.
        n: 1 to ``MAX_PROMPTS``.
        seed: 0 or more; the template at place i draws with ``seed + i``.
        lists: named lists.

    Raises:
        InputError: as :meth:`promptlab.expand.templates.Template.sample`.
    """
    counts = [_differing(template, lists) for template in templates]
    shares = _shares(counts, n, seed)
    return tuple(
        ()
        if not share
        else tuple(dict.fromkeys(template.expand(lists)))
        if share == count
        else template.sample(share, seed + place, lists)
        for place, (template, count, share) in enumerate(zip(templates, counts, shares, strict=True))
    )


def _differing(template: Template, lists: Lists | None) -> int:
    count = template.count(lists)
    return len(set(template.expand(lists))) if count <= _COUNTED_OUT else count


def _shares(counts: Sequence[int], n: int, seed: int) -> list[int]:
    shares = [0] * len(counts)
    taking = range(len(counts)) if n >= len(counts) else drawn(range(len(counts)), n, seed)
    left = min(n, MAX_PROMPTS)
    for done, place in enumerate(sorted(taking, key=lambda place: counts[place])):
        shares[place] = min(counts[place], left // (len(taking) - done))
        left -= shares[place]
    return shares
