"""Finds the MLflow runs of an experiment by their tags, and saves the views that it opens with."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from promptlab.records import RunRecord, SweepRecord
from promptlab.tracking.params import seeds_of
from promptlab.tracking.rating_metrics import SCORE_METRIC
from promptlab.tracking.sweep_run import SweepParentRun
from promptlab.tracking.tags import NOTE_TAG, PARENT_TAG, SEEDS_PARAM, SWEEP_TAG, UID_TAG, VARIANT_TAG
from promptlab.tracking.variant_run import ParentRunLink, origin_of
from promptlab.tracking.view import RUNS_SHOWN, SEEDS_SHOWN, address_path, sweep_key, sweep_view_tag, view_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LONGEST_NAME: Final = 500
"""Characters of the name of an experiment that MLflow keeps."""

__all__ = [
    "experiment_name",
    "get_or_create_experiment",
    "nest_below",
    "parent_links",
    "save_sweep_view",
    "save_view",
    "sweep_mlflow_run",
    "sweep_mlflow_runs",
    "sweep_run_of",
    "variant_mlflow_runs",
]


def experiment_name(name: str) -> str:
    """Return the name of an experiment as MLflow takes it: of at most 500 characters, and one at least."""
    if not name.strip():
        return f"(unnamed) {name!r}" if name else "(unnamed)"
    if len(name) <= LONGEST_NAME:
        return name
    from hashlib import sha256

    return f"{name[: LONGEST_NAME - 10]}… {sha256(name.encode()).hexdigest()[:8]}"


def get_or_create_experiment(client: MlflowClient, name: str, *, artifact_location: str | None) -> str:
    """Return the id of the experiment ``name``, which is made, or restored where it was deleted."""
    from mlflow.exceptions import MlflowException

    name = experiment_name(name)
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifact_location))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process was quicker
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def variant_mlflow_runs(client: MlflowClient, experiment_id: str, run: RunRecord) -> dict[int, Run]:
    """Return the MLflow runs of ``run``'s variants by their positions, deleted ones too.

    Found by tag: ids kept elsewhere may be another server's.
    """
    from mlflow.entities import ViewType

    found = client.search_runs(
        [experiment_id],
        filter_string=_with_uid(run.uid),
        run_view_type=ViewType.ALL,
        max_results=1000,
        order_by=["attributes.start_time DESC"],
    )
    own = (one for one in found if one.data.tags.get(UID_TAG) == run.uid)
    return {int(one.data.tags[VARIANT_TAG]): one for one in own if VARIANT_TAG in one.data.tags}


def _with_uid(uid: str) -> str:
    """Return the filter for a uid.

    One that an image says may have quotes, which MLflow's filters cannot escape: they stand for any sign then, and
    what is found is looked at once more.
    """
    if "'" not in uid:
        return f"tags.`{UID_TAG}` = '{uid}'"
    return f"tags.`{UID_TAG}` LIKE '{uid.replace(chr(39), '_')}'"


def parent_links(client: MlflowClient, run: RunRecord, parent: RunRecord | None) -> dict[int, ParentRunLink]:
    """Return where MLflow shows what each variant was varied from, by the variant's position."""
    experiment = client.get_experiment_by_name(experiment_name(parent.experiment)) if parent else None
    if parent is None or experiment is None:
        return {}
    existing = variant_mlflow_runs(client, experiment.experiment_id, parent)
    return {
        variant.position: ParentRunLink(
            experiment_id=experiment.experiment_id, run_id=existing[origin.position].info.run_id, variant=origin
        )
        for variant, origin in ((variant, origin_of(variant, parent)) for variant in run.variants)
        if origin.position in existing
    }


def sweep_mlflow_run(client: MlflowClient, experiment_id: str, sweep: SweepRecord) -> Run | None:
    """Return the MLflow run above those of a sweep, or None."""
    from mlflow.entities import ViewType

    mine = _with_uid(sweep.uid)
    found = client.search_runs([experiment_id], filter_string=mine, run_view_type=ViewType.ALL, max_results=100)
    return next((one for one in found if one.data.tags.get(UID_TAG) == sweep.uid), None)


def sweep_mlflow_runs(
    client: MlflowClient, experiment_id: str, sweep: SweepRecord, runs: Sequence[RunRecord]
) -> list[Run]:
    """Return the MLflow runs of a sweep's ``runs``, oldest first.

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


def sweep_run_of(
    sweep: SweepRecord, runs: Sequence[RunRecord], children: Sequence[Run], experiment_id: str
) -> SweepParentRun:
    """Return ``sweep`` as an MLflow run above ``children``, the MLflow runs of its runs."""
    return SweepParentRun(
        sweep=sweep,
        runs=runs,
        children={run.id: [one.info.run_id for one in children if one.data.tags[UID_TAG] == run.uid] for run in runs},
        experiment_id=experiment_id,
        view=address_path(experiment_id, sweep_key(sweep.uid)).removeprefix("/"),
    )


def nest_below(client: MlflowClient, child: Run, sweep_run: SweepParentRun, run_id: str) -> None:
    """Put one of a sweep's MLflow runs below the sweep's, ``run_id``, and link it there.

    It was recorded before there was a run above it. What a reader made of the description stays.
    """
    from mlflow.entities import RunTag

    had = child.data.tags
    tags = {PARENT_TAG: run_id, NOTE_TAG: sweep_run.linked(had.get(NOTE_TAG, ""), run_id)}
    new = [RunTag(key, value) for key, value in tags.items() if value and had.get(key) != value]
    if new:
        client.log_batch(child.info.run_id, tags=new)


def save_view(client: MlflowClient, experiment_id: str) -> None:
    """Update the view that the experiment opens with to show its latest runs."""
    latest = client.search_runs(
        [experiment_id],
        filter_string="metrics.images_made > 0",
        max_results=RUNS_SHOWN,
        order_by=["attributes.start_time DESC"],
    )
    seeds = [seeds_of(one.data.params.get(SEEDS_PARAM, ""), limit=SEEDS_SHOWN) for one in latest]
    scores = sorted({name for one in latest for name in one.data.metrics if name.startswith(SCORE_METRIC)})
    _save_view(client, experiment_id, *view_tag(seeds, now_ms=_now(), scores=scores))


def save_sweep_view(client: MlflowClient, sweep_run: SweepParentRun) -> None:
    """Save the view of a sweep: its runs without the one above them, which has no images."""
    view = sweep_view_tag(
        sweep_run.sweep.uid,
        sweep_run.name,
        search=f"tags.`{SWEEP_TAG}` = '{sweep_run.sweep.id}' and metrics.images_made >= 0",
        params=list(sweep_run.params()),
        seeds=sweep_run.seeds,
        now_ms=_now(),
    )
    _save_view(client, sweep_run.experiment_id, *view)


def _save_view(client: MlflowClient, experiment_id: str, key: str, value: str) -> None:
    """Write a view unless it is there already, whenever that was: recording again changes nothing."""
    from mlflow.exceptions import MlflowException

    written = client.get_experiment(experiment_id).tags.get(key)
    if written is not None and _contents(written) == _contents(value):
        return
    try:
        client.set_experiment_tag(experiment_id, key, value)
    except MlflowException:  # set at the same moment from another workspace; now the tag is there to be changed
        client.set_experiment_tag(experiment_id, key, value)


def _contents(view: str) -> tuple[str, str] | None:
    """Return what a view shows, without when it was written; None for what is no view."""
    try:
        plain = json.loads(view)
        return str(plain["name"]), str(plain["state"])
    except (ValueError, LookupError, TypeError):
        return None


def _now() -> int:
    return int(time.time() * 1000)
