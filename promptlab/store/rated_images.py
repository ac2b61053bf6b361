"""What was thought of pictures, read: stars and votes with the setting, seed and words of the pictures they are about.

Plain SQL, as in :mod:`promptlab.store.run_list`. A link is the picture that it links to: a picture is known by the row
it
was made in, and seen under the settings of the runs that are asked about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from promptlab.expand.settings_text import together
from promptlab.specs import Lora
from promptlab.store.database import Database

__all__ = ["RatedImage", "RatedImages", "Vote", "opinions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedImage:
    """A picture that can be judged, or was: ``source`` is what it is a link to, or itself, as a row's number."""

    source: int
    run_id: int
    position: int
    seed: int
    path: str | None
    stars: int | None
    prompt: str
    label: str
    model: str
    vae: str | None
    dtype: str | None
    scheduler: str | None
    steps: int | None
    guidance: float | None
    sweep_values: tuple[tuple[str, str], ...]
    lora: str | None = None

    @property
    def ref(self) -> str:
        """How the image is named on the command line: ``12/3``."""
        return f"{self.run_id}/{self.position}"

    @property
    def setting(self) -> tuple[object, ...]:
        """All that is neither seed nor words."""
        return (self.model, self.vae, self.dtype, self.scheduler, self.steps, self.guidance, self.lora)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One picture was liked better than another, or neither; both by their sources."""

    winner: int
    loser: int
    tie: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedImages:
    """Pictures by their sources, and the votes between any two of them."""

    pictures: Mapping[int, RatedImage]
    votes: tuple[Vote, ...]


_PICTURES: Final = """
    WITH asked AS (SELECT id AS source FROM promptlab_images WHERE CAST(:every AS BOOLEAN)
                   UNION SELECT image_id FROM promptlab_ratings
                   UNION SELECT winner_image_id FROM promptlab_votes UNION SELECT loser_image_id FROM promptlab_votes)
    SELECT coalesce(image.linked_image_id, image.id) AS source, image.run_id, image.position, image.seed, image.path,
           rating.stars, variant.prompt, variant.label, run.model, run.vae, run.dtype, run.scheduler,
           run.num_inference_steps AS steps, run.guidance_scale AS guidance, CAST(run.loras AS TEXT) AS lora,
           CAST(run.sweep_values AS TEXT) AS sweep_values
    FROM promptlab_images image
    JOIN promptlab_variants variant ON variant.id = image.variant_id
    JOIN promptlab_runs run ON run.id = image.run_id
    LEFT JOIN promptlab_ratings rating ON rating.image_id = coalesce(image.linked_image_id, image.id)
    WHERE image.status = 'MADE' AND coalesce(image.linked_image_id, image.id) IN (SELECT source FROM asked)
      AND (CAST(:runs AS TEXT) IS NULL OR image.run_id IN ({runs}))
      AND (CAST(:experiment AS TEXT) IS NULL OR run.experiment = CAST(:experiment AS TEXT))
    ORDER BY image.id DESC
"""

_VOTES: Final = """
    SELECT winner_image_id AS winner, loser_image_id AS loser, tie FROM promptlab_votes ORDER BY id
"""


def opinions(
    database: Database, *, runs: Iterable[int] | None = None, experiment: str | None = None, every: bool = False
) -> RatedImages:
    """What was thought of the pictures of ``runs``, of an experiment, or of all.

    Args:
        every: also the pictures of which nobody has said anything yet.

    Raises:
        WorkspaceError: when it is no database, or not of this schema.
        StoreError: when it fails while it is read.
    """
    if not database.is_readable():
        return RatedImages(pictures={}, votes=())
    numbers = None if runs is None else json.dumps(sorted(runs))
    given = {"runs": numbers, "experiment": experiment, "every": every}
    with database.reading("reading votes") as reading:
        select = _PICTURES.format(runs=reading.dialect.numbers("runs"))
        pictures = {row["source"]: _judged(row) for row in reading.rows(select, given)}
        votes = tuple(
            Vote(winner=row["winner"], loser=row["loser"], tie=bool(row["tie"]))
            for row in reading.rows(_VOTES)
            if row["winner"] in pictures and row["loser"] in pictures
        )
    return RatedImages(pictures=pictures, votes=votes)


def _judged(row: dict[str, Any]) -> RatedImage:
    values = json.loads(row["sweep_values"] or "null") or ()
    loras = tuple(Lora(**each) for each in json.loads(row["lora"] or "null") or ())
    return RatedImage(
        **{
            **row,
            "sweep_values": tuple((field, value) for field, value in values),
            "lora": together(loras) if loras else None,
        }
    )
