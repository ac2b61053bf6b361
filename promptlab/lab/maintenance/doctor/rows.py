"""The rows, against the recipe keys that were written with them and against what the pictures say of themselves.

A recipe key is a hash of everything that decides a picture. So a row that was edited by hand gives itself away twice:
its key no longer follows from it, and the picture's own words, written when it was made, are others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from promptlab.errors import one_line
from promptlab.lab.execution.shrinking import tasks_for
from promptlab.lab.maintenance.doctor.files import ImageFile, set_aside
from promptlab.lab.maintenance.doctor.findings import Finding, Kind, named
from promptlab.plan import ResolvedSpec, requests_of
from promptlab.records import ImageRecord, RunRecord

__all__ = ["edited", "told_otherwise"]

_Pair = tuple[str, str, str]
"""Field, what the row says, what the picture says."""


def edited(run: RunRecord) -> Iterator[Finding]:
    """Images whose recipe key does not follow from the row. Of pictures taken in from other programs nothing is asked.

    Their settings are what those programs told, and need not be whole.
    """
    if run.origin is not None:
        return
    resolved = ResolvedSpec(
        spec=run.spec, device=run.device, model_identity=run.model_identity, vae_identity=run.vae_identity
    )
    wrong = [image for image in run.images if image.position >= run.spec.image_count]
    rows = [image for image in run.images if image.position < run.spec.image_count]
    for image, task, asked in zip(rows, tasks_for(resolved, rows), requests_of(resolved), strict=False):
        if task.recipe_key != image.recipe_key or (image.asked_key or asked.recipe_key) != asked.recipe_key:
            wrong.append(image)
    if wrong:
        path = next((image.path for image in wrong if image.path and image.linked is None), None)
        remedy = f"promptlab import {path}" if path else "put back a backup of mlflow.db"
        yield Finding(
            kind=Kind.ROW, subject=named(wrong), remedy=remedy, run_id=run.id,
            problem="the recipe key does not follow from the row, which was edited",
            positions=tuple(image.position for image in wrong), path=path,
        )  # fmt: skip


def told_otherwise(pictures: Sequence[ImageFile], runs: dict[int, RunRecord]) -> Iterator[Finding]:
    """Where a picture says something else of itself than its row does. Those that say the same of a field are one."""
    apart: dict[tuple[int, int, _Pair], list[tuple[ImageRecord, str]]] = {}
    for picture in pictures:
        image = picture.images[0]
        if not picture.whole or image.linked is not None:
            continue
        run = runs[image.run_id]
        if picture.told is None:
            yield from _silent(picture, run)
            continue
        if (picture.told.run_uid, picture.told.position) != (run.uid, image.position):
            whose = f"{picture.told.run_id}/{picture.told.position} of run {picture.told.run_uid[:8]}…"
            yield Finding(
                kind=Kind.CHUNK, subject=named([image]), problem=f"the file says it is image {whose} ({picture.path})",
                remedy=set_aside(picture.path, run.id), run_id=run.id, positions=(image.position,), path=picture.path,
            )  # fmt: skip
            continue
        for pair in _disagreements(run, image, picture):
            apart.setdefault((run.id, image.variant, pair), []).append((image, picture.path))
    for (run_id, _, (field, row, said)), found in apart.items():
        images = [image for image, _ in found]
        yield Finding(
            kind=Kind.CHUNK, subject=named(images), problem=f"{field} is '{row}' in the row and '{said}' in the file",
            remedy=f"promptlab import {found[0][1]}", run_id=run_id,
            positions=tuple(image.position for image in images), path=found[0][1],
        )  # fmt: skip


def _silent(picture: ImageFile, run: RunRecord) -> Iterator[Finding]:
    if run.origin is not None and picture.untold is None:
        return
    image = picture.images[0]
    why = f"the file {picture.untold or 'says nothing about itself: another program wrote it'}"
    yield Finding(
        kind=Kind.CHUNK, subject=named([image]), problem=f"{why} ({picture.path})",
        remedy=set_aside(picture.path, run.id), run_id=run.id, positions=(image.position,), path=picture.path,
    )  # fmt: skip


def _disagreements(run: RunRecord, image: ImageRecord, picture: ImageFile) -> Iterator[_Pair]:
    told = picture.told
    assert told is not None  # noqa: S101 - the caller has looked
    variant = run.spec.variants[image.variant]
    said = told.spec.variants[0]
    pairs: list[tuple[str, Any, Any]] = [
        ("the prompt", variant.prompt, said.prompt),
        ("the negative prompt", variant.negative_prompt, said.negative_prompt),
        ("the seed", image.seed, told.spec.seeds[0]),
        ("the recipe key", image.recipe_key, told.recipe_key),
        ("the model", run.model_identity, told.model_identity),
        ("the VAE", run.vae_identity, told.vae_identity),
        ("the environment", image.environment or run.environment.hash, told.environment_hash),
    ]
    size = image.batch_size or run.spec.batch_size
    own = run.spec.vary(variants=told.spec.variants, seeds=told.spec.seeds, batch_size=size)
    pairs += [(change.field, change.before, change.after) for change in own.diff(told.spec)]
    for field, row, file in pairs:
        if row != file:
            yield field, one_line(row, limit=80), one_line(file, limit=80)
