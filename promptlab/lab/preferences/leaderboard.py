"""Ranks the values of a setting, or prompts, by votes and stars; chooses the next two images to show.

Stars become votes: of two pictures that differ in what is asked about and in nothing else that a viewer means, the one
with more stars was liked better. For a setting that is the same seed, the same words and the same setting key but for
that setting; for words, the same seed and setting; for seeds, the same words and setting. *n* such pictures give
n(n-1)/2 comparisons but only n-1 independent ones, so each counts 2/n. A vote counts whatever else its two pictures
differ in: somebody saw both.

What a model scored counts as stars do; then it alone, and neither stars nor votes.

The batch size is left out of every comparison: another one rounds floats otherwise, which nobody sees, and a run of one
image has another than the run of eight that it is held against. Device and machine are in no setting key.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final
from zlib import crc32

from promptlab.errors import InputError, UnknownValue, ref_value
from promptlab.expand.settings_text import NONE, together
from promptlab.lab.preferences.bradley_terry import Contest, Ranking, rank
from promptlab.specs import setting_key
from promptlab.specs.settings import SETTINGS, Setting, setting_named
from promptlab.store.rated_images import RatedImage, RatedImages, RatedSetting

__all__ = ["FIELDS", "Leaderboard", "Stars", "best", "contender", "next_pair", "ranked"]

_NOT_ASKED: Final = frozenset({"batch_size", "generator_device", "variant"})
"""Settings of a key that no viewer asks about: the first rounds otherwise; the second draws other noise from a seed, so
that no two pictures are alike; and ``variant`` has always meant the wording here."""

_COMPARED: Final = tuple(
    row.name
    for row in SETTINGS.values()
    if row.name in ("revision", "size") or (row.recipe is not None and row.name not in _NOT_ASKED)
)

FIELDS: Final = (*_COMPARED, "variant", "word", "seed")

_WORD: Final = re.compile(r"\w[\w'’-]*")

_BLANK: Final[Mapping[str, Any]] = {"parts": (), "switch": False}
"""The value of a setting that is left out of a key, by its kind; None for all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stars:
    """Holds the mean of the stars, or scores, that a value's pictures were given, and how many were."""

    mean: float
    rated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Answers one question: ``by`` a field, the ranking of its values, and their stars or scores."""

    by: str
    ranking: Ranking
    stars: Mapping[str, Stars]
    score: str | None = None


def best(by: str, said: RatedImages, *, score: str | None = None) -> Leaderboard:
    """Rank the values of ``by``: by votes and stars, or by what a model scored.

    Args:
        by: one of :data:`FIELDS`, or another name that such a setting goes by.
        score: the scorer whose scores ``said`` has.

    Raises:
        UnknownValue: for any other field.
        InputError: for scores of several models, which are of several scales.
    """
    question = _question(by, said.settings)
    liked = _stars_of if score is None else _score_of
    if score is not None:
        _check_one_model(score, said)
    rated: dict[str, list[float]] = defaultdict(list)
    for one in said.images.values():
        value = liked(one)
        for name in question.values(one) if value is not None else ():
            rated[name].append(value or 0)
    stars = {name: Stars(mean=sum(each) / len(each), rated=len(each)) for name, each in sorted(rated.items())}
    contests = [*(_voted(question, said) if score is None else ()), *_measured(question, said, liked)]
    return Leaderboard(by=by, ranking=rank(contests), stars=stars, score=score)


def _stars_of(one: RatedImage) -> float | None:
    return one.stars


def _score_of(one: RatedImage) -> float | None:
    return one.score


def _check_one_model(score: str, said: RatedImages) -> None:
    models = Counter(one.scored_by for one in said.images.values() if one.scored_by is not None)
    if len(models) > 1:
        names = ", ".join(f"{model} ({many} picture{'s' * (many != 1)})" for model, many in models.most_common())
        raise InputError(
            "score", score, problem=f"was given by several models: {names}", allowed="scores of one model",
            hint=f"promptlab score --all {ref_value('score', f'{score}={models.most_common(1)[0][0]}')}",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Says an image's values of a field, and what two images must share to be compared by it."""

    values: Callable[[RatedImage], frozenset[str]]
    rest: Callable[[RatedImage], Hashable]


