"""Reads which runs came from which, in plain SQL: what a tree of runs is drawn from.

As for the list (see :mod:`promptlab.store.readonly`), SQLAlchemy would take longer to import than all of this takes. A
tree is asked for in two steps, so that its size and not the workspace's decides what is read: :func:`parent_links`
names every run in a few numbers, :func:`tree_runs` and :func:`tree_sweeps` read those that are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from promptlab.records import RunStatus
from promptlab.specs import Change, Variant
from promptlab.store.database import Database
from promptlab.store.readonly import Reading

__all__ = [
    "ImageAncestor",
    "ParentLink",
    "TreeRun",
    "TreeSweep",
    "image_ancestry",
    "parent_links",
    "tree_runs",
    "tree_sweeps",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentLink:
    """Links a run to its parent and its sweep; ``asked`` sorts by when it was last asked for."""

    run_id: int
    experiment: str
    parent_run_id: int | None
    sweep_id: int | None
    asked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRun:
    """Holds what a tree says of one run.

    Args:
        variants: its wordings, in order.
        images, made: how many it asks for, how many are there.
        parent_image: the one image that all of it was varied from.
        changes: what was changed from the parent's spec.
        origin: the program that made it and the file's name, where it was not made here.
    """

    id: int
    experiment: str
    name: str | None
    status: RunStatus
    seeds: tuple[int, ...]
    model: str
    vae: str | None
    dtype: str | None
    scheduler: str | None
    num_inference_steps: int | None
    variants: tuple[Variant, ...]
    images: int
    made: int
    seconds_per_image: float | None
    parent_run_id: int | None
    parent_image: tuple[int, int] | None
    changes: tuple[Change, ...]
    sweep_id: int | None
    sweep_values: tuple[tuple[str, str], ...]
    origin: tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSweep:
    """Holds what a tree says of one sweep: ``dimensions`` are the fields that vary."""

    id: int
    experiment: str
    name: str | None
    dimensions: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAncestor:
    """Holds one image of those that an image was varied from: ``label`` is its variant's."""

    run_id: int
    position: int
    seed: int
    label: str


_DOING: Final = "reading the tree of runs"

_LINKS: Final = """
    SELECT id AS run_id, experiment, parent_run_id, sweep_id, coalesce(asked_at, created_at) AS asked
    FROM promptlab_runs ORDER BY id
"""

_RUNS: Final = """
    SELECT run.id, run.experiment, run.name, run.status, run.model, run.vae, run.dtype, run.scheduler,
           run.num_inference_steps, run.parent_run_id, run.sweep_id, CAST(run.seeds AS TEXT) AS seeds,
           CAST(run.changes AS TEXT) AS changes, CAST(run.sweep_values AS TEXT) AS sweep_values,
           CAST(run.origin AS TEXT) AS origin,
           count(image.id) AS images,
           count(CASE WHEN image.status = 'MADE' THEN 1 END) AS made,
           avg(CASE WHEN image.status = 'MADE' AND image.linked_image_id IS NULL THEN image.seconds END)
               AS seconds_per_image,
           CASE WHEN count(DISTINCT coalesce(image.parent_image_id, 0)) = 1 THEN max(image.parent_image_id) END
               AS parent_image_id
    FROM promptlab_runs run LEFT JOIN promptlab_images image ON image.run_id = run.id
    WHERE run.id IN ({ids})
    GROUP BY run.id
"""

_PARENTS: Final = """
    SELECT id, run_id, position FROM promptlab_images WHERE id IN ({ids})
"""

_VARIANTS: Final = """
    SELECT run_id, prompt, negative_prompt, label, template, replacement, source FROM promptlab_variants
    WHERE run_id IN ({ids}) ORDER BY run_id, position
"""

_SWEEPS: Final = """
    SELECT id, experiment, name, CAST(dimensions AS TEXT) AS dimensions FROM promptlab_sweeps WHERE id IN ({ids})
"""

_ANCESTRY: Final = """
    WITH RECURSIVE line(id, parent, depth) AS (
        SELECT id, parent_image_id, 0 FROM promptlab_images WHERE run_id = :run_id AND position = :position
        UNION ALL
        SELECT image.id, image.parent_image_id, depth + 1 FROM promptlab_images image JOIN line ON image.id = parent
    )
    SELECT image.run_id, image.position, image.seed, variant.label
    FROM line JOIN promptlab_images image ON image.id = line.id
    JOIN promptlab_variants variant ON variant.id = image.variant_id
    ORDER BY depth
"""


def parent_links(database: Database) -> tuple[ParentLink, ...]:
    """Read every run of the workspace, oldest first; none where there is no database yet.

    Raises:
        WorkspaceError: when it is no database, or not of this schema.
    """
    if not database.is_readable():
        return ()
    with database.reading(_DOING) as reading:
        return tuple(ParentLink(**row | {"asked": str(row["asked"])}) for row in reading.rows(_LINKS))


def tree_runs(database: Database, ids: Iterable[int]) -> Mapping[int, TreeRun]:
    """Read the runs with these numbers, as far as they are there."""
    with database.reading(_DOING) as reading:
        rows = list(_of(reading, _RUNS, ids))
        images = [row["parent_image_id"] for row in rows if row["parent_image_id"]]
        parents = {row["id"]: (row["run_id"], row["position"]) for row in _of(reading, _PARENTS, images)}
        variants: dict[int, list[Variant]] = {}
        for row in _of(reading, _VARIANTS, (row["id"] for row in rows)):
            variants.setdefault(row.pop("run_id"), []).append(Variant(**row))
    return {row["id"]: _tree_run(row, parents, tuple(variants.get(row["id"], ()))) for row in rows}


def tree_sweeps(database: Database, ids: Iterable[int]) -> Mapping[int, TreeSweep]:
    """Read the sweeps with these numbers, as far as they are there."""
    with database.reading(_DOING) as reading:
        return {
            row["id"]: TreeSweep(**row | {"dimensions": tuple(map(tuple, json.loads(row["dimensions"])))})
            for row in _of(reading, _SWEEPS, ids)
        }


def image_ancestry(database: Database, run_id: int, position: int) -> tuple[ImageAncestor, ...]:
    """Read an image, the image it was varied from, and so on to the first; none where it is not there."""
    with database.reading(_DOING) as reading:
        return tuple(ImageAncestor(**row) for row in reading.rows(_ANCESTRY, {"run_id": run_id, "position": position}))


def _of(reading: Reading, select: str, ids: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Read the rows of a select of ``{ids}``, however many there are."""
    return reading.rows(select.format(ids=reading.dialect.numbers("ids")), {"ids": json.dumps(sorted(ids))})


def _tree_run(row: dict[str, Any], parents: Mapping[int, tuple[int, int]], variants: tuple[Variant, ...]) -> TreeRun:
    origin = json.loads(row["origin"] or "null")
    given = {
        "status": RunStatus(row["status"]),
        "seeds": tuple(json.loads(row["seeds"])),
        "variants": variants,
        "parent_image": parents.get(row.pop("parent_image_id")),
        "changes": tuple(Change(field=name, before=old, after=new) for name, old, new in json.loads(row["changes"])),
        "sweep_values": tuple((field, value) for field, value in json.loads(row["sweep_values"] or "null") or ()),
        "origin": None if origin is None else (origin["program"], origin["file"]),
    }
    return TreeRun(**row | given)
