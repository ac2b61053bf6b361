"""What belongs to a whole experiment in MLflow: its runs found again, and the views it is opened with."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from promptlab.records import RunRecord, SweepRecord
from promptlab.tracking.sweep_run import SweepParentRun
from promptlab.tracking.variant_run import SEEDS_PARAM, SWEEP_TAG, UID_TAG, VARIANT_TAG, seeds_of
from promptlab.tracking.view import RUNS_SHOWN, SEEDS_SHOWN, address_path, sweep_key, sweep_view_tag, view_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["NOTE_TAG", "PARENT_TAG", "put_below", "runs_below", "save_sweep_view", "save_view", "sweep_page"]

NOTE_TAG: Final = "mlflow.note.content"
PARENT_TAG: Final = "mlflow.parentRunId"


def sweep_page(
    sweep: SweepRecord, runs: Sequence[RunRecord], below: Sequence[Run], experiment_id: str
) -> SweepParentRun:
    """The page of ``sweep``, whose runs MLflow shows as ``below``."""
    return SweepParentRun(
        sweep=sweep,
        runs=runs,
        children={run.id: [one.info.run_id for one in below if one.data.tags[UID_TAG] == run.uid] for run in runs},
        experiment_id=experiment_id,
        view=address_path(experiment_id, sweep_key(sweep.uid)).removeprefix("/"),
    )


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


def put_below(client: MlflowClient, shown: Run, page: SweepParentRun, run_id: str) -> None:
    """Put one of the sweep's runs below the sweep's, ``run_id``, and let its description point there.

    It was told before there was a run above it. What a reader made of the description stays.
    """
    from mlflow.entities import RunTag

    had = shown.data.tags
    tags = {PARENT_TAG: run_id, NOTE_TAG: page.linked(had.get(NOTE_TAG, ""), run_id)}
    new = [RunTag(key, value) for key, value in tags.items() if value and had.get(key) != value]
    if new:
        client.log_batch(shown.info.run_id, tags=new)


def save_view(client: MlflowClient, experiment_id: str) -> None:
    """Keep the view that the experiment opens with up to date with its latest runs."""
    latest = client.search_runs(
        [experiment_id],
        filter_string="metrics.images_made > 0",
        max_results=RUNS_SHOWN,
        order_by=["attributes.start_time DESC"],
    )
    seeds = [seeds_of(shown.data.params.get(SEEDS_PARAM, ""), limit=SEEDS_SHOWN) for shown in latest]
    _save_view(client, experiment_id, *view_tag(seeds, now_ms=_now()))


def save_sweep_view(client: MlflowClient, page: SweepParentRun) -> None:
    """Keep the view of a sweep: its runs without the one above them, which has no pictures and no pace of its own."""
    view = sweep_view_tag(
        page.sweep.uid,
        page.name,
        search=f"tags.`{SWEEP_TAG}` = '{page.sweep.id}' and metrics.images_made >= 0",
        params=list(page.params()),
        seeds=page.seeds,
        now_ms=_now(),
    )
    _save_view(client, page.experiment_id, *view)


def _save_view(client: MlflowClient, experiment_id: str, key: str, value: str) -> None:
    """Write a view unless it is there already, whenever that was: telling again changes nothing."""
    from mlflow.exceptions import MlflowException

    written = client.get_experiment(experiment_id).tags.get(key)
    if written is not None and _shown_by(written) == _shown_by(value):
        return
    try:
        client.set_experiment_tag(experiment_id, key, value)
    except MlflowException:  # told at the same moment from another workspace; now the tag is there to be changed
        client.set_experiment_tag(experiment_id, key, value)


def _shown_by(view: str) -> tuple[str, str] | None:
    """What a view shows, whenever it was written; ``None`` for what is no view."""
    try:
        said = json.loads(view)
        return str(said["name"]), str(said["state"])
    except (ValueError, LookupError, TypeError):
        return None


def _now() -> int:
    return int(time.time() * 1000)
