"""Ranks from pairwise comparisons by Bradley and Terry's model (Biometrika 39, 1952), with intervals.

Each side of a comparison is a set of traits with a strength each (one trait, or the words that only this side has),
and the side whose strengths sum to *d* more wins with probability 1 / (1 + exp(-d)). Strengths are those that are
likeliest, under a normal prior around 0 with a variance of 2: with the few votes that people have patience for, a trait
that never lost would otherwise be infinitely strong. Intervals come from the curvature at that point. Pure: numbers in,
numbers out.

A winner is only named when there are :data:`ENOUGH` votes at least *and* the 95 % interval of its lead excludes none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["ENOUGH", "Contest", "Ranking", "Standing", "rank"]

ENOUGH: Final = 10
"""Votes without which nothing is called a winner, however clear they are."""

PRIOR: Final = 0.5
"""One over the prior's variance. Ten wins of ten are then a clear lead, eight of ten are not: as by a sign test."""

_95: Final = 1.959964
"""Standard deviations to either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Represents one comparison, or ``weight`` equal ones.

    Args:
        winner, loser: the traits of either side, without those that both have.
        tie: neither was liked better; counts as half a win for each.
    """

    winner: frozenset[str]
    loser: frozenset[str]
    tie: bool = False
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Describes the strength of one trait, and its record.

    Args:
        name: the trait.
        strength: on the scale of log-odds; 0 is the average.
        share, low, high: how often it is liked better than the average other, 0 … 1, and its 95 % interval.
        won, lost, tied: the comparisons it was in; fractions, where stars were counted as votes.
    """

    name: str
    strength: float
    share: float
    low: float
    high: float
    won: float
    lost: float
    tied: float


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Lists all traits, the strongest first.

    Args:
        standings: see :class:`Standing`.
        votes: how many there were.
        lead: the first's over the second, or over 0 where traits come in sets: log-odds with its 95 % interval.
    """

    standings: tuple[Standing, ...]
    votes: float
    lead: tuple[float, float, float] | None

    @cached_property
    def winner(self) -> str | None:
        """Return the strongest trait, if there were enough votes to call it that."""
        clear = self.votes >= ENOUGH and self.lead is not None and self.lead[1] > 0
        return self.standings[0].name if clear else None


def rank(contests: Sequence[Contest], *, prior: float = PRIOR) -> Ranking:
    """Rank all traits by their most likely strengths.

    Args:
        contests: sides with the same traits are left out: they say nothing.
        prior: see :data:`PRIOR`; towards 0 it is Bradley and Terry's own estimate.
    """
    import numpy as np

    contests = [one for one in contests if one.winner != one.loser]
    names = sorted({name for one in contests for name in one.winner | one.loser})
    if not names:
        return Ranking(standings=(), votes=0.0, lead=None)
    at = {name: number for number, name in enumerate(names)}
    sides = np.zeros((len(contests), len(names)))  # row: +1 for the winner's traits, -1 for the loser's
    for row, one in zip(sides, contests, strict=True):
        row[[at[name] for name in one.winner - one.loser]] = 1.0
        row[[at[name] for name in one.loser - one.winner]] = -1.0
    weights = np.array([one.weight for one in contests])
    outcomes = np.array([0.5 if one.tie else 1.0 for one in contests])
    strengths, covariance = _likeliest(sides, weights, outcomes, prior)
    single = all(len(one.winner) == len(one.loser) == 1 for one in contests)
    if single:  # only differences mean something: what the prior says of the common level is taken out
        centring = np.eye(len(names)) - 1.0 / len(names)
        strengths, covariance = centring @ strengths, centring @ covariance @ centring
    order = sorted(range(len(names)), key=lambda number: (-strengths[number], names[number]))
    tallies = _tallies(contests)
    standings = tuple(
        _standing(names[number], float(strengths[number]), math.sqrt(max(0.0, covariance[number, number])), tallies)
        for number in order
    )
    lead = np.zeros(len(names))
    lead[order[0]] = 1.0
    if single:
        lead[order[1]] = -1.0
    ahead, error = float(lead @ strengths), _95 * math.sqrt(max(0.0, float(lead @ covariance @ lead)))
    return Ranking(standings=standings, votes=float(weights.sum()), lead=(ahead, ahead - error, ahead + error))


def _likeliest(sides: Numbers, weights: Numbers, outcomes: Numbers, prior: float) -> tuple[Numbers, Numbers]:
    """Return strengths and covariance: the maximum of a strictly concave function, its curvature there."""
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    def unlikely(strengths: Numbers) -> float:
        ahead = sides @ strengths
        said = outcomes * log_expit(ahead) + (1 - outcomes) * log_expit(-ahead)
        return float(prior / 2 * strengths @ strengths - weights @ said)

    def slope(strengths: Numbers) -> Any:
        return prior * strengths - sides.T @ (weights * (outcomes - expit(sides @ strengths)))

    def curvature(strengths: Numbers) -> Any:
        chance = expit(sides @ strengths)
        return (sides.T * (weights * chance * (1 - chance))) @ sides + prior * np.eye(sides.shape[1])

    start = np.zeros(sides.shape[1])
    found = minimize(unlikely, start, jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-9}).x
    return found, np.linalg.inv(curvature(found))


def _tallies(contests: Sequence[Contest]) -> Mapping[str, list[float]]:
    """Count comparisons won, lost and tied, by trait."""
    tallies: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for one in contests:
        for names, place in ((one.winner - one.loser, 0), (one.loser - one.winner, 1)):
            for name in names:
                tallies[name][2 if one.tie else place] += one.weight
    return tallies


def _standing(name: str, strength: float, error: float, tallies: Mapping[str, list[float]]) -> Standing:
    won, lost, tied = tallies[name]
    ends = (strength, strength - _95 * error, strength + _95 * error)
    share, low, high = (1 / (1 + math.exp(-each)) for each in ends)
    return Standing(name=name, strength=strength, share=share, low=low, high=high, won=won, lost=lost, tied=tied)
