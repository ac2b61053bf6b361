"""Renders what was made when runs have ended, where it is and what to type next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from promptlab.cli.paths import elsewhere, shown_path
from promptlab.cli.render.layout import counted, or_dash, table
from promptlab.cli.render.warnings import cut_short_line, warning_lines
from promptlab.cli.spelling import spell
from promptlab.expand.suggestions import suggested_edit
from promptlab.records import RunRecord, RunStatus, RunSummary, SweepRecord
from promptlab.specs import Variant
from promptlab.workspace import Workspace

__all__ = ["run_lines", "runs_lines", "sweep_lines"]

MOST: Final = 40
"""Lines of a sweep's runs that are said at once."""


def run_lines(run: RunRecord, workspace: Workspace, *, reused: bool = False) -> list[str]:
    """Return the lines of one run. ``reused``: all of it was there, and nothing was written."""
    there = elsewhere(workspace)
    lines = [_reused_line(run) if reused else _made_line(run), f"grid: {shown_path(workspace.grid(run.id))}"]
    lines += warning_lines(run)
    seed = run.spec.seeds[1 if len(run.spec.seeds) > 1 else 0]
    lines.append(f"next: promptlab rerun {run.id} --seed {seed} {_edit(run.spec.variants)}{there}")
    lines.append(f"or:   promptlab ui{there}")
    return lines


def runs_lines(runs: Sequence[RunRecord], workspace: Workspace) -> list[str]:
    """Return the lines of several runs that no sweep shows in one grid."""
    there = elsewhere(workspace)
    lines = [_made_line(run) for run in runs[:MOST]] + _more(len(runs), f"promptlab list{there}")
    return [*lines, f"next: promptlab show {runs[-1].id}{there}", f"or:   promptlab ui{there}"]


def sweep_lines(
    sweep: SweepRecord,
    summaries: Sequence[RunSummary],
    workspace: Workspace,
    *,
    new: int | None = None,
    most: int = MOST,
) -> list[str]:
    """Return the runs of a sweep, a short line each, and its overview.

    Args:
        summaries: of its runs, and any others.
        new: how many of its images were made just now; ``None`` when that is not the question.
        most: runs that are said; the others are counted.
    """
    if not sweep.runs:
        return [cut_short_line(sweep.id, 0)]
    by_id = {summary.id: summary for summary in summaries}
    there, axes = elsewhere(workspace), " × ".join(" and ".join(fields) for fields in sweep.dimensions)
    runs = [by_id[run.run_id] for run in sweep.runs if run.run_id in by_id]
    images = sum(run.images for run in runs)
    lines = [f"sweep {sweep.id}: {counted(len(sweep.runs), 'run')}, {counted(images, 'image')} ({axes})"]
    if new == 0:
        lines = [f"nothing to make: {lines[0]}, made before; --again makes them anew"]
    elif new is not None and new < images:
        lines[0] += f"; {images - new:,} of them made before"
    lines += _sweep_table(sweep, by_id, most)
    lines += _more(len(sweep.runs), f"promptlab show sweep:{sweep.id}{there}", most)
    pages = list(_pages(sweep, workspace))
    if pages:
        others = "" if len(pages) == 1 else f" to {pages[-1].name}"
        lines.append(f"overview: {shown_path(pages[0])}{others}")
    report = workspace.sweep_report(sweep.id)
    if report.is_file():
        lines.append(f"report: {shown_path(report)}")
    lines += [f"next: promptlab open sweep:{sweep.id} --report{there}", f"or:   promptlab ui{there}"]
    return lines


def _edit(variants: Sequence[Variant]) -> str:
    """Return a change of words that can be pasted as it stands."""
    return spell(*suggested_edit([variant.prompt for variant in variants]))


def _sweep_table(sweep: SweepRecord, summaries: Mapping[int, RunSummary], most: int) -> list[str]:
    rows = [
        (
            str(run.run_id),
            *(value for _, value in run.values),
            "-" if (summary := summaries.get(run.run_id)) is None else f"{summary.made}/{summary.images}",
            "-" if summary is None or summary.seconds_per_image is None else f"{summary.seconds_per_image:.2f}",
            "-" if summary is None else "" if summary.status is RunStatus.FINISHED else or_dash(summary.status),
        )
        for run in sweep.runs[:most]
    ]
    names = [name.upper() for name, _ in sweep.runs[0].values]
    right = frozenset({0, len(names) + 1, len(names) + 2})
    return table(("RUN", *names, "IMAGES", "S/IMAGE", ""), rows, right=right)


def _pages(sweep: SweepRecord, workspace: Workspace) -> Iterator[Path]:
    page = 1
    while (path := workspace.sweep_grid(sweep.id, page)).exists():
        yield path
        page += 1


def _made_line(run: RunRecord) -> str:
    linked = len(run.made) - len(run.made_here)
    took = "" if run.seconds_per_image is None else f", {run.seconds_per_image:.2f} s an image"
    before = f"; {linked} of them made before" if linked else ""
    return f"run {run.id}: {counted(len(run.made), 'image')} ({_shape(run)}){took}{before}"


def _reused_line(run: RunRecord) -> str:
    return (
        f"nothing to make: run {run.id} has {counted(len(run.made), 'image')} ({_shape(run)}), made before; "
        "--again makes them anew"
    )


def _shape(run: RunRecord) -> str:
    return f"{counted(len(run.variants), 'variant')} × {counted(len(run.spec.seeds), 'seed')}"


def _more(count: int, command: str, most: int = MOST) -> list[str]:
    return [f"… {count - most:,} more: {command}"] if count > most else []
