"""Renders how an image was rated, in a few words. Pure."""

from __future__ import annotations

from promptlab.cli.render.layout import counted
from promptlab.records import ImageRating, ImageRecord

__all__ = ["rating_text"]


def rating_text(image: ImageRating | ImageRecord) -> str | None:
    """Return how an image was rated: ``4 of 5 stars · favourite · 3 votes won, 1 lost``."""
    said = (
        None if image.stars is None else f"{image.stars} of 5 stars",
        "favourite" if image.favourite else None,
        f"{counted(image.votes_won, 'vote')} won, {image.votes_lost} lost"
        if image.votes_won or image.votes_lost
        else None,
    )
    return " · ".join(part for part in said if part) or None
