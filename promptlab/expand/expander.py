"""Expands a template's tree: counts what it makes, makes all of it in order, or draws some.

Invariant: :meth:`Expander.measure` comes first. It visits every choice and every list once, multiplies instead of
making, and refuses whatever goes in circles or too deep, so that what follows is bounded by what it found.
"""

from __future__ import annotations

import bisect
import difflib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, UnknownValue, ref
from promptlab.expand.gaps import Pieces, gap, is_blank, merge
from promptlab.expand.grammar import MAX_DEPTH, Body, Choice, ListName, Node, Option, read_entry

if TYPE_CHECKING:
    import random

__all__ = ["COUNTED", "Expander", "Lists", "Size"]

COUNTED: Final = 10**15
"""Where counting stops: a template that makes as many or more is said to make this many."""

Lists = Mapping[str, Sequence[str]]
"""Named lists. Each entry is a template itself, and may begin with a weight: ``2::old``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Counts prompts, the length that none exceeds (both stop at ``COUNTED``), and levels of choices."""

    count: int
    longest: int
    height: int


class Expander:
    """Expands templates with one set of lists; each list is read once."""

    def __init__(self, lists: Lists | None) -> None:
        self._lists = lists or {}
        self._choices: dict[str, Choice] = {}
        self._sizes: dict[str, Size] = {}
        self._made: dict[str, list[Pieces]] = {}
        self._scales: dict[int, list[float]] = {}
        self._plain: dict[str, bool] = {}
        self._within: list[str] = []
        self._depth = 0

    def measure(self, body: Body) -> Size:
        """Count what ``body`` makes; read every list, so that :meth:`expanded` and :meth:`drawn` cannot fail.

        Raises:
            InputError: for a list that is unknown, empty, broken, contains itself or nests too deeply.
        """
        count, longest, height = 1, 0, 0
        for node in body:
            inner = self._measure_node(node)
            count, longest = min(count * inner.count, COUNTED), min(longest + inner.longest, COUNTED)
            height = max(height, inner.height)
        return Size(count=count, longest=longest, height=height)

    def _measure_node(self, node: Node) -> Size:
        if isinstance(node, str):
            return Size(count=1, longest=len(node), height=0)
        if isinstance(node, ListName):
            plain = self._plain_text(node)
            return self._measure_list(node) if plain is None else Size(count=1, longest=len(plain), height=0)
        self._depth += 1
        sizes = [self.measure(option.body) for option in node.options]
        self._depth -= 1
        count = _picks([size.count for size in sizes], node.least, node.most)
        lengths = sorted((size.longest for size in sizes), reverse=True)[: node.most]
        longest = sum(lengths) + len(node.separator) * max(node.most - 1, 0) + 1  # a gap takes room, too
        return Size(count=count, longest=min(longest, COUNTED), height=1 + max(size.height for size in sizes))

    def _plain_text(self, node: ListName) -> str | None:
        """Return the words that ``node`` is where no list is meant: with blanks, and like no list's name."""
        if node.text is None:
            return None
        if node.name not in self._plain:
            self._plain[node.name] = not difflib.get_close_matches(node.name, self._lists, 1)
        return node.text if self._plain[node.name] else None

    def _measure_list(self, node: ListName) -> Size:
        name = node.name
        if name in self._within:
            circle = " → ".join((*self._within[self._within.index(name) :], name))
            raise node.place.error(f"goes in a circle: {circle}")
        if name not in self._sizes:
            if self._depth >= MAX_DEPTH:
                raise _too_deep(node)
            self._within.append(name)
            self._sizes[name] = self._measure_node(self._choice(node))
            self._within.pop()
        if self._sizes[name].height > MAX_DEPTH:  # met from below, where every list was near the top
            raise _too_deep(node)
        return self._sizes[name]

    def _choice(self, node: ListName) -> Choice:
        if node.name not in self._choices:
            if node.name not in self._lists:
                place = node.place
                raise UnknownValue(
                    f"{ref(place.what)}, column {place.at + 1}: list",
                    node.name,
                    self._lists,
                    hint="\\_\\_ or \\$\\{ if the characters themselves are meant",
                )
            entries = self._lists[node.name]
            if not entries:
                raise node.place.error(f"names the list {node.name}, which is empty")
            options = tuple(
                read_entry(entry, what=f"list '{node.name}', entry {number}") for number, entry in enumerate(entries, 1)
            )
            self._choices[node.name] = Choice(options=options)
        return self._choices[node.name]

    def expanded(self, body: Body) -> Iterator[Pieces]:
        """Yield everything that ``body`` makes, the leftmost choice changing slowest."""
        return map(merge, itertools.product(*map(self._expanded_node, body)))

    def _expanded_node(self, node: Node) -> list[Pieces]:
        if isinstance(node, str):
            return [(node,)]
        if isinstance(node, ListName):
            if (plain := self._plain_text(node)) is not None:
                return [(plain,)]
            if node.name not in self._made:
                self._made[node.name] = self._expanded_node(self._choice(node))
            return self._made[node.name]
        options = [[_filled(pieces) for pieces in self.expanded(option.body)] for option in node.options]
        if node.least == node.most == 1:
            return [pieces for option in options for pieces in option]
        return [
            _joined(picked, node.separator)
            for size in range(node.least, node.most + 1)
            for chosen in itertools.combinations(options, size)
            for picked in itertools.product(*chosen)
        ]

    def drawn(self, body: Body, generator: random.Random) -> Pieces:
        """Draw one of what ``body`` makes, by weight; the leftmost choice is drawn first."""
        return merge([self._drawn_node(node, generator) for node in body])

    def _drawn_node(self, node: Node, generator: random.Random) -> Pieces:
        if isinstance(node, str):
            return (node,)
        if isinstance(node, ListName):
            if (plain := self._plain_text(node)) is not None:
                return (plain,)
            node = self._choice(node)
        size = node.least
        if node.most > node.least:
            size += int(generator.random() * (node.most - node.least + 1))
        options = [self._one_of(node, generator)] if size == 1 else _weighted(node.options, size, generator)
        picked = [_filled(self.drawn(option.body, generator)) for option in options]
        return picked[0] if size == 1 else _joined(picked, node.separator)

    def _one_of(self, choice: Choice, generator: random.Random) -> Option:
        """Draw one option by weight, in logarithmic time: a list may be long, and drawn from often."""
        scale = self._scales.get(id(choice))
        if scale is None:
            scale = self._scales[id(choice)] = list(itertools.accumulate(option.weight for option in choice.options))
        return choice.options[min(bisect.bisect_right(scale, generator.random() * scale[-1]), len(scale) - 1)]


