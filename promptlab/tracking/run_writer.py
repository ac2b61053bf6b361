"""Creates, updates and ends MLflow runs through ``MlflowClient``.

Invariant: an MLflow run that exists is updated, never doubled, and files are there before the description that shows
them. Parameters stay as they were logged first, because MLflow's cannot be changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.records import RunStatus
from promptlab.tracking.artifacts import REPORT, ArtifactStore, write_sweep_artifacts, write_variant_artifacts
from promptlab.tracking.beside_page import run_path
from promptlab.tracking.internals import LINK_TAG
from promptlab.tracking.probe_run import TABLE, ProbeRun
from promptlab.tracking.sweep_run import SweepParentRun
from promptlab.tracking.tags import NOTE_TAG, stale_tags
from promptlab.tracking.variant_run import VariantRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["RunWriter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWriter:
    """Writes runs of one workspace to one MLflow.

    Args:
        client: MLflow's.
        store: where the runs' files go.
    """

    client: MlflowClient
    store: ArtifactStore

    def begin(self, experiment_id: str, variant_run: VariantRun, existing: Run | None) -> Run:
        """Return the MLflow run of a variant: ``existing``, restored where it was deleted, or a new one."""
        if existing is None:
            return self.client.create_run(
                experiment_id, start_time=variant_run.start_ms, tags=variant_run.tags(), run_name=variant_run.name
            )
        return self._restored(existing)

    def write_variant(
        self, variant_run: VariantRun, mlflow_run: Run, *, thumbnail: Path | bytes, prompt_link: str | None
    ) -> None:
        """Log files, parameters, metrics, tags, description and status of a variant.

        Args:
            variant_run: what is logged.
            mlflow_run: the run it is logged to.
            thumbnail: PNG file of the grid, or its content; empty without one.
            prompt_link: the value of :data:`~promptlab.tracking.internals.LINK_TAG`, where there is one.
        """
        tags, run_id, workspace = variant_run.tags(), mlflow_run.info.run_id, self.store.workspace
        if prompt_link is not None:
            tags[LINK_TAG] = prompt_link
        with self.store.folder_of(self.client, mlflow_run) as folder:  # before the words, which point at the images
            write_variant_artifacts(folder, variant_run, workspace=workspace, thumbnail=thumbnail)
        address = None
        if workspace.report(variant_run.run.id).is_file():
            address = f"#/experiments/{mlflow_run.info.experiment_id}/runs/{run_id}/artifacts/{REPORT}"
        page = run_path(variant_run.run.id) if self.store.is_local else None
        tags[NOTE_TAG] = variant_run.description(run_id, has_grid=bool(thumbnail), report=address, page=page)
        self._log(mlflow_run, params=variant_run.params(), metrics=variant_run.metrics(), tags=tags)
        self._end(run_id, variant_run.run.status, name=variant_run.name, end_ms=variant_run.end_ms)

    def write_sweep(
        self,
        experiment_id: str,
        sweep_run: SweepParentRun,
        existing: Run | None,
        *,
        thumbnail: bytes,
        overviews: Sequence[Path],
    ) -> str:
        """Log the run above those of a sweep, which is made where it does not exist, and return its id."""
        tags = sweep_run.tags()
        if existing is None:
            mlflow_run = self.client.create_run(
                experiment_id, start_time=sweep_run.start_ms, tags=tags, run_name=sweep_run.name
            )
        else:
            mlflow_run = self._restored(existing)
        run_id: str = mlflow_run.info.run_id
        names, report = [path.name for path in overviews], self.store.workspace.sweep_report(sweep_run.sweep.id)
        with self.store.folder_of(self.client, mlflow_run) as folder:
            write_sweep_artifacts(folder, sweep_run, thumbnail=thumbnail, overviews=overviews, report=report)
        tags[NOTE_TAG] = sweep_run.description(
            run_id, overviews=names, has_thumbnail=bool(thumbnail), report=REPORT if report.is_file() else None
        )
        self._log(mlflow_run, params=sweep_run.params(), metrics=sweep_run.metrics(), tags=tags)
        self._end(run_id, sweep_run.status, name=sweep_run.name, end_ms=sweep_run.end_ms)
        return run_id

    def write_probe(self, experiment_id: str, probe_run: ProbeRun) -> str:
        """Log a probe as a new run that has ended, and return its id."""
        from mlflow.entities import Metric, Param

        at = int(probe_run.probe.probed_at.timestamp() * 1000)
        tags = probe_run.tags() | {NOTE_TAG: probe_run.table()}
        mlflow_run = self.client.create_run(experiment_id, start_time=at, tags=tags, run_name=probe_run.name)
        run_id: str = mlflow_run.info.run_id
        with self.store.folder_of(self.client, mlflow_run) as folder:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / TABLE).write_text(probe_run.table(), encoding="utf-8")
        self.client.log_batch(
            run_id,
            metrics=[Metric(name, value, at, step) for name, value, step in probe_run.metrics()],
            params=[Param(name, value) for name, value in probe_run.params().items()],
        )
        self.client.set_terminated(run_id)
        return run_id

    def _restored(self, mlflow_run: Run) -> Run:
        """Restore a run that was deleted in MLflow's pages."""
        if mlflow_run.info.lifecycle_stage == "deleted":
            self.client.restore_run(mlflow_run.info.run_id)
        return mlflow_run

    def _log(
        self, mlflow_run: Run, *, params: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        """Log what ``mlflow_run`` does not have already, and delete our tags that no longer hold."""
        from mlflow.entities import Metric, Param, RunTag

        had, now, run_id = mlflow_run.data, int(time.time() * 1000), mlflow_run.info.run_id
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, now, 0) for key, value in metrics.items() if had.metrics.get(key) != value],
            params=[Param(key, value) for key, value in params.items() if key not in had.params],
            tags=[RunTag(key, value) for key, value in tags.items() if had.tags.get(key) != value],
        )
        for name in stale_tags(tags, had.tags):
            self.client.delete_tag(run_id, name)

    def _end(self, run_id: str, status: RunStatus, *, name: str, end_ms: int | None) -> None:
        """Set status and end time; of a run that is under way, status and name."""
        if status is RunStatus.RUNNING:
            self.client.update_run(run_id, status=status, name=name)
        else:
            self.client.set_terminated(run_id, status=status, end_time=end_ms)
