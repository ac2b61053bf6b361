"""Makes many variants of one: switches words on and off, and puts words in every order.

They are AUTOMATIC1111's prompt matrix (``scripts/prompt_matrix.py``) and prompt order (``scripts/xyz_grid.py``), in
this house's order: the first thing written changes slowest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from promptlab.errors import InputError, one_line
from promptlab.expand.fields import where_typed
from promptlab.expand.prompt_edits import appended, distinct, room, space
from promptlab.expand.templates import Lists, parse
from promptlab.specs import Variant

__all__ = ["in_every_order", "switched"]

_COMMA: Final = ", "
_MOST_PARTS: Final = 8
"""8! = 40,320 orders; of nine there are more than a run can have."""


def switched(
    variants: Sequence[Variant], fragments: Sequence[str], *, lists: Lists | None = None, key: str = "fragments"
) -> tuple[Variant, ...]:
    """Put every combination of ``fragments`` behind each variant: none of them first, all of them last.

    Args:
        variants: what they are put behind, with a comma and a blank between.
        fragments: templates; n of them give 2ⁿ variants each, more where they stand for more.
        lists: named lists.
        key: what errors call ``fragments``.

    Raises:
        InputError: for what is no template, or when two variants come out the same, or too many.
    """
    made = tuple(variants)
    for fragment in fragments:
        what = where_typed(fragment, key)
        room(2 * len(made), what)
        parse(fragment, what=what)  # its own columns are what an error should point at
        behind = appended(made, _COMMA + fragment, what=what, lists=lists)
        each = len(behind) // max(len(made), 1)
        room(len(made) + len(behind), what)
        rows: list[Variant] = []
        for place, variant in enumerate(made):
            on = behind[place * each : (place + 1) * each]
            rows += [variant, *(on if variant.prompt.strip() else map(_without_comma, on))]
        made = distinct(rows, what)
    return made


def in_every_order(
    variants: Sequence[Variant], parts: Sequence[str] | None, *, what: str = "order"
) -> tuple[Variant, ...]:
    """Put ``parts`` of each prompt in every order, at the places where they stand.

    Args:
        variants: all of their prompts have all the parts.
        parts: two to eight texts; ``None`` takes what stands between the commas of each prompt.
        what: where it was asked for, for what errors say.

    Raises:
        InputError: for a part that is not in a prompt or overlaps another, and for too many parts.
    """
    made: list[Variant] = []
    for variant in variants:
        spans = _between_commas(variant.prompt) if parts is None else _spans(variant.prompt, parts, what)
        if len(spans) > _MOST_PARTS:
            problem = f"puts {len(spans)} parts in every order, too many"
            raise InputError(what, problem=problem, allowed=f"up to {_MOST_PARTS} parts")
        orders_count = math.factorial(len(spans))
        room(len(made) + orders_count, what)
        space((len(made) + orders_count) * len(variant.prompt), what)
        prompt = variant.prompt
        words = [prompt[start:end] for start, end in spans]
        spans = sorted(spans)
        ends = [0, *(end for _, end in spans)]
        starts = [*(start for start, _ in spans), len(prompt)]
        between = [prompt[end:start] for end, start in zip(ends, starts, strict=True)]
        orders = {
            "".join(itertools.chain(*zip(between, order, strict=False), between[-1:])): None
            for order in itertools.permutations(words)
        }
        made += [variant if text == prompt else replace(variant, prompt=text, label="") for text in orders]
    return distinct(made, what)


def _without_comma(variant: Variant) -> Variant:
    return replace(variant, prompt=variant.prompt.strip().removeprefix(",").lstrip())


def _between_commas(prompt: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = 0
    for piece in prompt.split(","):
        if core := piece.strip():
            first = start + piece.index(core)
            spans.append((first, first + len(core)))
        start += len(piece) + 1
    return spans


def _spans(prompt: str, parts: Sequence[str], what: str) -> list[tuple[int, int]]:
    """Find where each part stands: between two commas where it does, else wherever it is found first."""
    whole = {prompt[start:end]: (start, end) for start, end in reversed(_between_commas(prompt))}
    spans: list[tuple[int, int]] = []
    for part in parts:
        start = prompt.find(part)
        if start < 0 or not part:
            shown = one_line(prompt, limit=200)
            raise InputError(
                what, str(part), problem=f"is not in the prompt '{shown}'", allowed="parts of every prompt"
            )
        spans.append(whole.get(part, (start, start + len(part))))
    for (first, last), (other, _) in itertools.pairwise(sorted(spans)):
        if other < last:
            raise InputError(
                what, prompt[first:last], problem="overlaps another part", allowed="parts beside each other"
            )
    return spans