def _question(by: str, settings: Mapping[str, RatedSetting]) -> _Question:
    row = None if by in ("variant", "word", "seed") else setting_named(by)
    if row is not None and row.name in _COMPARED:
        shown = {key: frozenset({_shown(row, each)}) for key, each in settings.items()}
        rest = {key: _key_without(row, each) for key, each in settings.items()}
        return _Question(
            values=lambda one: shown[one.setting_key],
            rest=lambda one: (one.seed, one.prompt, one.negative_prompt, rest[one.setting_key]),
        )
    whole = {key: _key_without(None, each) for key, each in settings.items()}
    match by:
        case "word":
            return _Question(
                values=lambda one: frozenset(_WORD.findall(one.prompt.casefold())),
                rest=lambda one: (one.seed, one.negative_prompt, whole[one.setting_key]),
            )
        case "variant":
            return _Question(
                values=lambda one: frozenset({one.label or one.prompt}),
                rest=lambda one: (one.seed, whole[one.setting_key]),
            )
        case "seed":
            return _Question(
                values=lambda one: frozenset({str(one.seed)}),
                rest=lambda one: (one.prompt, one.negative_prompt, whole[one.setting_key]),
            )
    raise UnknownValue("by", by, FIELDS, hint="promptlab best --by scheduler")


def _shown(row: Setting, setting: RatedSetting) -> str:
    value = row.value(setting.spec)
    if row.kind == "parts":
        return together(value)
    if row.kind == "size":
        return "x".join("default" if side is None else str(side) for side in value)
    if value is None or value is False:
        return NONE if row.conditioning else "default"
    if value is True:
        return row.shown or row.name
    return f"{value:g}" if isinstance(value, float) else str(value)


def _key_without(row: Setting | None, setting: RatedSetting) -> Hashable:
    """Return the setting key of all but ``row`` and the batch size.

    Weights are in a key by their identity, which is left out with their name. Another revision has other weights under
    the same name; a model and its weights variant go together.
    """
    blank: dict[str, Any] = {"batch_size": None}
    name = None if row is None else row.name
    if row is not None:
        blank |= dict.fromkeys(row.sets, _BLANK.get(row.kind))
    if name == "model":
        blank |= {"model": "", "variant": None}
    model = "" if name in ("model", "revision") else setting.model_identity
    vae = None if name == "vae" else setting.vae_identity
    key = setting_key(setting.spec.vary(**blank), model_identity=model, vae_identity=vae)
    return (key, setting.spec.pipeline.model) if name == "revision" else key


def _voted(question: _Question, said: RatedImages) -> Iterator[Contest]:
    for vote in said.votes:
        winner, loser = (question.values(said.images[each]) for each in (vote.winner, vote.loser))
        yield Contest(winner=winner - loser, loser=loser - winner, tie=vote.tie)


def _measured(question: _Question, said: RatedImages, liked: Callable[[RatedImage], float | None]) -> Iterator[Contest]:
    """Yield the comparisons that a measure of each image gives: stars, or a score."""
    groups: dict[Hashable, Counter[tuple[frozenset[str], float]]] = defaultdict(Counter)
    for one in said.images.values():
        if (value := liked(one)) is not None:
            groups[question.rest(one)][question.values(one), value] += 1
    for group in groups.values():
        weight = 2 / group.total()
        for ((mine, value), many), ((other, others), more) in combinations(group.items(), 2):
            winner, loser = (mine, other) if value >= others else (other, mine)
            yield Contest(winner=winner - loser, loser=loser - winner, tie=value == others, weight=weight * many * more)


def contender(one: RatedImage, *, runs: int, variants: int) -> str:
    """Name an image in a comparison by its run's setting and its prompt, as far as they differ."""
    values = [value for _, value in one.sweep_values] if runs > 1 else []
    if runs > 1 and not values:
        values = [f"run {one.run_id}"]
    return " · ".join([*values, *([one.label or one.prompt] if variants > 1 or not values else [])])


def ranked(said: RatedImages, names: Mapping[int, str]) -> Ranking:
    """Rank contenders by Bradley and Terry, from the votes between their pictures."""
    return rank(
        [
            Contest(winner=frozenset({names[one.winner]}), loser=frozenset({names[one.loser]}), tie=one.tie)
            for one in said.votes
        ]
    )


def next_pair(said: RatedImages, names: Mapping[int, str]) -> tuple[RatedImage, RatedImage] | None:
    """Choose two images of one seed, not compared yet, whose comparison tells most; or None.

    Those of contenders that met least often, and of these the ones that are closest in strength. Which stands first
    is as good as drawn by lot, so that a liking for one side favours nobody.
    """
    met = Counter(frozenset({names[one.winner], names[one.loser]}) for one in said.votes)
    done = {frozenset({one.winner, one.loser}) for one in said.votes}
    strength = {one.name: one.strength for one in ranked(said, names).standings}
    by_seed: dict[int, list[RatedImage]] = defaultdict(list)
    for one in said.images.values():
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
