"""Measures how much a prompt, or a value of a setting, changes the image, against what the seed does.

Within a run every prompt is drawn at the same seeds, and so is every value of a setting in a sweep; both are groups of
pictures (:mod:`promptlab.lab.preferences.picture_groups`), and two distances can be compared:

* words: of two groups at one seed, the mean over the seeds;
* seed: of two seeds within one group, the mean over all pairs of seeds.

The effect is words ÷ seed: 0 where the words change nothing, 1 where they change as much as another seed would. A
group's own effect is the mean over the other groups. Its interval comes from a bootstrap over the seeds (Efron 1979):
it holds 95 of 100 draws of as many seeds, with replacement. Where a sweep has other settings, or several wordings, both
distances are means over these; a draw takes a seed in all of them.

Distance of pixels: root mean square over all channels, in linear light, averaged down to 64 pixels a side, so that it
measures what one sees from a step away and not grain. Distance of CLIP: 1 − cos, what the image is of. Of settings,
which may change hardly anything, the PSNR is measured as well, of whole images and the mean square over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from promptlab.images.difference import decibels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "MIN_SEEDS",
    "Estimate",
    "GroupEffect",
    "Measured",
    "PairEffect",
    "PromptEffect",
    "SettingEffect",
    "SweepEffect",
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
    """Compares two groups, by their positions: the mean distance, its effect, and the PSNR in dB.

    The PSNR is ``None`` where it is not measured, and where the pictures are the same.
    """

    before: int
    after: int
    distance: float
    effect: Estimate
    psnr: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEffect:
    """Compares one group with all others: the mean distance at one seed, that of two seeds, the effect.

    The distance at one seed is called ``words`` and the groups ``wordings`` whatever they are: JSON has it so.
    """

    position: int
    words: float
    seed: float
    effect: Estimate
    psnr: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Holds the effects by one kind of distance: ``pixels`` or ``clip``."""

    kind: str
    wordings: tuple[GroupEffect, ...]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingEffect:
    """Holds the effects of the values of one setting in a sweep.

    Args:
        name: of the setting; of two that vary together, both: ``steps and guidance``.
        values: as labels show them, by position.
        seeds: those at which every value has its image.
        circumstances: how many wordings and other settings every value was made with.
        measured, scores, clip_model: as those of :class:`PromptEffect`.
    """

    name: str
    values: tuple[str, ...]
    seeds: tuple[int, ...]
    circumstances: int
    measured: tuple[Measured, ...]
    scores: tuple[float, ...] = ()
    clip_model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEffect:
    """Holds the effects of the settings of a sweep.

    Args:
        sweep_id: the sweep.
        settings: in the order of its axes.
        left_out: what could not be compared, a sentence each, where nobody asked for it by name.
    """

    sweep_id: int
    settings: tuple[SettingEffect, ...]
    left_out: tuple[str, ...] = ()


def perceptual_vectors(pictures: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.float64]:
    """Return images as vectors whose Euclidean distance is the pixel distance, 0 to 1.

    Args:
        pictures: by group and seed, all of one size; uint8, ``[height, width, 3]``.

    Returns:
        ``[groups, seeds, values]``.
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
    """Return the Euclidean distances of ``[groups, seeds, values]`` as :func:`measure` takes them."""
    import numpy as np

    count, seeds = vectors.shape[:2]
    words, seed = np.zeros((count, count, seeds)), np.zeros((count, seeds, seeds))
    for one, other in combinations(range(count), 2):
        words[one, other] = words[other, one] = np.linalg.norm(vectors[one] - vectors[other], axis=-1)
    for at, row in enumerate(vectors):
        for one, other in combinations(range(seeds), 2):
            seed[at, one, other] = seed[at, other, one] = np.linalg.norm(row[one] - row[other])
    return words, seed


def measure(
    kind: str,
    words: NDArray[np.float64],
    seed: NDArray[np.float64],
    squares: NDArray[np.float64] | None = None,
) -> Measured:
    """Compute effects from distances.

    Args:
        kind: ``pixels`` or ``clip``.
        words: ``[groups, groups, seeds]``: of two groups at one seed.
        seed: ``[groups, seeds, seeds]``: of two seeds within one group.
        squares: ``[groups, groups]``: mean square between the images of two groups, levels of 255.
    """
    count, seeds = words.shape[0], words.shape[2]
    draws = _draws(seeds)
    wordings, pairs = [], []
    for one in range(count):
        others = words[one].sum(axis=0) / (count - 1)
        effect = _estimate(others, seed.mean(axis=0), draws)
        psnr = None if squares is None else decibels(squares[one].sum() / (count - 1))
        wordings.append(
            GroupEffect(position=one, words=float(others.mean()), seed=_of_pairs(seed[one]), effect=effect, psnr=psnr)
        )
    for one, other in combinations(range(count), 2):
        effect = _estimate(words[one, other], (seed[one] + seed[other]) / 2, draws)
        distance = float(words[one, other].mean())
        psnr = None if squares is None else decibels(squares[one, other])
        pairs.append(PairEffect(before=one, after=other, distance=distance, effect=effect, psnr=psnr))
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
