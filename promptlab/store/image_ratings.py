"""Writes and reads stars and favourites, and which runs MLflow shows without the latest. Plain SQL.

Rating is done picture by picture, and each waits for its answer: importing SQLAlchemy would take longer than all of it
(see :mod:`promptlab.store.readonly`). A link is rated as the image that it links to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from promptlab.records.image_rating import ImageRating
from promptlab.store.database import Database

__all__ = ["rate_images", "read_ratings", "runs_rated_since_told"]

_RATINGS: Final = """
    SELECT image.run_id, image.position, rating.stars, rating.favourite,
           (SELECT count(*) FROM promptlab_votes
            WHERE winner_image_id = coalesce(image.linked_image_id, image.id) AND NOT tie) AS votes_won,
           (SELECT count(*) FROM promptlab_votes
            WHERE loser_image_id = coalesce(image.linked_image_id, image.id) AND NOT tie) AS votes_lost
    FROM promptlab_images image
    LEFT JOIN promptlab_ratings rating ON rating.image_id = coalesce(image.linked_image_id, image.id)
    WHERE image.run_id = :run AND image.position = :position AND image.status = 'MADE'
"""

_RATE: Final = """
    INSERT INTO promptlab_ratings (image_id, stars, favourite, rated_at)
    SELECT coalesce(linked_image_id, id), CAST(:stars AS INTEGER), coalesce(CAST(:favourite AS BOOLEAN), FALSE), :now
    FROM promptlab_images WHERE run_id = :run AND position = :position
    ON CONFLICT (image_id) DO UPDATE SET
        stars = coalesce(CAST(:stars AS INTEGER), promptlab_ratings.stars),
        favourite = coalesce(CAST(:favourite AS BOOLEAN), promptlab_ratings.favourite),
        rated_at = excluded.rated_at
"""

_SINCE_TOLD: Final = """
    SELECT DISTINCT run.id
    FROM (SELECT image_id AS source, rated_at AS at FROM promptlab_ratings
          UNION ALL SELECT image_id, scored_at FROM promptlab_scores
          UNION ALL SELECT winner_image_id, voted_at FROM promptlab_votes
          UNION ALL SELECT loser_image_id, voted_at FROM promptlab_votes) said
    JOIN promptlab_images image ON image.id = said.source OR image.linked_image_id = said.source
    JOIN promptlab_runs run ON run.id = image.run_id
    WHERE run.tracked_at IS NULL OR said.at > run.tracked_at
    ORDER BY run.id
"""


def rate_images(
    database: Database, places: Sequence[tuple[int, int]], *, stars: int | None = None, favourite: bool | None = None
) -> None:
    """Write stars of images, or whether they are favourites; ``None`` leaves what is there.

    Args:
        places: each an image's run and its position there; all of them are there.
        stars: 1 to 5.

    Raises:
        StoreError: when it fails; then nothing is written.
    """
    with database.writing("noting stars") as writing:
        now = writing.dialect.time(datetime.now(UTC))
        for run, position in places:
            given = {"run": run, "position": position, "stars": stars, "favourite": favourite, "now": now}
            writing.write(_RATE, given)


def read_ratings(database: Database, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], ImageRating]:
    """Return how images are rated, by their places; those that are not there or not made are left out.

    Raises:
        StoreError: when it fails while it is read.
    """
    found = {}
    with database.reading("reading ratings") as reading:
        for run, position in places:
            for row in reading.rows(_RATINGS, {"run": run, "position": position}):
                favourite = None if row["favourite"] is None else bool(row["favourite"])
                found[run, position] = ImageRating(**row | {"favourite": favourite})
    return found


def runs_rated_since_told(database: Database) -> tuple[int, ...]:
    """Return the runs of which MLflow does not know the latest stars, votes or scores, by number.

    Raises:
        StoreError: when it fails while it is read.
    """
    with database.reading("looking for ratings that MLflow does not know") as reading:
        return tuple(int(row["id"]) for row in reading.rows(_SINCE_TOLD))
