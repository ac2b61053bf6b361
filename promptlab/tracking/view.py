"""Writes the views of an experiment: the matrix it opens with, and one for each sweep.

The matrix has a column for each of the latest variants and a row for each seed. A sweep's view has its runs alone:
seconds per image as bars, the values against them as parallel lines, and their images.

MLflow nests runs when they are ordered by the time they were made, collapses what is nested, and leaves what is
collapsed out of every chart; a shared view cannot open it. In any other order runs are flat, so the matrix goes by the
runs' numbers, which is the same order, and a sweep's view by seconds per image.

MLflow keeps a shared view as an experiment tag and opens it by its key in the address. How, is in
:mod:`promptlab.tracking.internals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from promptlab.tracking.artifacts import image_key
from promptlab.tracking.internals import shared_view, view_chart, view_path, view_section, view_state
from promptlab.tracking.tags import RUN_METRIC

__all__ = [
    "RUNS_SHOWN",
    "SEEDS_SHOWN",
    "VIEW_KEY",
    "address_path",
    "sweep_key",
    "sweep_view_tag",
    "view_tag",
]

VIEW_KEY: Final = "promptlab"
RUNS_SHOWN: Final = 10
"""MLflow shows the first ten runs of a list unless asked otherwise; more columns than this cannot be compared."""

SEEDS_SHOWN: Final = 64
"""Rows of the matrix: each shows up to :data:`RUNS_SHOWN` images, and a page of a thousand images never ends."""

COLUMNS: Final = {
    "metrics.`seconds_per_image`": 135,
    "params.`scheduler`": 200,
    "params.`num_inference_steps`": 145,
    "params.`dtype`": 80,
    "params.`vae`": 80,
    "params.`seeds`": 80,
    "tags.`prompt`": 420,
}
"""What the runs' table shows beside name, date and duration, with widths in pixels; all else is a click away."""


def sweep_key(uid: str) -> str:
    """Return the key of the view of the sweep ``uid``."""
    return f"{VIEW_KEY}-{uid[:16]}"


def address_path(experiment_id: str, key: str = VIEW_KEY) -> str:
    """Return what follows the server's address to open an experiment with one of our views."""
    return view_path(experiment_id, key)


def view_tag(seeds: Sequence[Sequence[int]], *, now_ms: int, scores: Sequence[str] = ()) -> tuple[str, str]:
    """Return the experiment tag, key and value, that holds the view it opens with.

    Args:
        seeds: of the latest runs that have images, the newest first: the newest run's seeds become the first rows,
            so that a rerun of one seed is seen without scrolling, beside what it came from.
        now_ms: when the view was last changed.
        scores: the metrics of what models scored, which become columns.
    """
    latest = next(iter(seeds), ())
    others = {seed for of_one in seeds for seed in of_one}.difference(latest)
    order = (*latest, *sorted(others))[:SEEDS_SHOWN]
    section = _section("section", "Pictures", height=800)
    state = {
        **_state({f"metrics.`{name}`": 135 for name in scores} | COLUMNS, shown="FIRST_10_RUNS"),
        "compareRunCharts": [_image_chart("matrix", section, order, RUNS_SHOWN)],
        "compareRunSections": [section],
    }
    return shared_view(VIEW_KEY, "PromptLab", state, now_ms)


def sweep_view_tag(
    uid: str, name: str, *, search: str, params: Sequence[str], seeds: Sequence[int], now_ms: int
) -> tuple[str, str]:
    """Return the experiment tag, key and value, that holds the view of one sweep.

    Args:
        uid: the sweep's.
        name: the view's, for people.
        search: what MLflow's search box finds the sweep's runs by.
        params: the parameters that hold the values of its axes.
        seeds: of its runs.
        now_ms: when the view was last changed.
    """
    numbers = _section(f"{uid}/numbers", "Speed", height=360, columns=2)
    images = _section(f"{uid}/pictures", "Pictures", height=800)
    pace = "seconds_per_image"
    bars = {"type": "BAR", "metricKey": pace, "displayName": "Seconds per image"}
    lines = {
        "type": "PARALLEL",
        "selectedParams": list(params),
        "selectedMetrics": [pace],
        "showAllRuns": False,
        "displayName": "Values against seconds per image",
    }
    columns = {"metrics.`seconds_per_image`": 135} | {f"params.`{name}`": 170 for name in params} | COLUMNS
    state = {
        **_state(columns, shown="SHOWALL"),
        "searchFilter": search,
        "orderByKey": f"metrics.`{pace}`",
        "orderByAsc": True,
        "compareRunCharts": [
            _chart(f"{uid}/bars", numbers) | bars,
            _chart(f"{uid}/lines", numbers) | lines,
            _image_chart(f"{uid}/matrix", images, seeds[:SEEDS_SHOWN], 2 * RUNS_SHOWN),
        ],
        "compareRunSections": [numbers, images],
    }
    return shared_view(sweep_key(uid), name, state, now_ms)


def _state(columns: Mapping[str, int], *, shown: str) -> dict[str, Any]:
    """Return what all views have: every run, the newest first, and our columns."""
    return view_state(columns, order_by=RUN_METRIC, shown=shown)


def _section(part: str, name: str, *, height: int, columns: int = 1) -> dict[str, Any]:
    return view_section(_uid(part), name, height=height, columns=columns)


def _chart(part: str, section: Mapping[str, Any], runs: int = RUNS_SHOWN) -> dict[str, Any]:
    return view_chart(_uid(part), section, runs=runs)


def _image_chart(part: str, section: Mapping[str, Any], seeds: Sequence[int], runs: int) -> dict[str, Any]:
    return _chart(part, section, runs) | {
        "type": "IMAGE",
        "step": 0,
        "showRunParams": False,
        "imageKeys": [image_key(seed) for seed in seeds],
    }


def _uid(part: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"promptlab/{part}"))
