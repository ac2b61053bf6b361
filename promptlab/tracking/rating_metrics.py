"""Writes ratings and scores of a variant's images as MLflow metrics, and as a tag. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from promptlab.records import ImageRecord

__all__ = ["SCORE_METRIC", "rating_metrics", "rating_tag", "score_metrics"]

SCORE_METRIC: Final = "score_"
"""Begins the names of metrics of what models scored."""


def rating_metrics(images: Sequence[ImageRecord]) -> dict[str, float | None]:
    """Return the mean of the stars, the numbers of favourites and votes; None for what was not given."""
    stars = [image.stars for image in images if image.stars is not None]
    asked = [image.favourite for image in images if image.favourite is not None]
    won, lost = sum(image.votes_won for image in images), sum(image.votes_lost for image in images)
    return {
        "rating": sum(stars) / len(stars) if stars else None,
        "favourites": sum(asked) if asked else None,
        "votes_won": won if won or lost else None,
        "votes_lost": lost if won or lost else None,
    }


def score_metrics(images: Sequence[ImageRecord]) -> dict[str, float]:
    """Return the means of what models scored, as ``score_pickscore``."""
    values: dict[str, list[float]] = {}
    for image in images:
        for name, value in image.scores.items():
            values.setdefault(f"{SCORE_METRIC}{name}", []).append(value)
    return {name: sum(each) / len(each) for name, each in values.items()}


def rating_tag(images: Sequence[ImageRecord]) -> str | None:
    """Return the ratings image by image: ``3/0 4 stars, 3/1 5 stars favourite``."""
    said = []
    for image in images:
        stars = None if image.stars is None else f"{image.stars} star{'' if image.stars == 1 else 's'}"
        if words := [word for word in (stars, "favourite" if image.favourite else None) if word]:
            said.append(" ".join([image.ref, *words]))
    return ", ".join(said) or None
