"""Which value wins, and which two pictures to show next: what votes and stars come to.

Stars become votes: of pictures that differ in what is asked about and agree in what else matters (seed and prompt,
where it is about a setting; seed and setting, where it is about words), the one with more stars was liked better. *n*
such pictures give n(n-1)/2 comparisons but only n-1 independent ones, so each counts 2/n.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final
from zlib import crc32

from promptlab.errors import UnknownValue
from promptlab.lab.preferences.bradley_terry import Contest, Ranking, rank
from promptlab.store.rated_images import RatedImage, RatedImages

__all__ = ["FIELDS", "Leaderboard", "Stars", "best", "contender", "next_pair", "ranked"]

_OF: Final[Mapping[str, Callable[[RatedImage], object]]] = {
    "scheduler": lambda one: one.scheduler or "default",
    "vae": lambda one: one.vae or "default",
    "lora": lambda one: one.lora or "none",
    "dtype": lambda one: one.dtype or "default",
    "steps": lambda one: one.steps,
    "guidance": lambda one: one.guidance,
    "model": lambda one: one.model,
    "variant": lambda one: one.label or one.prompt,
    "seed": lambda one: one.seed,
}

FIELDS: Final = (*_OF, "word")

_WORD: Final = re.compile(r"\w[\w'’-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stars:
    """The mean of the stars that a value's pictures were given, and how many were."""

    mean: float
    rated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """What came of one question: ``by`` a field, the ranking of its values, and their stars."""

    by: str
    ranking: Ranking
    stars: Mapping[str, Stars]


def best(by: str, said: RatedImages) -> Leaderboard:
    """Which value of ``by`` is liked best.

    Args:
        by: one of :data:`FIELDS`.

    Raises:
        UnknownValue: for any other field.
    """
    if by not in FIELDS:
        raise UnknownValue("by", by, FIELDS, hint="promptlab best --by scheduler")
    rated: dict[str, list[int]] = defaultdict(list)
    for one in said.pictures.values():
        for name in _traits(by, one) if one.stars is not None else ():
            rated[name].append(one.stars or 0)
    stars = {name: Stars(mean=sum(each) / len(each), rated=len(each)) for name, each in sorted(rated.items())}
    return Leaderboard(by=by, ranking=rank([*_voted(by, said), *_starred(by, said)]), stars=stars)


def _traits(by: str, one: RatedImage) -> frozenset[str]:
    if by == "word":
        return frozenset(_WORD.findall(one.prompt.casefold()))
    value = _OF[by](one)
    return frozenset({f"{value:g}" if isinstance(value, float) else str(value)})


def _alike(by: str, one: RatedImage) -> Hashable:
    """What two pictures have to share for their stars to say something about ``by``."""
    if by == "seed":
        return one.prompt, one.setting
    return (one.seed, one.setting) if by in ("word", "variant") else (one.seed, one.prompt)


def _voted(by: str, said: RatedImages) -> Iterator[Contest]:
    for vote in said.votes:
        winner, loser = (_traits(by, said.pictures[each]) for each in (vote.winner, vote.loser))
        yield Contest(winner=winner - loser, loser=loser - winner, tie=vote.tie)


def _starred(by: str, said: RatedImages) -> Iterator[Contest]:
    groups: dict[Hashable, Counter[tuple[frozenset[str], int]]] = defaultdict(Counter)
    for one in said.pictures.values():
        if one.stars is not None:
            groups[_alike(by, one)][_traits(by, one), one.stars] += 1
    for group in groups.values():
        weight = 2 / group.total()
        for ((mine, stars), many), ((other, others), more) in combinations(group.items(), 2):
            winner, loser = (mine, other) if stars >= others else (other, mine)
            yield Contest(winner=winner - loser, loser=loser - winner, tie=stars == others, weight=weight * many * more)


def contender(one: RatedImage, *, runs: int, variants: int) -> str:
    """What stands against others in a comparison: the setting of its run and its wording, as far as they differ."""
    values = [value for _, value in one.sweep_values] if runs > 1 else []
    if runs > 1 and not values:
        values = [f"run {one.run_id}"]
    return " · ".join([*values, *([one.label or one.prompt] if variants > 1 or not values else [])])


def ranked(said: RatedImages, names: Mapping[int, str]) -> Ranking:
    """Contenders by Bradley and Terry, from the votes between their pictures."""
    return rank(
        [
            Contest(winner=frozenset({names[one.winner]}), loser=frozenset({names[one.loser]}), tie=one.tie)
            for one in said.votes
        ]
    )


def next_pair(said: RatedImages, names: Mapping[int, str]) -> tuple[RatedImage, RatedImage] | None:
    """Two pictures of one seed that were not compared yet, about which an answer tells most; ``None`` where none is.

    Those of contenders that met least often, and of these the ones that are closest in strength. Which stands first
    is as good as drawn by lot, so that a liking for one side favours nobody.
    """
    met = Counter(frozenset({names[one.winner], names[one.loser]}) for one in said.votes)
    done = {frozenset({one.winner, one.loser}) for one in said.votes}
    strength = {one.name: one.strength for one in ranked(said, names).standings}
    by_seed: dict[int, list[RatedImage]] = defaultdict(list)
    for one in said.pictures.values():
        by_seed[one.seed].append(one)

    def informative(pair: tuple[RatedImage, RatedImage]) -> tuple[object, ...]:
        first, second = (names[one.source] for one in pair)
        apart = abs(strength.get(first, 0.0) - strength.get(second, 0.0))
        return met[frozenset({first, second})], apart, pair[0].seed, pair[0].source, pair[1].source

    pair = min(_open_pairs(by_seed.values(), names, done), key=informative, default=None)
    if pair is None:
        return None
    swapped = crc32(f"{pair[0].ref} {pair[1].ref}".encode()) % 2
    return (pair[1], pair[0]) if swapped else pair


def _open_pairs(
    groups: Iterable[Sequence[RatedImage]], names: Mapping[int, str], done: set[frozenset[int]]
) -> Iterator[tuple[RatedImage, RatedImage]]:
    for group in groups:
        for first, second in combinations(sorted(group, key=lambda one: one.source), 2):
            differ = names[first.source] != names[second.source]
            if differ and frozenset({first.source, second.source}) not in done:
                yield first, second
