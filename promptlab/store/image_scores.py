"""Writes and reads what models scored images. Plain SQL; a link has the score of its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from promptlab.store.database import Database

__all__ = ["read_scores", "write_scores"]

_SCORE: Final = """
    INSERT INTO promptlab_scores (image_id, scorer, model, value, scored_at)
    SELECT coalesce(linked_image_id, id), CAST(:scorer AS TEXT), CAST(:model AS TEXT),
           CAST(:value AS DOUBLE PRECISION), :now
    FROM promptlab_images WHERE run_id = :run AND position = :position
    ON CONFLICT (image_id, scorer) DO UPDATE SET
        model = excluded.model, value = excluded.value, scored_at = excluded.scored_at
"""

_SCORES: Final = """
    SELECT image.run_id, image.position, score.model
    FROM promptlab_images image
    JOIN promptlab_scores score ON score.image_id = coalesce(image.linked_image_id, image.id)
    WHERE image.run_id = :run AND score.scorer = :scorer
"""


def write_scores(database: Database, scores: Mapping[tuple[int, int], float], *, scorer: str, model: str) -> None:
    """Write the scores of images, in place of those that ``scorer`` gave before.

    Args:
        scores: by each image's run and its position there.
        model: that gave them, as it was named.

    Raises:
        StoreError: when it fails; then nothing is written.
    """
    with database.writing("noting scores") as writing:
        now = writing.dialect.time(datetime.now(UTC))
        for (run, position), value in scores.items():
            given = {"run": run, "position": position, "scorer": scorer, "model": model, "value": value, "now": now}
            writing.write(_SCORE, given)


def read_scores(database: Database, runs: Iterable[int], *, scorer: str) -> dict[tuple[int, int], str]:
    """Return the model by which each image of ``runs`` was scored, by its place, where it was.

    Raises:
        StoreError: when it fails while it is read.
    """
    found = {}
    with database.reading("reading scores") as reading:
        for run in runs:
            for row in reading.rows(_SCORES, {"run": run, "scorer": scorer}):
                found[row["run_id"], row["position"]] = str(row["model"])
    return found
