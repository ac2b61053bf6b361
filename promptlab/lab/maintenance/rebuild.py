"""Rebuilds a run's record from the metadata of its images, where its grid is lost.

Every image names its own prompt, seed, recipe and position, and the seeds of its whole run. Prompts of which no image
is left are lost; the others keep their order. Seeds of which none is left are owed, so that resuming makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from promptlab.expand.seeds import parse_seeds
from promptlab.images.metadata import ImageMetadata
from promptlab.plan import ResolvedSpec
from promptlab.records import (
    Environment,
    ImageRecord,
    ImageStatus,
    Origin,
    RunRecord,
    RunStatus,
    VariantRecord,
)
from promptlab.specs import RunSpec

__all__ = ["rebuild_run"]


def rebuild_run(pictures: Sequence[ImageMetadata]) -> tuple[RunRecord, dict[int, str]]:
    """Rebuild the record of the run of ``pictures``, one or more, with every image owed.

    Returns:
        The record, and the uids of the runs that it refers to, by the numbers that they have in it.
    """
    first = pictures[0]
    words = dict(sorted({_row(each): each.spec.variants[0] for each in pictures}.items()))
    seeds = parse_seeds(first.seeds) if first.seeds else tuple(sorted({each.spec.seeds[0] for each in pictures}))
    size = max((each.spec.batch_size for each in pictures if isinstance(each.spec.batch_size, int)), default=None)
    spec = first.spec.vary(variants=tuple(words.values()), seeds=seeds, batch_size=size)
    uids, images = _images(pictures, list(words), spec)
    environment = first.environment or Environment(facts={"unknown": first.environment_hash})
    now = datetime.now(UTC)
    whole = len(pictures) == spec.image_count
    record = RunRecord(
        id=first.run_id, uid=first.run_uid, experiment=first.experiment, name=first.name, note=first.note,
        status=RunStatus.FINISHED if whole else RunStatus.KILLED, spec=spec, device=first.device,
        model_identity=first.model_identity, vae_identity=first.vae_identity, created_at=first.created_at or now,
        ended_at=first.created_at or now,
        variants=tuple(VariantRecord(position=at, variant=each) for at, each in enumerate(spec.variants)),
        images=_complete(images, first, spec), environment=environment,
        parent_run_id=next(iter(uids), None), changes=first.changes,
        origin=Origin(program="PromptLab", file=f"{len(pictures)} pictures"),
    )  # fmt: skip
    return record, uids


def _row(picture: ImageMetadata) -> int:
    """Return the position of the image's prompt; the first metadata format has its own position only."""
    return picture.position if picture.variant is None else picture.variant


def _images(
    pictures: Sequence[ImageMetadata], rows: list[int], spec: RunSpec
) -> tuple[dict[int, str], dict[int, ImageRecord]]:
    uids: dict[int, str] = {}
    images: dict[int, ImageRecord] = {}
    for each in pictures:
        row, seed, parent = rows.index(_row(each)), each.spec.seeds[0], None
        if each.parent is not None and each.parent.run_uid is not None and each.parent.position is not None:
            number = next((known for known, uid in uids.items() if uid == each.parent.run_uid), len(uids) + 1)
            uids[number] = each.parent.run_uid
            parent = (number, each.parent.position)
        position = row * len(spec.seeds) + spec.seeds.index(seed)
        size = each.spec.batch_size
        smaller = size if isinstance(size, int) and size != spec.batch_size else None
        asked = ResolvedSpec(
            spec=spec, device=each.device, model_identity=each.model_identity, vae_identity=each.vae_identity
        ).key(each.spec.variants[0], seed)
        images[position] = ImageRecord(
            run_id=each.run_id, position=position, variant=row, seed=seed, status=ImageStatus.OWED,
            recipe_key=each.recipe_key, parent=parent, batch_size=smaller, asked_key=asked if smaller else None,
        )  # fmt: skip
    return uids, images


def _complete(images: dict[int, ImageRecord], first: ImageMetadata, spec: RunSpec) -> tuple[ImageRecord, ...]:
    """Return all images of the run in order; those without a file with the recipe keys they would have."""
    variants, seeds = spec.variants, spec.seeds
    resolved = ResolvedSpec(
        spec=spec, device=first.device, model_identity=first.model_identity, vae_identity=first.vae_identity
    )
    return tuple(
        images.get(position)
        or ImageRecord(
            run_id=first.run_id,
            position=position,
            variant=position // len(seeds),
            seed=seeds[position % len(seeds)],
            status=ImageStatus.OWED,
            recipe_key=resolved.key(variants[position // len(seeds)], seeds[position % len(seeds)]),
        )
        for position in range(len(variants) * len(seeds))
    )
