"""What belongs to a whole experiment in MLflow: its runs found again, and the views it is opened with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from promptlab.records import RunRecord, SweepRecord
from promptlab.tracking.page import SEEDS_PARAM, SWEEP_TAG, UID_TAG, VARIANT_TAG, seeds_of
from promptlab.tracking.sweep_page import SweepPage
from promptlab.tracking.view import RUNS_SHOWN, SEEDS_SHOWN, sweep_view_tag, view_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["runs_below", "save_sweep_view", "save_view"]


def runs_below(client: MlflowClient, experiment_id: str, sweep: SweepRecord, runs: Sequence[RunRecord]) -> list[Run]:
    """The MLflow runs that show ``runs``, oldest first.

    By the runs' own uids as well as by the sweep's number: on a server, workspaces may have sweeps of one number.
    """
    uids = {run.uid for run in runs}
    found: list[Run] = []
    token: str | None = ""
    while token is not None:
        part = client.search_runs(
            [experiment_id],
            filter_string=f"tags.`{SWEEP_TAG}` = '{sweep.id}'",
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token or None,
        )
        found += [one for one in part if VARIANT_TAG in one.data.tags and one.data.tags.get(UID_TAG) in uids]
        token = part.token or None
    return found


def save_view(client: MlflowClient, experiment_id: str) -> None:
    """Keep the view that the experiment opens with up to date with its latest runs."""
    latest = client.search_runs(
        [experiment_id],
        filter_string="metrics.images_made > 0",
        max_results=RUNS_SHOWN,
        order_by=["attributes.start_time DESC"],
    )
    seeds = [seeds_of(shown.data.params.get(SEEDS_PARAM, ""), limit=SEEDS_SHOWN) for shown in latest]
    _save_tag(client, experiment_id, *view_tag(seeds, now_ms=_now()))


def save_sweep_view(client: MlflowClient, page: SweepPage) -> None:
    """Keep the view of a sweep: its runs without the one above them, which has no pictures and no pace of its own."""
    view = sweep_view_tag(
        page.sweep.uid,
        page.name,
        search=f"tags.`{SWEEP_TAG}` = '{page.sweep.id}' and metrics.images_made >= 0",
        params=list(page.params()),
        seeds=page.seeds,
        now_ms=_now(),
    )
    _save_tag(client, page.experiment_id, *view)


def _save_tag(client: MlflowClient, experiment_id: str, key: str, value: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.set_experiment_tag(experiment_id, key, value)
    except MlflowException:  # told at the same moment from another workspace; now the tag is there to be changed
        client.set_experiment_tag(experiment_id, key, value)


def _now() -> int:
    return int(time.time() * 1000)
