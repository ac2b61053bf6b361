"""Collects what a report says: axes, words, runs and images as plain values, ready for JSON.

Every image has a place on every axis. A run's axes are its wordings and its seeds; a sweep's dimensions come before
them. An axis with one value is no question and is left out. What many images share (words, a run, an environment) is
said once and pointed at by its place in a list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab.errors import one_line
from promptlab.images.captions import seconds_text, setting_captions
from promptlab.images.report.axes import ReportAxis, axes_of, seeds_of, wordings_of
from promptlab.images.report.details import UniqueTexts, image_facts, run_facts, words_of
from promptlab.records import RunRecord, RunStatus, SweepRecord
from promptlab.workspace import Workspace

__all__ = ["Contents", "of_run", "of_sweep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Holds a report before it is a file.

    Args:
        title, facts: the head.
        grid: the file name of the drawn grid beside it, for a browser that runs no scripts.
        data: everything else, as JSON can hold it.
        files: of each image, in the order of ``data["images"]``; ``None`` where none was made.
        addressed: how many MLflow runs show its images.
    """

    title: str
    facts: tuple[str, ...]
    grid: str
    data: dict[str, Any]
    files: tuple[Path | None, ...]
    addressed: int = 0


def of_run(run: RunRecord, workspace: Workspace) -> Contents:
    """Collect the contents of a run's report."""
    title = " · ".join(part for part in (f"Run {run.id}", run.name, run.experiment) if part)
    facts = [*setting_captions(run), *_run_came_of(run)]
    data, files = _data([run], axes_of(None, [run]), workspace.report(run.id).parent, workspace)
    return Contents(
        title=one_line(title, limit=200),
        facts=tuple(facts),
        grid=workspace.grid(run.id).name,
        data={"kind": "run", "id": run.id, "name": f"Run {run.id}", **data},
        files=files,
        addressed=len(run.variants),
    )


def of_sweep(sweep: SweepRecord, runs: Sequence[RunRecord], workspace: Workspace) -> Contents:
    """Collect the contents of a sweep's report; ``runs`` are its runs' records, as far as they exist."""
    title = " · ".join(part for part in (f"Sweep {sweep.id}", sweep.name, sweep.experiment) if part)
    data, files = _data(runs, axes_of(sweep, runs), workspace.sweep_report(sweep.id).parent, workspace)
    note = {"note": sweep.note} if sweep.note else {}
    return Contents(
        title=one_line(title, limit=200),
        facts=tuple(_sweep_facts(runs)),
        grid=workspace.sweep_grid(sweep.id, 1).name,
        data={"kind": "sweep", "id": sweep.id, "name": f"Sweep {sweep.id}", **note, **data},
        files=files,
        addressed=sum(len(run.variants) for run in runs),
    )


def _data(
    runs: Sequence[RunRecord], axes: Sequence[ReportAxis], folder: Path, workspace: Workspace
) -> tuple[dict[str, Any], tuple[Path | None, ...]]:
    words, environments = UniqueTexts(), UniqueTexts()
    wordings, seeds = wordings_of(runs), seeds_of(runs)
    images: list[dict[str, Any]] = []
    files: list[Path | None] = []
    run_list = []
    for place, run in enumerate(runs):
        run_list.append(run_facts(run, environments))
        greatest = max(run.spec.seeds)
        at_words = [words.place(words_of(run, record)) for record in run.variants]
        for image in run.images:
            path = None if image.path is None else workspace.root / image.path
            files.append(path)
            where = {
                "file": path and Path(os.path.relpath(path, folder)).as_posix(),
                "artifact": path and workspace.artifact_name(image.seed, greatest),
            }
            at = [axis.at(run, wordings[run.id, image.variant], seeds[run.id, image.seed]) for axis in axes]
            facts = {"run": place, "words": at_words[image.variant], "at": at, **image_facts(image, run), **where}
            images.append({name: value for name, value in facts.items() if value is not None})
    return {
        "axes": [axis.to_json(words) for axis in axes],
        "words": words.items,
        "environments": environments.items,
        "runs": run_list,
        "images": images,
    }, tuple(files)


def _run_came_of(run: RunRecord) -> Iterator[str]:
    made, asked = len(run.made), len(run.images)
    yield f"{asked} pictures" if made == asked else f"{made} of {asked} pictures made"
    if run.seconds_per_image is not None:
        yield f"{seconds_text(run.seconds_per_image)} an image"
    if run.status is not RunStatus.FINISHED:
        yield run.status.lower()


def _sweep_facts(runs: Sequence[RunRecord]) -> Iterator[str]:
    """Yield what all runs share, and how far they have come."""
    settings = [list(setting_captions(run)) for run in runs]
    yield from (fact for fact in (settings[0] if settings else []) if all(fact in others for others in settings))
    yield f"{len(runs)} runs"
    made, asked = sum(len(run.made) for run in runs), sum(len(run.images) for run in runs)
    yield f"{asked} pictures" if made == asked else f"{made} of {asked} pictures made"
    paces = [run.seconds_per_image for run in runs if run.seconds_per_image is not None]
    if paces:
        least, most = seconds_text(min(paces)), seconds_text(max(paces))
        yield f"{least} an image" if least == most else f"{least} to {most} an image"
