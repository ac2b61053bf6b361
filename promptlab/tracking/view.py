"""The view an experiment opens with: a matrix of the latest runs, one column a variant, one row a seed.

MLflow keeps a shared view as an experiment tag and opens it by its key in the address. The format is undocumented
(read from the page of MLflow 3.17, which is why mlflow is pinned); when it fails, MLflow's own view opens instead.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from promptlab.tracking.pictures import image_key

__all__ = ["RUNS_SHOWN", "SEEDS_SHOWN", "VIEW_KEY", "address_path", "view_tag"]

VIEW_KEY: Final = "promptlab"
RUNS_SHOWN: Final = 10
"""MLflow shows the first ten runs of a list unless asked otherwise; more columns than this cannot be compared."""

SEEDS_SHOWN: Final = 64
"""Rows of the matrix: each shows up to :data:`RUNS_SHOWN` pictures, and a page of a thousand pictures never ends."""

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

FIXED_COLUMNS: Final = {"1": 73, "attributes.`Run Name`": 190, "runDateAndNestInfo": 130, "duration": 75}
"""MLflow's own columns by its own names; an order that leaves them out puts them last."""


def address_path(experiment_id: str) -> str:
    """What follows the server's address to open an experiment with our view."""
    query = f"workflowType=machine_learning&viewStateShareKey={VIEW_KEY}&compareRunsMode=CHART"
    return f"/#/experiments/{experiment_id}/runs?{query}"


def view_tag(seeds: Sequence[Sequence[int]], *, now_ms: int) -> tuple[str, str]:
    """The experiment tag, key and value, that holds the view.

    Args:
        seeds: of the latest runs that have pictures, the newest first: the newest run's seeds become the first rows,
            so that a rerun of one seed is seen without scrolling, beside what it came from.
        now_ms: when the view was last changed.
    """
    latest = next(iter(seeds), ())
    others = {seed for of_one in seeds for seed in of_one}.difference(latest)
    order = (*latest, *sorted(others))[:SEEDS_SHOWN]
    section, chart = (str(uuid5(NAMESPACE_OID, f"promptlab/{part}")) for part in ("section", "matrix"))
    state = {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "columnOrder": [*FIXED_COLUMNS, *COLUMNS],
        "columnWidths": {**FIXED_COLUMNS, **COLUMNS},
        "runsHiddenMode": "FIRST_10_RUNS",
        "compareRunCharts": [
            {
                "type": "IMAGE",
                "uuid": chart,
                "metricSectionId": section,
                "deleted": False,
                "isGenerated": False,
                "runsCountToCompare": RUNS_SHOWN,
                "step": 0,
                "showRunParams": False,
                "imageKeys": [image_key(seed) for seed in order],
            }
        ],
        "compareRunSections": [
            {
                "uuid": section,
                "name": "Pictures",
                "display": True,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
                "columns": 1,
                "cardHeight": 800,
            }
        ],
    }
    packed = "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    value = {"name": "PromptLab", "createdAt": now_ms, "updatedAt": now_ms, "state": packed}
    return f"mlflow.sharedViewState.{VIEW_KEY}", json.dumps(value)
