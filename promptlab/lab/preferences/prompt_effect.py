"""Measures how much each prompt changes the image, against how much the seed does.

Within a run every prompt is drawn at the same seeds, so two distances can be compared:

* words: of two prompts at one seed, the mean over the seeds;
* seed: of two seeds under one prompt, the mean over all pairs of seeds.

The effect is words ÷ seed: 0 where the words change nothing, 1 where they change as much as another seed would. A
prompt's own effect is the mean over the other prompts. Its interval comes from a bootstrap over the seeds (Efron 1979):
it holds 95 of 100 draws of as many seeds, with replacement.

Distance of pixels: root mean square over all channels, in linear light, averaged down to 64 pixels a side, so that it
measures what one sees from a step away and not grain. Distance of CLIP: 1 − cos, what the image is of.
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
    "MIN_SEEDS",
    "Estimate",
    "Measured",
    "PairEffect",
    "PromptEffect",
    "WordingEffect",
    "comparable_seeds",
    "effect_in_words",
    "measure",
    "pairwise_distances",
    "perceptual_vectors",
]

MIN_SEEDS: Final = 4
"""Below this many seeds a bootstrap draws the same few again and again, and its interval says nothing."""

_DRAWS: Final = 2000
_SMALL_EFFECTS: Final = (
    (0.05, "hardly anything"),
    (0.25, "less than a quarter of what the seed does"),
    (0.5, "less than half of what the seed does"),
)
_SIDE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Holds an effect and its interval; ``None`` where the seed changes nothing, or seeds are too few."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEffect:
    """Compares two prompts, by their positions in the run: the mean distance, and its effect."""

    before: int
    after: int
    distance: float
    effect: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class WordingEffect:
    """Compares one prompt with all others: the mean distance at one seed, that of two seeds, the effect."""

    position: int
    words: float
    seed: float
    effect: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Holds the effects by one kind of distance: ``pixels`` or ``clip``."""

    kind: str
    wordings: tuple[WordingEffect, ...]
    pairs: tuple[PairEffect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEffect:
    """Holds the effects of the prompts of a run.

    Args:
        run_id: the run.
        seeds: those at which every prompt has its image.
        measured: by pixels first, then by CLIP where one was named.
        scores: the CLIP score of each prompt, the mean over its seeds, by position; empty where it was not asked for.
        clip_model: folder or Hub id; ``None`` where CLIP was not used.
    """

    run_id: int
    seeds: tuple[int, ...]
    measured: tuple[Measured, ...]
    scores: tuple[float, ...] = ()
    clip_model: str | None = None


def comparable_seeds(run: RunRecord) -> tuple[int, ...]:
    """Return the seeds at which every prompt of ``run`` has its image.

    Raises:
        InputError: when there are not two prompts at two seeds.
    """
    made = {(image.variant, image.seed) for image in run.images if image.status is ImageStatus.MADE and image.path}
    seeds = tuple(seed for seed in run.spec.seeds if all((one.position, seed) in made for one in run.variants))
    have = f"has {len(run.variants)} wording{'s' * (len(run.variants) != 1)}"
    allowed = "a run of two wordings or more, at two seeds or more"
    if len(run.variants) < 2:
        hint = _command('promptlab rerun RUN --replace "OLD=>{OLD|NEW}"', run)
        raise InputError("run", run.id, problem=have, allowed=allowed, hint=hint)
    if len(seeds) < 2:
        at = f"{have} at {len(seeds)} seed{'s' * (len(seeds) != 1)}"
        hint = _command("promptlab resume RUN" if run.owed else "promptlab rerun RUN --seeds 0-7", run)
        raise InputError("run", run.id, problem=at, allowed=allowed, hint=hint)
    return seeds


def _command(text: str, run: RunRecord) -> str:
    """Return a command line for ``run``; it is one for whoever reads it, from Python too."""
    return text.replace("RUN", str(run.id))


def perceptual_vectors(pictures: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.float64]:
    """Return images as vectors whose Euclidean distance is the pixel distance, 0 to 1.

    Args:
        pictures: by prompt and seed, all of one size; uint8, ``[height, width, 3]``.

    Returns:
        ``[prompts, seeds, values]``.
    """
    import numpy as np

    return np.stack([np.stack([_perceptual_vector(one) for one in row]) for row in pictures])


def _perceptual_vector(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Reduce an image in linear light (IEC 61966-2-1) to a vector, divided by the root of its length."""
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


def pairwise_distances(
    vectors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Euclidean distances of ``[prompts, seeds, values]`` as :func:`measure` takes them."""
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
    """Compute effects from distances.

    Args:
        kind: ``pixels`` or ``clip``.
        words: ``[prompts, prompts, seeds]``: of two prompts at one seed.
        seed: ``[prompts, seeds, seeds]``: of two seeds under one prompt.
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


def effect_in_words(effect: Estimate) -> str:
    """Describe an effect in words, carefully: by the whole interval where there is one."""
    if effect.value is None:
        return "the seed changes nothing here"
    low, high = (effect.value if end is None else end for end in (effect.low, effect.high))
    if high == 0:
        return "nothing at all: the pictures are the same"
    for most, said in _SMALL_EFFECTS:
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
    """Draw seeds with replacement: counts ``[draws, seeds]``, the same for the same number of seeds."""
    if seeds < MIN_SEEDS:
        return None
    import numpy as np

    chosen = np.random.default_rng(seeds).integers(0, seeds, (_DRAWS, seeds))
    return np.stack([(chosen == one).sum(axis=1) for one in range(seeds)], axis=1).astype(np.float64)


def _estimate(words: NDArray[np.float64], seed: NDArray[np.float64], draws: NDArray[np.float64] | None) -> Estimate:
    """Return ``words`` by seed over ``seed`` by two seeds, with its bootstrap interval.

    A seed drawn twice is no pair: it has no distance to itself.
    """
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