def _too_deep(node: ListName) -> InputError:
    return node.place.error("nests too deeply", allowed=f"up to {MAX_DEPTH} braces and lists within each other")


def _filled(pieces: Pieces) -> Pieces:
    return gap("".join(pieces)) if is_blank(pieces) else pieces


def _joined(picked: Sequence[Pieces], separator: str) -> Pieces:
    """Join picks by the separator between them; an empty one takes its separator along."""
    parts: list[Pieces] = []
    for pieces in picked:
        if not is_blank(pieces):
            parts += ((separator,), pieces) if parts else (pieces,)
    return merge(parts) if parts else gap()


def _picks(counts: Sequence[int], least: int, most: int) -> int:
    """Count the prompts of picking ``least`` to ``most`` options that make ``counts`` prompts each.

    The sum of elementary symmetric polynomials, built option by option: ``ways[k]`` is that of degree k so far. Where
    ways are too many to matter it is not computed, which leaves few picks, or few left out.
    """
    total = len(counts)
    if least == most == 1:
        return min(sum(counts), COUNTED)
    if any(
        math.comb(total, min(size, total - size, 60)) >= COUNTED for size in {least, most, _middle(total, least, most)}
    ):
        return COUNTED
    leave_out = least > total - most
    lowest, highest = (total - most, total - least) if leave_out else (least, most)
    ways = [1] + [0] * highest
    for count in counts:
        taken, left = (1, count) if leave_out else (count, 1)
        for size in range(highest, -1, -1):
            ways[size] = min(ways[size] * left + (ways[size - 1] * taken if size else 0), COUNTED)
    return min(sum(ways[lowest:]), COUNTED)


def _middle(total: int, least: int, most: int) -> int:
    return min(max(total // 2, least), most)


def _weighted(options: Sequence[Option], size: int, generator: random.Random) -> list[Option]:
    """Draw ``size`` different options by weight, in the order they are written."""
    left = list(range(len(options)))
    taken: list[int] = []
    for _ in range(size):
        at = generator.random() * sum(options[index].weight for index in left)
        for place, index in enumerate(left):
            at -= options[index].weight
            if at < 0 or place == len(left) - 1:
                taken.append(left.pop(place))
                break
    return [options[index] for index in sorted(taken)]
