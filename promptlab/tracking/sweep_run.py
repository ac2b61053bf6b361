"""Writes a whole sweep as the MLflow run above its runs. Pure.

Its description begins with the overview and lists the runs, each a click away, as far as MLflow keeps that many words;
the whole list is a table among its files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from promptlab._csv import csv_text
from promptlab.errors import one_line
from promptlab.records import RunRecord, RunStatus, SweepRecord
from promptlab.tracking.markdown import cut_at, escaped, quoted
from promptlab.tracking.params import sweep_param
from promptlab.tracking.tags import PARAM_LIMIT, RUN_METRIC, SWEEP_TAG, TAG_LIMIT, UID_TAG
from promptlab.tracking.variant_run import part_of_sweep, run_address

__all__ = ["SweepParentRun"]

_WORST_FIRST = (RunStatus.RUNNING, RunStatus.FAILED, RunStatus.KILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepParentRun:
    """Represents a sweep as an MLflow run.

    Args:
        sweep: with its dimensions.
        runs: the records of its runs, as far as they began.
        children: each run's number with the MLflow runs that show it, one a variant.
        experiment_id: MLflow's.
        view: what follows the server's address to open the runs side by side.
    """

    sweep: SweepRecord
    runs: Sequence[RunRecord]
    children: Mapping[int, Sequence[str]]
    experiment_id: str
    view: str

    @property
    def name(self) -> str:
        """Return ``sweep 3 · scheduler × num_inference_steps``, with the sweep's name where it has one."""
        axes = " × ".join("+".join(fields) for fields in self.sweep.dimensions)
        parts = (f"sweep {self.sweep.id}", one_line(self.sweep.name or "", limit=60), axes)
        return cut_at(" · ".join(part for part in parts if part), 250)

    @property
    def status(self) -> RunStatus:
        """Return finished when all its runs are; else the status of the one that stands worst."""
        standing = {run.status for run in self.runs}
        return next((status for status in _WORST_FIRST if status in standing), RunStatus.FINISHED)

    @property
    def start_ms(self) -> int:
        """Return when it began, in ms."""
        return int(self.sweep.created_at.timestamp() * 1000)

    @property
    def end_ms(self) -> int:
        """Return when the last of its runs ended, in ms."""
        ended = [int(run.ended_at.timestamp() * 1000) for run in self.runs if run.ended_at is not None]
        return max(ended, default=self.start_ms)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds of all its runs, each once, in their order."""
        return tuple(dict.fromkeys(seed for run in self.runs for seed in run.spec.seeds))

    def params(self) -> dict[str, str]:
        """Return the axes with their values. Parameters cannot change, so they are logged at the end."""
        return {
            sweep_param(field): cut_at(", ".join(self._values(field)), PARAM_LIMIT)
            for fields in self.sweep.dimensions
            for field in fields
        }

    def metrics(self) -> dict[str, float]:
        """Return how much it made, and how long that took; the number of its newest run, to sort by."""
        taken = [run.generate_seconds for run in self.runs if run.generate_seconds is not None]
        given = {
            RUN_METRIC: float(max((run.id for run in self.runs), default=0)),
            "runs": float(len(self.runs)),
            "images": float(sum(len(run.made) for run in self.runs)),
            "seconds": math.fsum(taken),
        }
        return {name: float(f"{value:.6g}") for name, value in given.items() if math.isfinite(value)}

    def tags(self) -> dict[str, str]:
        """Return what tells it apart; all but the description."""
        note = {"note": cut_at(self.sweep.note, TAG_LIMIT)} if self.sweep.note else {}
        own = {UID_TAG: self.sweep.uid, SWEEP_TAG: str(self.sweep.id)}
        return {**note, **own, "mlflow.source.name": "promptlab", "mlflow.source.type": "LOCAL"}

    def description(
        self, mlflow_run_id: str, *, overviews: Sequence[str], has_thumbnail: bool, report: str | None = None
    ) -> str:
        """Return Markdown for the top of the page: overview, where to compare, the runs in order.

        Args:
            mlflow_run_id: of the sweep itself.
            overviews: names of the overview's pages among its files.
            has_thumbnail: whether there is a ``thumb.png``.
            report: name of the report among its files.
        """
        parts = [f"![overview](get-artifact?path=thumb.png&run_uuid={mlflow_run_id})"] if has_thumbnail else []
        files = f"#/experiments/{self.experiment_id}/runs/{mlflow_run_id}/artifacts"
        links = [f"[**Open the report**: every picture, along any axes]({files}/{report})"] if report else []
        links.append(f"[**Compare the runs** in a table and charts]({self.view})")
        if len(overviews) == 1:
            links.append(f"[The overview in full]({files}/{overviews[0]})")
        elif overviews:
            shown = [f"[{at}]({files}/{name})" for at, name in enumerate(overviews[:20], 1)]
            links.append(f"The overview, page {' '.join(shown)}" + (" …" if len(overviews) > 20 else ""))
        parts.append(" · ".join(links))
        owed = sum(len(run.owed) for run in self.runs)
        if owed:
            asked = sum(len(run.images) for run in self.runs)
            parts.append(f"**{asked - owed} of {asked} pictures made.** `promptlab resume sweep:{self.sweep.id}`")
        if self.sweep.note:
            parts.append(quoted("Note", self.sweep.note, limit=600))
        parts.append(self._table(TAG_LIMIT - len("\n\n".join(parts)) - 2))
        return "\n\n".join(parts)

    def linked(self, description: str, mlflow_run_id: str) -> str:
        """Return the description of one of its runs with a link to the sweep.

        It was recorded before there was a sweep to point at.
        """
        sweep_id, address = self.sweep.id, run_address(self.experiment_id, mlflow_run_id)
        return cut_at(
            description.replace(part_of_sweep(sweep_id, None), part_of_sweep(sweep_id, address), 1), TAG_LIMIT
        )

    def runs_file(self) -> str:
        """Return ``runs.csv``: every run with its values and measures."""
        return csv_text([
            ("run", *self._fields, "seconds_per_image", "images", "status"), *map(self._csv_row, self.runs)
        ])  # fmt: skip

    def _csv_row(self, run: RunRecord) -> tuple[object, ...]:
        values = dict(run.sweep_values)
        pace = "" if run.seconds_per_image is None else f"{run.seconds_per_image:.4g}"
        return (run.id, *(values.get(field, "") for field in self._fields), pace, len(run.made), run.status.value)

    @property
    def _fields(self) -> tuple[str, ...]:
        return tuple(field for fields in self.sweep.dimensions for field in fields)

    def _values(self, field: str) -> list[str]:
        """Return the values on an axis, in its order."""
        at = next(place for place, fields in enumerate(self.sweep.dimensions) if field in fields)
        ordered = sorted(self.sweep.runs, key=lambda run: run.place[at])
        return list(dict.fromkeys(value for run in ordered for name, value in run.values if name == field))

    def _table(self, room: int) -> str:
        """Return the runs in ``room`` characters: each with a link if that fits, else without, else fewer."""
        for linked in (True, False):
            table = "\n".join(self._lines(linked=linked))
            if len(table) <= room:
                return table
        rest = "\n\nMore in `runs.csv` among the artifacts."
        kept = table[: max(0, room - len(rest))].rpartition("\n")[0]
        return kept + rest if kept.count("\n") > 1 else rest.strip()

    def _lines(self, *, linked: bool) -> Iterator[str]:
        fields = [escaped(field) for field in self._fields]
        yield f"| run | {' | '.join(fields)} | seconds per image |"
        yield f"|---|{'---|' * len(fields)}---:|"
        for run in self.runs:
            values = dict(run.sweep_values)
            shown = [escaped(one_line(values.get(field, "")), limit=200) for field in self._fields]
            pace = "" if run.seconds_per_image is None else f"{run.seconds_per_image:.3g}"
            if run.status is not RunStatus.FINISHED:
                pace = f"{pace} {run.status.lower()}".strip()
            name, found = str(run.id), self.children.get(run.id)
            if linked and found:
                name = f"[{run.id}]({run_address(self.experiment_id, found[0])})"
            yield f"| {name} | {' | '.join(shown)} | {pace} |"
