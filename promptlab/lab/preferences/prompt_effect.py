"""Does this word do anything? How much each wording changes the picture, measured against how much the seed does.

Within a run every wording is drawn at the same seeds, so two things can be told apart:

* words: the distance of two wordings at one seed, the mean over the seeds;
* seed: the distance of two seeds under one wording, the mean over all pairs of seeds.

The effect is words ÷ seed: 0 where the words change nothing, 1 where they change as much as another seed would. A
wording's own effect is the mean over the other wordings. How sure that is comes from a bootstrap over the seeds
(Efron 1979): the interval holds 95 of 100 draws of as many seeds, drawn again from those there are.

Distances are of pictures as a space with a norm has them. Of pixels: root mean square over all channels, in linear
light, averaged down to 64 pixels a side, so that what is measured is what one sees from a step away and not grain.
Of CLIP: 1 − cos, what the picture is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError
from promptlab.records import ImageStatus, RunRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FEWEST_SEEDS",
    "Estimate",
    "Measured",
    "PairEffect",
    "PromptEffect",
    "WordingEffect",
    "comparable",
    "euclidean",
    "in_words",
    "measure",
    "seen_vectors",
]

FEWEST_SEEDS: Final = 4
"""Below this many seeds a bootstrap draws the same few again and again, and its interval says nothing."""

_DRAWS: Final = 2000
_LITTLE: Final = (
    (0.05, "hardly anything"),
    (0.25, "less than a quarter of what the seed does"),
    (0.5, "less than half of what the seed does"),
)
_SIDE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An effect, and the interval it lies in; ``None`` where there is nothing to divide by, or too few seeds."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEffect:
    """Two wordings against each other, by their places in the run: the mean distance, and its effect."""

    before: int
    after: int
    distance: float
    effect: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class WordingEffect:
    """One wording against all others: the mean distance at one seed, that of two seeds, and the effect."""

    position: int
    words: float
    seed: float
    effect: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of one kind of distance: of ``pixels`` or ``clip``."""

    kind: str
    wordings: tuple[WordingEffect, ...]
    pairs: tuple[PairEffect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEffect:
    """How much the wordings of a run do.

    Args:
        run_id: of the run.
        seeds: those at which every wording has its picture.
        measured: by pixels first, then by CLIP where one was named.
        scores: the CLIP score of each wording, the mean over its seeds, by position; empty where it was not asked for.
        clip_model: which one.
    """

    run_id: int
    seeds: tuple[int, ...]
    measured: tuple[Measured, ...]
    scores: tuple[float, ...] = ()
    clip_model: str | None = None


def comparable(run: RunRecord) -> tuple[int, ...]:
    """The seeds at which every wording of ``run`` has its picture.

    Raises:
        InputError: when there are not two wordings at two seeds.
    """
    made = {(image.variant, image.seed) for image in run.images if image.status is ImageStatus.MADE and image.path}
    seeds = tuple(seed for seed in run.spec.seeds if all((one.position, seed) in made for one in run.variants))
    have = f"has {len(run.variants)} wording{'s' * (len(run.variants) != 1)}"
    allowed = "a run of two wordings or more, at two seeds or more"
    if len(run.variants) < 2:
        hint = f'promptlab rerun {run.id} --replace "OLD=>{{OLD|NEW}}"'
        raise InputError("run", run.id, problem=have, allowed=allowed, hint=hint)
    if len(seeds) < 2:
        at = f"{have} at {len(seeds)} seed{'s' * (len(seeds) != 1)}"
        hint = f"promptlab resume {run.id}" if run.owed else f"promptlab rerun {run.id} --seeds 0-7"
        raise InputError("run", run.id, problem=at, allowed=allowed, hint=hint)
    return seeds


def seen_vectors(pictures: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.float64]:
    """The pictures as vectors whose Euclidean distance is the pixel distance, 0 to 1: ``[wordings, seeds, values]``.

    Args:
        pictures: by wording and seed, all of one size; uint8, ``[height, width, 3]``.
    """
    import numpy as np

    return np.stack([np.stack([_seen(one) for one in row]) for row in pictures])


def _seen(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """In linear light (IEC 61966-2-1), averaged down, as one vector divided by the root of its length."""
    import numpy as np
    from PIL import Image

    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)
    scale = min(1.0, _SIDE / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    channels = [
        np.asarray(Image.fromarray(linear[pixels[:, :, channel]]).resize(size, Image.Resampling.BOX))
        for channel in range(3)
    ]
    vector: NDArray[np.float64] = np.stack(channels).astype(np.float64).ravel()
    vector /= np.sqrt(vector.size)
    return vector


def euclidean(
    vectors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Euclidean distances of ``[wordings, seeds, values]``: see :func:`measure` for what comes back."""
    import numpy as np

    count, seeds = vectors.shape[:2]
    words, seed = np.zeros((count, count, seeds)), np.zeros((count, seeds, seeds))
    for one, other in combinations(range(count), 2):
        words[one, other] = words[other, one] = np.linalg.norm(vectors[one] - vectors[other], axis=-1)
    for at, row in enumerate(vectors):
        for one, other in combinations(range(seeds), 2):
            seed[at, one, other] = seed[at, other, one] = np.linalg.norm(row[one] - row[other])
    return words, seed


def measure(kind: str, words: NDArray[np.float64], seed: NDArray[np.float64]) -> Measured:
    """Effects from distances.

    Args:
        kind: ``pixels`` or ``clip``.
        words: ``[wordings, wordings, seeds]``: of two wordings at one seed.
        seed: ``[wordings, seeds, seeds]``: of two seeds under one wording.
    """
    count, seeds = words.shape[0], words.shape[2]
    draws = _draws(seeds)
    wordings, pairs = [], []
    for one in range(count):
        others = words[one].sum(axis=0) / (count - 1)
        effect = _estimate(others, seed.mean(axis=0), draws)
        wordings.append(
            WordingEffect(position=one, words=float(others.mean()), seed=_of_pairs(seed[one]), effect=effect)
        )
    for one, other in combinations(range(count), 2):
        effect = _estimate(words[one, other], (seed[one] + seed[other]) / 2, draws)
        distance = float(words[one, other].mean())
        pairs.append(PairEffect(before=one, after=other, distance=distance, effect=effect))
    return Measured(kind=kind, wordings=tuple(wordings), pairs=tuple(pairs))


def in_words(effect: Estimate) -> str:
    """What an effect says, carefully: by the whole interval where there is one."""
    if effect.value is None:
        return "the seed changes nothing here"
    low, high = (effect.value if end is None else end for end in (effect.low, effect.high))
    if high == 0:
        return "nothing at all: the pictures are the same"
    for most, said in _LITTLE:
        if high < most:
            return said
    if high < 1:
        return "less than the seed does"
    if low > 1:
        return "more than the seed does"
    return "about as much as the seed does"


def _of_pairs(seed: NDArray[np.float64]) -> float:
    count = seed.shape[0]
    return float(seed.sum() / (count * (count - 1)))


def _draws(seeds: int) -> NDArray[np.float64] | None:
    """How often each seed is drawn, ``[draws, seeds]``; the same draws for the same number of seeds."""
    if seeds < FEWEST_SEEDS:
        return None
    import numpy as np

    chosen = np.random.default_rng(seeds).integers(0, seeds, (_DRAWS, seeds))
    return np.stack([(chosen == one).sum(axis=1) for one in range(seeds)], axis=1).astype(np.float64)


def _estimate(words: NDArray[np.float64], seed: NDArray[np.float64], draws: NDArray[np.float64] | None) -> Estimate:
    """``words`` by seed over ``seed`` by two seeds. A seed drawn twice is no pair: it has no distance to itself."""
    import numpy as np

    beneath = _of_pairs(seed)
    if beneath == 0:
        return Estimate(value=None)
    value = float(words.mean()) / beneath
    if draws is None:
        return Estimate(value=value)
    weights = (draws.sum(axis=1) ** 2) - (draws**2).sum(axis=1)  # pairs of two different seeds, each twice
    between = np.einsum("ks,st,kt->k", draws, seed, draws)
    usable = (weights > 0) & (between > 0)
    if not usable.any():
        return Estimate(value=value)
    ratios = (draws[usable] @ words / draws.shape[1]) / (between[usable] / weights[usable])
    low, high = (float(end) for end in np.quantile(ratios, (0.025, 0.975)))
    return Estimate(value=value, low=min(low, value), high=max(high, value))
