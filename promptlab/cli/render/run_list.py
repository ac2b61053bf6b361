"""Renders a list of runs as lines for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from promptlab.cli.render.layout import or_dash, shown_time, table
from promptlab.errors import one_line
from promptlab.records import RunStatus, RunSummary
from promptlab.records.scorers import score_text

__all__ = ["scorers_of", "summary_lines"]


def summary_lines(summaries: Sequence[RunSummary]) -> list[str]:
    """Return a line for each run, as ``promptlab list`` prints them, with a column a scorer."""
    names = scorers_of(summaries)
    rows = [
        (
            str(run.id),
            shown_time(run.created_at),
            one_line(run.experiment, limit=20),
            run.status + ("" if run.tracked or run.status is RunStatus.RUNNING else " (unsynced)"),
            f"{run.made}/{run.images}",
            _short_scheduler(run.scheduler),
            or_dash(run.num_inference_steps),
            or_dash(run.dtype),
            one_line(Path(run.model).name or run.model, limit=24),
            "-" if run.seconds_per_image is None else f"{run.seconds_per_image:.2f}",
            *(score_text(name, run.scores[name]) if name in run.scores else "-" for name in names),
            or_dash(run.parent_run_id),
            one_line(run.name or run.prompt, limit=60) + (f" (+{run.variants - 1})" if run.variants > 1 else ""),
        )
        for run in summaries
    ]
    headers = ("RUN", "MADE AT (UTC)", "EXPERIMENT", "STATUS", "IMAGES", "SCHEDULER", "STEPS", "DTYPE", "MODEL",
               "S/IMAGE", *(name.upper() for name in names), "FROM", "PROMPT")  # fmt: skip
    return table(headers, rows, right=frozenset({0, 4, 6, *range(9, 11 + len(names))}))


def scorers_of(summaries: Sequence[RunSummary]) -> list[str]:
    """Return the scorers that scored images of any of the runs, by name."""
    return sorted({name for run in summaries for name in run.scores})


def _short_scheduler(name: str | None) -> str:
    return "-" if name is None else name.removesuffix("Scheduler")
