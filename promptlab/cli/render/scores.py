"""Renders what models scored images, as lines, JSON and CSV. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from promptlab.cli.render.layout import counted, table
from promptlab.errors import one_line
from promptlab.records.scorers import score_text

if TYPE_CHECKING:
    from promptlab.lab.preferences.scores import ScoredImages
    from promptlab.records import ImageRecord

__all__ = ["score_columns", "score_lines", "score_rows", "score_summary", "scores_text"]

_MOST: Final = 40
"""Images that a terminal lists; all of them are in JSON and CSV."""


def scores_text(scores: Mapping[str, float]) -> str | None:
    """Return scores in a line: ``clip 27.3 · pickscore 20.91``; None where there are none."""
    return " · ".join(f"{name} {score_text(name, value)}" for name, value in scores.items()) or None


def score_lines(found: ScoredImages) -> list[str]:
    """Return a table of the images, the best first, and the means."""
    images, names = _images(found), _names(found)
    if not images:
        return ["there is no picture to score"]
    if names:
        images.sort(key=lambda pair: -pair[0].scores.get(names[0], float("-inf")))
    rows = [
        (
            image.ref,
            str(image.seed),
            *(score_text(name, image.scores[name]) if name in image.scores else "-" for name in names),
            one_line(prompt, limit=60),
        )
        for image, prompt in images[:_MOST]
    ]
    numbers = frozenset(range(1, 2 + len(names)))
    lines = table(("IMAGE", "SEED", *(name.upper() for name in names), "PROMPT"), rows, right=numbers)
    if len(images) > _MOST:
        lines.append(f"… and {len(images) - _MOST} more: --csv")
    return [*lines, "", *score_summary(found)]


def score_summary(found: ScoredImages) -> list[str]:
    """Return a line for each scorer: the mean, the best image, and how many were scored."""
    images = [image for image, _ in _images(found)]
    lines = []
    for name in _names(found):
        scored = [image for image in images if name in image.scores]
        best = max(scored, key=lambda image: image.scores[name])
        mean = sum(image.scores[name] for image in scored) / len(scored)
        said = f"{name}: {score_text(name, mean)} on average of {counted(len(scored), 'picture')}"
        lines.append(f"{said}; the best is {best.ref} with {score_text(name, best.scores[name])}")
    return [*lines, *([] if found.new else ["all of them were scored before; --again scores them anew"])]


def score_rows(found: ScoredImages, *, flat: bool = False) -> Iterator[dict[str, Any]]:
    """Yield what is known of each image.

    Args:
        flat: whether each score is a value of its own, as in a table, and not all of them one object.
    """
    for image, prompt in _images(found):
        scores = dict(image.scores) if flat else {"scores": dict(image.scores)}
        yield {"image": image.ref, "seed": image.seed, "prompt": prompt, "path": image.path, **scores}


def score_columns(found: ScoredImages) -> Sequence[str]:
    """Return the columns of CSV: one for each scorer."""
    return ("image", "seed", *_names(found), "prompt", "path")


def _images(found: ScoredImages) -> list[tuple[ImageRecord, str]]:
    places = set(found.images)
    return [
        (image, run.variants[image.variant].variant.prompt)
        for run in found.runs
        for image in run.images
        if (run.id, image.position) in places
    ]


def _names(found: ScoredImages) -> list[str]:
    return list(dict.fromkeys(name for image, _ in _images(found) for name in image.scores))
