"""Reads stars and votes, with the setting, seed and words of their images. Plain SQL.

A link is the image that it links to: an image is known by the row it was made in, and seen under the settings of the
runs that are asked about. Runs of one ``setting_key`` share a setting, so that is read once for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from promptlab.specs import RunSpec, Variant
from promptlab.store.database import Database
from promptlab.store.readonly import Reading
from promptlab.store.spec_columns import decoded, select_list, spec_of

__all__ = ["RatedImage", "RatedImages", "RatedSetting", "Vote", "read_rated_images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedImage:
    """Describes an image that can be rated, or was.

    Args:
        source: the image that it is a link to, or itself, as a row's number.
        setting_key: of its run; see :attr:`RatedImages.settings`.
        score, scored_by: of the scorer that was asked about, and the model that gave it.
    """

    source: int
    run_id: int
    position: int
    seed: int
    path: str | None
    stars: int | None
    prompt: str
    negative_prompt: str
    label: str
    setting_key: str
    sweep_values: tuple[tuple[str, str], ...]
    score: float | None = None
    scored_by: str | None = None

    @property
    def ref(self) -> str:
        """Return how the image is named on the command line: ``12/3``."""
        return f"{self.run_id}/{self.position}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedSetting:
    """Describes what runs of one ``setting_key`` have in common.

    Args:
        spec: of the first of them; its seeds and words say nothing.
    """

    spec: RunSpec
    model_identity: str
    vae_identity: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """Says that one image was liked better than another, or neither; both by their sources."""

    winner: int
    loser: int
    tie: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedImages:
    """Holds images by their sources, the votes between them, and their settings by their keys."""

    images: Mapping[int, RatedImage]
    votes: tuple[Vote, ...]
    settings: Mapping[str, RatedSetting] = field(default_factory=dict)


_IMAGES: Final = """
    SELECT coalesce(image.linked_image_id, image.id) AS source, image.run_id, image.position, image.seed, image.path,
           rating.stars, score.value AS score, score.model AS scored_by,
           variant.prompt, variant.negative_prompt, variant.label, run.setting_key,
           CAST(run.sweep_values AS TEXT) AS sweep_values
    FROM promptlab_images image
    JOIN promptlab_variants variant ON variant.id = image.variant_id
    JOIN promptlab_runs run ON run.id = image.run_id
    LEFT JOIN promptlab_ratings rating ON rating.image_id = coalesce(image.linked_image_id, image.id)
    LEFT JOIN promptlab_scores score
        ON score.image_id = coalesce(image.linked_image_id, image.id) AND score.scorer = CAST(:scorer AS TEXT)
    WHERE {conditions}
    ORDER BY image.id DESC
"""

_SAID_OF: Final = """
    SELECT image_id FROM promptlab_ratings
    UNION SELECT winner_image_id FROM promptlab_votes UNION SELECT loser_image_id FROM promptlab_votes
"""

_RATED: Final = f"""
    (image.linked_image_id IN ({_SAID_OF}) OR (image.linked_image_id IS NULL AND image.id IN ({_SAID_OF})))
"""

_SETTINGS: Final = f"""
    SELECT run.setting_key, run.model_identity, run.vae_identity, {select_list("run")}
    FROM promptlab_runs run WHERE run.id IN ({{ids}})
"""  # noqa: S608 - columns of ours

_VOTES: Final = """
    SELECT winner_image_id AS winner, loser_image_id AS loser, tie FROM promptlab_votes ORDER BY id
"""

_NO_WORDS: Final = (Variant(prompt=""),)


def read_rated_images(
    database: Database,
    *,
    runs: Iterable[int] | None = None,
    experiment: str | None = None,
    every: bool = False,
    scorer: str | None = None,
) -> RatedImages:
    """Read what was thought of the images of ``runs``, of an experiment, or of all.

    Args:
        every: also the images of which nobody has said anything yet.
        scorer: read its scores, and the images that have one, in place of those that somebody rated.

    Raises:
        WorkspaceError: when it is no database, or not of this schema.
        StoreError: when it fails while it is read.
    """
    if not database.is_readable():
        return RatedImages(images={}, votes=())
    said = [] if every else [_RATED if scorer is None else "score.value IS NOT NULL"]
    conditions, given = ["image.status = 'MADE'", *said], dict[str, Any](scorer=scorer)
    if experiment is not None:
        conditions.append("run.experiment = :experiment")
        given["experiment"] = experiment
    with database.reading("reading votes") as reading:
        if runs is not None:
            conditions.append(f"image.run_id IN ({reading.dialect.numbers('runs')})")
            given["runs"] = json.dumps(sorted(runs))
        select = _IMAGES.format(conditions=" AND ".join(conditions))
        images = {row["source"]: _rated(row) for row in reading.rows(select, given)}
        votes = tuple(
            Vote(winner=row["winner"], loser=row["loser"], tie=bool(row["tie"]))
            for row in reading.rows(_VOTES)
            if row["winner"] in images and row["loser"] in images
        )
        firsts = {one.setting_key: one.run_id for one in images.values()}
        settings = dict(_settings(reading, firsts.values()))
    return RatedImages(images=images, votes=votes, settings=settings)


def _rated(row: dict[str, Any]) -> RatedImage:
    values = json.loads(row["sweep_values"] or "null") or ()
    return RatedImage(**row | {"sweep_values": tuple((name, value) for name, value in values)})


def _settings(reading: Reading, run_ids: Iterable[int]) -> Iterator[tuple[str, RatedSetting]]:
    select = _SETTINGS.format(ids=reading.dialect.numbers("ids"))
    for row in reading.rows(select, {"ids": json.dumps(sorted(run_ids))}):
        spec = spec_of(decoded(row), _NO_WORDS)
        identities = {"model_identity": row["model_identity"], "vae_identity": row["vae_identity"]}
        yield row["setting_key"], RatedSetting(spec=spec, **identities)
