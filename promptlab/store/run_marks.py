"""Tells which runs have changed between two looks, whoever changed them. Plain SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from promptlab.store.database import Database

__all__ = ["children_of", "run_marks", "runs_before"]

_RUNS: Final = """
    SELECT run.id, run.status, run.tracked_at IS NOT NULL AS tracked,
           count(CASE WHEN image.status = 'MADE' THEN 1 END) AS made,
           count(CASE WHEN image.status = 'FAILED' THEN 1 END) AS failed
    FROM promptlab_runs run LEFT JOIN promptlab_images image ON image.run_id = run.id
    GROUP BY run.id
"""

_SAID: Final = """
    SELECT image.run_id, count(*) AS said, max(said.at) AS latest
    FROM (SELECT image_id AS source, rated_at AS at FROM promptlab_ratings
          UNION ALL SELECT winner_image_id, voted_at FROM promptlab_votes
          UNION ALL SELECT loser_image_id, voted_at FROM promptlab_votes
          UNION ALL SELECT image_id, verified_at FROM promptlab_verifications) said
    JOIN promptlab_images image ON image.id = said.source
    GROUP BY image.run_id
"""

_PAGE: Final = """
    SELECT id FROM promptlab_runs
    WHERE id < :before AND (CAST(:experiment AS TEXT) IS NULL OR experiment = CAST(:experiment AS TEXT))
    ORDER BY id DESC LIMIT :limit
"""

_CHILDREN: Final = """
    SELECT id, parent_run_id FROM promptlab_runs WHERE parent_run_id IN ({ids}) ORDER BY id
"""


def run_marks(database: Database) -> Mapping[int, tuple[object, ...]]:
    """Return a mark of every run, by its number: another once its images or their ratings have changed.

    Raises:
        StoreError: when it fails while it is read.
    """
    if not database.is_readable():
        return {}
    with database.reading("looking for what has changed") as reading:
        said = {row["run_id"]: (row["said"], str(row["latest"])) for row in reading.rows(_SAID)}
        return {
            row["id"]: (row["status"], bool(row["tracked"]), row["made"], row["failed"], said.get(row["id"]))
            for row in reading.rows(_RUNS)
        }


def runs_before(database: Database, before: int, *, limit: int, experiment: str | None = None) -> tuple[int, ...]:
    """Return the numbers of the ``limit`` newest runs below ``before``, newest first."""
    if not database.is_readable():
        return ()
    given = {"before": before, "limit": limit, "experiment": experiment}
    with database.reading("reading the runs") as reading:
        return tuple(row["id"] for row in reading.rows(_PAGE, given))


def children_of(database: Database, ids: Iterable[int]) -> Mapping[int, tuple[int, ...]]:
    """Return the runs that were varied from each of the named ones, oldest first."""
    import json

    found: dict[int, tuple[int, ...]] = {}
    with database.reading("reading the runs") as reading:
        select = _CHILDREN.format(ids=reading.dialect.numbers("ids"))
        for row in reading.rows(select, {"ids": json.dumps(sorted(ids))}):
            found[row["parent_run_id"]] = (*found.get(row["parent_run_id"], ()), row["id"])
    return found
