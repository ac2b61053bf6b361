"""Records what people think of one image: stars, favourite, votes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ImageRating"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRating:
    """Records how an image was rated; a link is rated as the image that it links to.

    Args:
        position: the image's place in its run.
        stars: 1 to 5; ``None`` where none were given.
        favourite: ``None`` where it was never asked.
    """

    run_id: int
    position: int
    stars: int | None = None
    favourite: bool | None = None
    votes_won: int = 0
    votes_lost: int = 0

    @property
    def ref(self) -> str:
        """Return how the image is named on the command line: ``12/3``."""
        return f"{self.run_id}/{self.position}"
