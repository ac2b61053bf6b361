"""Checks runs: all images made, rows unedited and as the files' metadata says, grid and report.

A recipe key is a hash of everything that decides an image. So a row that was edited by hand gives itself away twice:
its key no longer follows from it, and the metadata that was written with the image says something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlab.errors import InputError, one_line
from promptlab.lab.maintenance.doctor.files import ImageFile, set_aside_command
from promptlab.lab.maintenance.doctor.findings import Finding, FindingKind, image_refs
from promptlab.plan import ResolvedSpec, keys_of
from promptlab.records import ImageRecord, ImageStatus, RunRecord, RunStatus, SweepRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.images.metadata import ImageMetadata
    from promptlab.lab.maintenance.doctor.checked_files import CheckedFiles

__all__ = [
    "check_complete",
    "check_cut_short",
    "check_grid",
    "check_metadata",
    "check_overview",
    "check_recipe_keys",
    "check_report",
]

_Difference = tuple[str, str, str]
"""A field, its value in the row, its value in the file."""


def check_recipe_keys(run: RunRecord) -> Iterator[Finding]:
    """Yield the images whose recipe key does not follow from the row.

    Images imported from other programs are not checked: their settings are what those programs wrote, and may have
    gaps.
    """
    if run.origin is not None:
        return
    resolved = ResolvedSpec(
        spec=run.spec, device=run.device, model_identity=run.model_identity, vae_identity=run.vae_identity
    )
    wrong = [image for image in run.images if image.position >= run.spec.image_count]
    rows = [image for image in run.images if image.position < run.spec.image_count]
    sizes = {image.batch_size for image in rows}
    keys = {size: keys_of([resolved.at(size)])[0] for size in {None, *sizes}}
    for image in rows:
        asked, made = keys[None][image.position], keys[image.batch_size][image.position]
        if made != image.recipe_key or (image.asked_key or asked) != asked:
            wrong.append(image)
    if wrong:
        path = next((image.path for image in wrong if image.path and image.linked is None), None)
        remedy = f"promptlab import {path}" if path else "put back a backup of mlflow.db"
        yield Finding(
            kind=FindingKind.ROW, subject=image_refs(wrong), remedy=remedy, run_id=run.id,
            problem="the recipe key does not follow from the row, which was edited",
            positions=tuple(image.position for image in wrong), path=path,
        )  # fmt: skip


def check_metadata(files: Sequence[ImageFile], runs: dict[int, RunRecord]) -> Iterator[Finding]:
    """Yield where the metadata of a file differs from its row; images that differ alike make one finding."""
    apart: dict[tuple[int, int, _Difference], list[tuple[ImageRecord, str]]] = {}
    for file in files:
        image = file.images[0]
        if not file.whole or image.linked is not None:
            continue
        run = runs[image.run_id]
        if file.metadata is None:
            yield from _check_silent(file, run)
            continue
        if (file.metadata.run_uid, file.metadata.position) != (run.uid, image.position):
            whose = f"{file.metadata.run_id}/{file.metadata.position} of run {file.metadata.run_uid[:8]}…"
            yield Finding(
                kind=FindingKind.CHUNK, subject=image_refs([image]), run_id=run.id, positions=(image.position,),
                path=file.path,
                problem=f"the file says it is image {whose} ({file.path})",
                remedy=set_aside_command(file.path, run.id),
            )  # fmt: skip
            continue
        for difference in _differences(run, image, file.metadata):
            apart.setdefault((run.id, image.variant, difference), []).append((image, file.path))
    for (run_id, _, (field, row, said)), found in apart.items():
        images = [image for image, _ in found]
        yield Finding(
            kind=FindingKind.CHUNK, subject=image_refs(images), remedy=f"promptlab import {found[0][1]}", run_id=run_id,
            problem=f"{field} is '{row}' in the row and '{said}' in the file",
            positions=tuple(image.position for image in images), path=found[0][1],
        )  # fmt: skip


def _check_silent(file: ImageFile, run: RunRecord) -> Iterator[Finding]:
    if run.origin is not None and file.metadata_problem is None:
        return
    image = file.images[0]
    why = f"the file {file.metadata_problem or 'says nothing about itself: another program wrote it'}"
    yield Finding(
        kind=FindingKind.CHUNK, subject=image_refs([image]), problem=f"{why} ({file.path})",
        remedy=set_aside_command(file.path, run.id), run_id=run.id, positions=(image.position,), path=file.path,
    )  # fmt: skip


def _differences(run: RunRecord, image: ImageRecord, metadata: ImageMetadata) -> Iterator[_Difference]:
    variant = run.spec.variants[image.variant]
    said = metadata.spec.variants[0]
    pairs: list[tuple[str, Any, Any]] = [
        ("the prompt", variant.prompt, said.prompt),
        ("the negative prompt", variant.negative_prompt, said.negative_prompt),
        ("the seed", image.seed, metadata.spec.seeds[0]),
        ("the recipe key", image.recipe_key, metadata.recipe_key),
        ("the model", run.model_identity, metadata.model_identity),
        ("the VAE", run.vae_identity, metadata.vae_identity),
        ("the hash of the pixels", image.pixel_sha256, metadata.pixel_sha256 or image.pixel_sha256),
        ("the environment", image.environment or run.environment.hash, metadata.environment_hash),
    ]
    size = image.batch_size or run.spec.batch_size
    own = run.spec.vary(variants=metadata.spec.variants, seeds=metadata.spec.seeds, batch_size=size)
    pairs += [(change.field, change.before, change.after) for change in own.diff(metadata.spec)]
    for field, row, file in pairs:
        if row != file:
            yield field, one_line(row, limit=80), one_line(file, limit=80)


def check_complete(run: RunRecord) -> Iterator[Finding]:
    """Yield what a run lacks that no process is making."""
    remedy = "promptlab import FILE" if run.is_foreign else f"promptlab resume {run.id}"
    if run.status is RunStatus.RUNNING:
        yield Finding(
            kind=FindingKind.CRASHED, subject=f"run {run.id}", remedy=remedy, run_id=run.id,
            problem=f"left with {len(run.made)} of {len(run.images)} pictures made: no process is making it",
        )  # fmt: skip
        return
    for status, problem in ((ImageStatus.OWED, "still owed"), (ImageStatus.FAILED, "could not be made")):
        images = [image for image in run.images if image.status is status]
        if images:
            error = f": {images[0].error}" if images[0].error else ""
            yield Finding(
                kind=FindingKind.OWED, subject=image_refs(images), problem=f"{problem}{error}", remedy=remedy,
                run_id=run.id, positions=tuple(image.position for image in images),
            )  # fmt: skip


def check_grid(run: RunRecord, workspace: Workspace, checked: CheckedFiles) -> Iterator[Finding]:
    """Yield a finding if the grid of an ended run is missing or damaged."""
    path = workspace.grid(run.id)
    where = workspace.relative(path)
    if not run.made or checked.agrees(where, "grid"):
        return
    stamp = checked.stamp(where, "grid")
    why = _unreadable(path)
    if why is None:
        checked.remember(where, stamp)
    else:
        yield Finding(
            kind=FindingKind.GRID, subject=f"run {run.id}", problem=f"the grid {why} ({workspace.relative(path)})",
            remedy="promptlab doctor --fix", fixable=True, run_id=run.id, path=workspace.relative(path),
        )  # fmt: skip


def check_report(run: RunRecord, workspace: Workspace) -> Iterator[Finding]:
    """Yield a finding if the report of an ended run is missing."""
    path = workspace.report(run.id)
    if run.made and not path.is_file():
        yield Finding(
            kind=FindingKind.GRID, subject=f"run {run.id}", run_id=run.id, path=workspace.relative(path),
            problem=f"the report is missing ({workspace.relative(path)})",
            remedy="promptlab doctor --fix", fixable=True,
        )  # fmt: skip


def check_overview(sweep: SweepRecord, workspace: Workspace) -> Iterator[Finding]:
    """Yield the pages of a sweep's overview that are missing or damaged; every sweep has a first one."""
    pages = {workspace.sweep_grid(sweep.id, 1), *workspace.sweep_folder(sweep.id).glob("grid-*.png")}
    for path in sorted(pages):
        if why := _unreadable(path):
            yield Finding(
                kind=FindingKind.GRID, subject=f"sweep {sweep.id}", path=workspace.relative(path), sweep_id=sweep.id,
                problem=f"the overview {why} ({workspace.relative(path)})",
                remedy="promptlab doctor --fix", fixable=True,
            )  # fmt: skip


def check_cut_short(cut_short: Mapping[int, int]) -> Iterator[Finding]:
    """Yield the sweeps that lack runs: an earlier PromptLab was stopped while it wrote them.

    Args:
        cut_short: how many runs each has, by its number.
    """
    for sweep_id, runs in cut_short.items():
        there = f"{runs} of its runs {'is' if runs == 1 else 'are'} there" if runs else "none of its runs is there"
        yield Finding(
            kind=FindingKind.CRASHED, subject=f"sweep {sweep_id}", sweep_id=sweep_id,
            problem=f"cut short while it was begun: {there}; the command that began it, typed once more, completes it",
        )  # fmt: skip


def _unreadable(path: Path) -> str | None:
    from promptlab.images.png import read_text

    try:
        read_text(path)
    except InputError as error:
        return "is missing" if not path.exists() else error.problem
    return None
