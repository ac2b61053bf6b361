"""Who is liked better: Bradley and Terry's model against results that were found another way."""

import itertools
import math

import pytest

from promptlab.errors import UnknownValue
from promptlab.lab.preferences.bradley_terry import ENOUGH, Contest, rank
from promptlab.lab.preferences.leaderboard import best, contender, next_pair
from promptlab.store.rated_images import RatedImage, RatedImages, Vote


def votes(*told):
    """``("a", "b", 3)``: a was liked better than b three times."""
    return [
        Contest(winner=frozenset({winner}), loser=frozenset({loser}), weight=weight) for winner, loser, weight in told
    ]


def strengths(ranking):
    return {one.name: one.strength for one in ranking.standings}


def test_two_contenders_have_the_closed_form():
    """Without a prior, the lead of one over the other is the logarithm of its odds, its variance 1/won + 1/lost."""
    ranking = rank(votes(("a", "b", 30), ("b", "a", 10)), prior=1e-9)
    ahead, low, high = ranking.lead
    assert ahead == pytest.approx(math.log(3), abs=1e-5)
    assert (high - low) / 2 == pytest.approx(1.959964 * math.sqrt(1 / 30 + 1 / 10), abs=1e-4)
    assert (ranking.winner, ranking.votes) == ("a", 40)


def test_three_contenders_are_where_brute_force_finds_them():
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


def test_it_is_symmetric():
    """Turning every vote round turns every strength round; the order in which votes came says nothing."""
    told = [("a", "b", 4), ("b", "c", 3), ("c", "a", 1)]
    there, back = rank(votes(*told)), rank(votes(*[(loser, winner, weight) for winner, loser, weight in told]))
    for name, strength in strengths(there).items():
        assert strengths(back)[name] == pytest.approx(-strength, abs=1e-6)
    assert strengths(rank(votes(*told[::-1]))) == pytest.approx(strengths(there), abs=1e-6)


def test_a_tie_is_half_a_win_for_each():
    """Ten ties and five wins each say the same about who is better: nobody."""
    tied = rank([Contest(winner=frozenset("a"), loser=frozenset("b"), tie=True, weight=10)])
    even = rank(votes(("a", "b", 5), ("b", "a", 5)))
    assert [one.share for one in tied.standings] == pytest.approx([0.5, 0.5])
    assert tied.lead == pytest.approx(even.lead, abs=1e-6)
    assert {one.name: (one.won, one.lost, one.tied) for one in tied.standings} == {"a": (0, 0, 10), "b": (0, 0, 10)}


@pytest.mark.parametrize(
    ("won", "lost", "winner"), [(10, 0, "a"), (9, 1, "a"), (8, 2, None), (9, 0, None), (30, 28, None), (60, 30, "a")]
)
def test_a_winner_needs_enough_votes_and_a_lead_that_is_no_chance(won, lost, winner):
    """Ten votes at least, and the 95 % interval of the lead excludes none: as a sign test would have it."""
    assert rank(votes(*[("a", "b", won)], *([("b", "a", lost)] if lost else []))).winner == winner
    assert ENOUGH == 10


def test_words_are_ranked_together():
    """A side is all words that only it has: what always comes with a win is strong, what comes with both is not."""
    told = [
        Contest(winner=frozenset({"rim", "light"}), loser=frozenset({"flat"}), weight=8),
        Contest(winner=frozenset({"rim"}), loser=frozenset({"light"}), weight=8),
    ]
    ranking = rank(told)
    assert [one.name for one in ranking.standings] == ["rim", "light", "flat"]
    assert ranking.winner == "rim"


def test_nothing_said_is_no_ranking():
    """Without votes, or with votes between likes only, there is nobody to rank."""
    assert rank([]).standings == ()
    assert rank(votes(("a", "a", 5))).winner is None


def picture(source, *, seed=0, scheduler="Euler", prompt="a fox", stars=None, run_id=1, values=()):
    return RatedImage(
        source=source, run_id=run_id, position=source, seed=seed, path=None, stars=stars, prompt=prompt, label=prompt,
        model="mini", vae=None, dtype="float32", scheduler=scheduler, steps=20, guidance=7.5, sweep_values=values,
    )  # fmt: skip


def said(*pictures, votes=()):
    return RatedImages(pictures={one.source: one for one in pictures}, votes=tuple(votes))


def test_stars_count_as_votes_between_pictures_of_one_seed_and_prompt():
    """Of two pictures that differ in the scheduler only, more stars are a vote; other seeds and words say nothing."""
    pairs = [
        picture(2 * seed + half, seed=seed, scheduler=("Euler", "PNDM")[half], stars=(5, 3)[half])
        for seed in range(12)
        for half in (0, 1)
    ]
    elsewhere = [picture(100, seed=99, scheduler="UniPC", stars=5), picture(101, prompt="an owl", stars=1)]
    found = best("scheduler", said(*pairs, *elsewhere))
    assert (found.ranking.winner, found.ranking.votes) == ("Euler", 12)
    assert {name: (one.mean, one.rated) for name, one in found.stars.items()} == {
        "Euler": ((12 * 5 + 1) / 13, 13), "PNDM": (3.0, 12), "UniPC": (5.0, 1),
    }  # fmt: skip


def test_many_stars_are_not_more_votes_than_pictures():
    """Of n rated pictures of one seed, n-1 comparisons are independent: so much they weigh together."""
    pictures = [picture(number, scheduler=f"S{number}", stars=number + 1) for number in range(5)]
    assert best("scheduler", said(*pictures)).ranking.votes == pytest.approx(4)


def test_a_field_that_is_none_is_refused_with_those_that_are():
    """One line, with the nearest of what can be asked about."""
    with pytest.raises(UnknownValue, match=r"--by 'schedulers' is unknown \(did you mean scheduler\?\)"):
        best("schedulers", said())


def test_pairs_are_of_one_seed_and_never_asked_twice():
    """Every pair of other contenders at the same seed comes once, those that met least first."""
    pictures = [
        picture(10 * seed + number, seed=seed, prompt=prompt)
        for seed in (0, 1)
        for number, prompt in enumerate(("red", "blue", "green"))
    ]
    names = {one.source: contender(one, runs=1, variants=3) for one in pictures}
    given, asked = [], []
    while pair := next_pair(said(*pictures, votes=given), names):
        assert pair[0].seed == pair[1].seed
        asked.append(frozenset(names[one.source] for one in pair))
        given.append(Vote(winner=pair[0].source, loser=pair[1].source, tie=False))
    assert len(asked) == 6
    assert len(set(asked[:3])) == len(set(asked)) == 3


def test_contenders_are_told_apart_by_what_differs():
    """Axis values in a sweep, the run's number beside other runs, the wording where there are several."""
    one = picture(1, values=(("steps", "20"),))
    assert contender(one, runs=2, variants=1) == "20"
    assert contender(one, runs=2, variants=2) == "20 · a fox"
    assert contender(picture(1), runs=1, variants=2) == "a fox"
    assert contender(picture(1, run_id=4), runs=2, variants=1) == "run 4"
