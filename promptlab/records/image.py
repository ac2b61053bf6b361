"""Records images, and what came of generating them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from promptlab.specs import Change

__all__ = ["ImageRecord", "ImageStatus", "Outcome", "Verification"]


class ImageStatus(StrEnum):
    """Lists the statuses of an image: a row from the start, it is owed until its PNG is whole on disk."""

    OWED = "OWED"
    MADE = "MADE"
    FAILED = "FAILED"


class Outcome(StrEnum):
    """Lists what can come of generating an image again."""

    EXACT = "exact"
    CLOSE = "close"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Records how an image that was generated again compares with the one that is kept.

    Args:
        outcome: see :class:`Outcome`.
        verified_at: UTC.
        environment: hash of the one in which it was made again.
        pixel_sha256: of what came out.
        differing_pixels: how many pixels differ in any channel.
        greatest_difference: levels of 255, in one channel of one pixel.
        mean_difference: levels of 255, over all channels of all pixels.
        psnr: peak signal-to-noise ratio, dB; ``None`` where nothing differs, or where the sizes do.
        changes: the fields of the environment that are not what they were; none, where it is the same.
    """

    outcome: Outcome
    verified_at: datetime
    environment: str
    pixel_sha256: str
    differing_pixels: int | None = None
    greatest_difference: int | None = None
    mean_difference: float | None = None
    psnr: float | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """Records one image of a run, made or still owed.

    Args:
        run_id: the run's number.
        position: the place in the run; ``<run_id>/<position>`` names the image on the command line.
        variant: the variant's place in the run.
        seed: 0 … 2³²−1.
        status: see :class:`ImageStatus`.
        recipe_key: the hash of everything that decides the pixels.
        path: of the PNG, relative to the workspace.
        width, height: pixels.
        pixel_sha256: of the RGB bytes, row by row.
        batch, slot: in which forward of the run it was made, and where in it.
        seconds: the image's share of its batch.
        peak_memory: bytes, of the batch.
        made_at: when its row was written.
        parent: ``(run_id, position)`` of the image it was varied from.
        linked: ``(run_id, position)`` of the image whose picture this is, when the same recipe was made before in the
            same environment and nothing had to be made again.
        environment: hash of the environment it was made in, where that is not its run's: after a resume elsewhere.
        flag: why it should be looked at twice: ``black``, ``nan``, ``unsafe`` (blacked out by the model's own checker).
        error: what went wrong, when it failed.
        batch_size: images per forward that its recipe is of, where that is not its run's: memory was too short for it.
        asked_key: the recipe key that was asked for, where ``batch_size`` made it another.
        decoded_in: the dtype that it was decoded in, where its VAE's own gave no picture.
        verified: what came of the last time it was made again to be compared.
        stars: what it was rated, 1 … 5.
        favourite: whether it is one; ``None`` where nobody has said.
        votes_won, votes_lost: how often it was liked better, or less, beside another.
        scores: what models gave it, by the scorer's name; see :mod:`promptlab.records.scorers`.
    """

    run_id: int
    position: int
    variant: int
    seed: int
    status: ImageStatus
    recipe_key: str
    path: str | None = None
    width: int | None = None
    height: int | None = None
    pixel_sha256: str | None = None
    batch: int | None = None
    slot: int | None = None
    seconds: float | None = None
    peak_memory: int | None = None
    made_at: datetime | None = None
    parent: tuple[int, int] | None = None
    linked: tuple[int, int] | None = None
    environment: str | None = None
    flag: str | None = None
    error: str | None = None
    batch_size: int | None = None
    asked_key: str | None = None
    decoded_in: str | None = None
    verified: Verification | None = None
    stars: int | None = None
    favourite: bool | None = None
    votes_won: int = 0
    votes_lost: int = 0
    scores: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def ref(self) -> str:
        """Return how the image is named on the command line: ``12/3``."""
        return f"{self.run_id}/{self.position}"
