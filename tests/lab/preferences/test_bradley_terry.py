"""Who is liked better: Bradley and Terry's model against results that were found another way."""

import itertools
import math

import pytest

from promptlab.lab.preferences.bradley_terry import ENOUGH, Contest, rank


def votes(*told):
    """``("a", "b", 3)``: a was liked better than b three times."""
    return [
        Contest(winner=frozenset({winner}), loser=frozenset({loser}), weight=weight) for winner, loser, weight in told
    ]


def strengths(ranking):
    return {one.name: one.strength for one in ranking.standings}


def test_rank_of_two_contenders_is_the_closed_form():
    """Without a prior, the lead of one over the other is the logarithm of its odds, its variance 1/won + 1/lost."""
    ranking = rank(votes(("a", "b", 30), ("b", "a", 10)), prior=1e-9)
    ahead, low, high = ranking.lead
    assert ahead == pytest.approx(math.log(3), abs=1e-5)
    assert (high - low) / 2 == pytest.approx(1.959964 * math.sqrt(1 / 30 + 1 / 10), abs=1e-4)
    assert (ranking.winner, ranking.votes) == ("a", 40)


def test_rank_of_three_contenders_is_what_brute_force_finds():
    """The likeliest strengths of a, b, c on a fine grid of differences are those that are found."""
    told = (("a", "b", 7), ("b", "a", 3), ("b", "c", 6), ("c", "b", 5), ("a", "c", 9), ("c", "a", 2))
    found = strengths(rank(votes(*told), prior=1e-9))

    def unlikely(point):
        place = {"a": point[0], "b": point[1], "c": -point[0] - point[1]}
        return sum(weight * math.log1p(math.exp(place[loser] - place[winner])) for winner, loser, weight in told)

    centre, step = (0.0, 0.0), 0.5
    for _ in range(60):  # the function is convex: walk downhill on ever finer grids
        around = [(centre[0] + x * step, centre[1] + y * step) for x, y in itertools.product((-1, 0, 1), repeat=2)]
        nearest = min(around, key=unlikely)
        centre, step = nearest, step / 2 if nearest == centre else step
    assert (found["a"], found["b"]) == pytest.approx(centre, abs=1e-4)
    assert sum(found.values()) == pytest.approx(0, abs=1e-9)


def test_rank_with_sides_exchanged_is_symmetric():
    """Turning every vote round turns every strength round; the order in which votes came says nothing."""
    told = [("a", "b", 4), ("b", "c", 3), ("c", "a", 1)]
    there, back = rank(votes(*told)), rank(votes(*[(loser, winner, weight) for winner, loser, weight in told]))
    for name, strength in strengths(there).items():
        assert strengths(back)[name] == pytest.approx(-strength, abs=1e-6)
    assert strengths(rank(votes(*told[::-1]))) == pytest.approx(strengths(there), abs=1e-6)


def test_rank_of_a_tie_counts_half_a_win_for_each():
    """Ten ties and five wins each say the same about who is better: nobody."""
    tied = rank([Contest(winner=frozenset("a"), loser=frozenset("b"), tie=True, weight=10)])
    even = rank(votes(("a", "b", 5), ("b", "a", 5)))
    assert [one.share for one in tied.standings] == pytest.approx([0.5, 0.5])
    assert tied.lead == pytest.approx(even.lead, abs=1e-6)
    assert {one.name: (one.won, one.lost, one.tied) for one in tied.standings} == {"a": (0, 0, 10), "b": (0, 0, 10)}


@pytest.mark.parametrize(
    ("won", "lost", "winner"), [(10, 0, "a"), (9, 1, "a"), (8, 2, None), (9, 0, None), (30, 28, None), (60, 30, "a")]
)
def test_rank_winner_needs_enough_votes_and_a_significant_lead(won, lost, winner):
    """Ten votes at least, and the 95 % interval of the lead excludes none: as a sign test would have it."""
    assert rank(votes(*[("a", "b", won)], *([("b", "a", lost)] if lost else []))).winner == winner
    assert ENOUGH == 10


def test_rank_of_words_ranks_them_together():
    """A side is all words that only it has: what always comes with a win is strong, what comes with both is not."""
    told = [
        Contest(winner=frozenset({"rim", "light"}), loser=frozenset({"flat"}), weight=8),
        Contest(winner=frozenset({"rim"}), loser=frozenset({"light"}), weight=8),
    ]
    ranking = rank(told)
    assert [one.name for one in ranking.standings] == ["rim", "light", "flat"]
    assert ranking.winner == "rim"


def test_rank_of_nothing_is_empty():
    """Without votes, or with votes between likes only, there is nobody to rank."""
    assert rank([]).standings == ()
    assert rank(votes(("a", "a", 5))).winner is None
