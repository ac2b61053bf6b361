"""Reads the lines of ``promptlab list``; without SQLAlchemy, where the rows are in a file.

Importing SQLAlchemy takes four times as long as everything else that ``promptlab list`` does, and a list is what people
ask for most. So it is put in plain SQL (see :mod:`promptlab.store.readonly`). This module only reads; everything that
writes, and every whole record, goes through :mod:`promptlab.store.notebook`.
"""

from __future__ import annotations

from typing import Final

from promptlab.records import RunStatus, RunSummary
from promptlab.store.database import Database
from promptlab.store.dialects import utc_time
from promptlab.store.readonly import NO_LIMIT

__all__ = ["summaries"]

_SUMMARIES: Final = """
    SELECT run.id, run.experiment, run.name, run.status, run.created_at, run.scheduler, run.num_inference_steps,
           run.dtype, run.model, run.vae, run.parent_run_id, run.tracked_at IS NOT NULL AS tracked,
           (SELECT prompt FROM promptlab_variants WHERE run_id = run.id ORDER BY position LIMIT 1) AS prompt,
           (SELECT count(*) FROM promptlab_variants WHERE run_id = run.id) AS variants,
           count(image.id) AS images,
           count(CASE WHEN image.status = 'MADE' THEN 1 END) AS made,
           avg(CASE WHEN image.status = 'MADE' THEN image.seconds END) AS seconds_per_image
    FROM promptlab_runs run LEFT JOIN promptlab_images image ON image.run_id = run.id
    WHERE run.id IN (SELECT id FROM promptlab_runs
                     WHERE CAST(:experiment AS TEXT) IS NULL OR experiment = CAST(:experiment AS TEXT)
                     ORDER BY id DESC LIMIT :limit)
    GROUP BY run.id
    ORDER BY run.id DESC
"""

_SCORES: Final = """
    SELECT image.run_id AS id, score.scorer, avg(score.value) AS mean
    FROM promptlab_scores score
    JOIN promptlab_images image ON coalesce(image.linked_image_id, image.id) = score.image_id
    WHERE image.status = 'MADE'
      AND image.run_id IN (SELECT id FROM promptlab_runs
                           WHERE CAST(:experiment AS TEXT) IS NULL OR experiment = CAST(:experiment AS TEXT)
                           ORDER BY id DESC LIMIT :limit)
    GROUP BY image.run_id, score.scorer
    ORDER BY image.run_id, score.scorer
"""


def summaries(database: Database, *, experiment: str | None = None, limit: int | None = None) -> tuple[RunSummary, ...]:
    """Read the runs of a workspace, newest first; none where there is no database yet.

    Raises:
        WorkspaceError: when it is no database, or a newer PromptLab's, or an older one that wants upgrading.
        StoreError: when it fails while it is read.
    """
    if not database.is_readable():
        return ()
    with database.reading("reading the list of runs") as reading:
        given = {"experiment": experiment, "limit": NO_LIMIT if limit is None else limit}
        scores: dict[int, dict[str, float]] = {}
        for row in reading.rows(_SCORES, given):
            scores.setdefault(row["id"], {})[row["scorer"]] = float(row["mean"])
        return tuple(
            RunSummary(
                **row | {
                    "status": RunStatus(row["status"]),
                    "created_at": utc_time(row["created_at"]),
                    "tracked": bool(row["tracked"]),
                    "scores": scores.get(row["id"], {}),
                }
            )
            for row in reading.rows(_SUMMARIES, given)
        )  # fmt: skip
