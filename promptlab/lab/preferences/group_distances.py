"""Reads the pictures of groups and measures how far these lie apart, circumstance by circumstance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from promptlab.engine import Engine
from promptlab.errors import InputError
from promptlab.images.difference import mean_square
from promptlab.images.png import read_pixels
from promptlab.lab.preferences.picture_groups import GroupedPictures
from promptlab.lab.preferences.prompt_effect import Measured, measure, pairwise_distances, perceptual_vectors
from promptlab.records.scorers import clip_score
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Measurements", "measure_groups"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Holds what was measured of groups: effects by kind of distance, and CLIP scores where asked for."""

    seeds: tuple[int, ...]
    effects: tuple[Measured, ...]
    scores: tuple[float, ...] = ()


def measure_groups(
    grouped: GroupedPictures,
    *,
    workspace: Workspace,
    engine: Callable[[], Engine],
    clip_model: str | None = None,
    score: bool = False,
    device: str | None = None,
    what: str | None = None,
    psnr: bool = False,
) -> Measurements:
    """Measure how far groups lie apart, as the mean over their circumstances.

    Args:
        what: the setting whose values they are, for errors.
        psnr: whether the PSNR between groups is measured, too.

    Raises:
        InputError: when pictures to compare differ in size, an image file is gone, or the CLIP model is none.
        EngineError: when the CLIP model would not load.
    """
    import numpy as np

    pixels: list[tuple[Any, Any]] = []
    clip: list[tuple[Any, Any]] = []
    squares, scores = [], []
    for at in range(grouped.circumstances):
        pictures = [[read_pixels(workspace.root / path) for path in group.paths[at]] for group in grouped.groups]
        _check_one_size(grouped, pictures, what)
        pixels.append(pairwise_distances(perceptual_vectors(pictures)))
        squares += [_mean_squares(pictures)] if psnr else []
        if clip_model is not None:
            prompts = [group.prompts[at] for group in grouped.groups] if score else []
            flat = [one for row in pictures for one in row]
            embedded = engine().clip(clip_model, images=flat, prompts=prompts, device=device)
            directions = embedded.images.astype("float64").reshape(len(pictures), len(grouped.seeds), -1)
            words, seed = pairwise_distances(directions)
            clip.append((words**2 / 2, seed**2 / 2))  # of directions of length 1, that is 1 - cos
            if score:
                cosines = (directions * embedded.prompts.astype("float64")[:, None, :]).sum(axis=-1)
                scores.append([sum(map(clip_score, row)) / len(row) for row in cosines.tolist()])
    return Measurements(
        seeds=grouped.seeds,
        effects=(
            measure("pixels", *_mean(pixels), squares=np.mean(squares, axis=0) if squares else None),
            *([measure("clip", *_mean(clip))] if clip else []),
        ),
        scores=tuple(np.mean(scores, axis=0).tolist()) if scores else (),
    )


def _mean(distances: Sequence[tuple[Any, Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of the distances at one seed, and of those of two seeds, over the circumstances."""
    import numpy as np

    words, seed = zip(*distances, strict=True)
    return np.mean(words, axis=0), np.mean(seed, axis=0)


def _mean_squares(pictures: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.float64]:
    """Return ``[groups, groups]``: the mean square between the images of two groups, over all seeds."""
    import numpy as np

    found = np.zeros((len(pictures), len(pictures)))
    for one, other in combinations(range(len(pictures)), 2):
        apart = [mean_square(*pair) for pair in zip(pictures[one], pictures[other], strict=True)]
        found[one, other] = found[other, one] = sum(apart) / len(apart)
    return found


def _check_one_size(
    grouped: GroupedPictures, pictures: Sequence[Sequence[NDArray[np.uint8]]], what: str | None
) -> None:
    if len({one.shape for row in pictures for one in row}) > 1:
        problem = f"has values of {what} whose pictures differ in size" if what else "has pictures of several sizes"
        raise InputError(grouped.kind, grouped.number, problem=problem, allowed="pictures of one size")
