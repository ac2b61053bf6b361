"""Reads where the file of one image is, in plain SQL: asked for every picture that a page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from promptlab.store.database import Database

__all__ = ["ImageLocation", "image_location"]

_FILE: Final = """
    SELECT path, pixel_sha256, seed FROM promptlab_images
    WHERE run_id = :run AND position = :position AND status = 'MADE' AND path IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLocation:
    """Describes the file of an image that is made: its path in the workspace, and its pixels' hash."""

    path: str
    pixel_sha256: str
    seed: int


def image_location(database: Database, run_id: int, position: int) -> ImageLocation | None:
    """Return the file of an image; None where there is no such image, or it is not made.

    Raises:
        StoreError: when it fails while it is read.
    """
    if not database.is_begun:
        return None
    with database.reading("looking for a picture") as reading:
        row = next(reading.rows(_FILE, {"run": run_id, "position": position}), None)
    return None if row is None else ImageLocation(**row | {"pixel_sha256": row["pixel_sha256"] or ""})
