"""MLflow, told of runs: one MLflow run per variant under one setting, found again by its tags.

One per variant, because MLflow's image charts compare runs, so that variants become columns and seeds rows. Those of a
sweep have one above them; our views show them flat, because MLflow leaves what is collapsed out of every chart. All
goes through ``MlflowClient``: the fluent API keeps an ambient stack of active runs and hides the failures of what it
sends.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from promptlab.errors import NotFound, TrackerError
from promptlab.records import ProbeRecord, RunRecord, RunStatus, SweepRecord
from promptlab.tracking import AddressReport, no_report
from promptlab.tracking.address import TrackingAddress
from promptlab.tracking.audit_fields import MlflowDifference, stale_tags
from promptlab.tracking.experiment import (
    NOTE_TAG,
    PARENT_TAG,
    put_below,
    runs_below,
    save_sweep_view,
    save_view,
    sweep_page,
)
from promptlab.tracking.measures import measures_of
from promptlab.tracking.pictures import REPORT, lay_out, lay_out_sweep
from promptlab.tracking.probe_run import TABLE, ProbeRun
from promptlab.tracking.prompts import LINK_TAG, line_of, register
from promptlab.tracking.schema import (
    database_uri,
    has_schema,
    import_mlflow_quietly,
    locked,
    make_schema,
    translated,
)
from promptlab.tracking.server_health import CircuitBreaker
from promptlab.tracking.sweep_run import SweepParentRun
from promptlab.tracking.variant_run import UID_TAG, VARIANT_TAG, ParentRunLink, VariantRun, origin_of, run_address
from promptlab.tracking.view import address_path
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["MlflowTracker"]


@dataclass(slots=True)
class MlflowTracker:
    """Tells MLflow, in the workspace's own file or on a server.

    Args:
        workspace: whose pictures are shown.
        tracking_uri: ``http(s)://…`` of an MLflow server, to which files are then uploaded; ``None`` is the workspace's
            own database, where they are hard-linked. A name and password in it are handed to MLflow and not kept here.

    Raises:
        InputError: when ``tracking_uri`` is no such address.
    """

    workspace: Workspace
    tracking_uri: str | None = None
    _client: MlflowClient | None = field(default=None, init=False, repr=False)
    _line: CircuitBreaker | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.tracking_uri is not None:
            address = TrackingAddress.read(self.tracking_uri)
            address.hand_over()
            self.tracking_uri, self._line = address.url, CircuitBreaker(address.url)

    def prepare(self) -> None:
        """Make MLflow's tables in the workspace's file unless they are there, import MLflow, and open the file.

        Takes one to five seconds the first time in a process, so that :meth:`record` takes a fraction of one; it may
        run in a thread beside what takes longer. A server is not asked for anything yet.

        Raises:
            TrackerError: when they cannot be made, or another process holds the lock for minutes.
        """
        if self._client is not None:
            return
        with translated(f"MLflow's tables could not be made in {self.workspace.database}"):
            if self.tracking_uri is None:
                make_schema(self.workspace)
            self._connected()

    def record(
        self, run: RunRecord, *, parent: RunRecord | None, thumbnail: bytes, report: AddressReport = no_report
    ) -> Mapping[int, str]:
        """Tell MLflow of ``run``, or tell it anew; see :class:`promptlab.tracking.Tracker`.

        What MLflow knows already is updated: status, times, metrics, tags, description, files. Parameters stay, because
        MLflow's cannot be changed. A run or experiment deleted in MLflow's pages comes back.

        Raises:
            TrackerError: when MLflow could not be told.
        """
        self.prepare()
        # One at a time: two who tell of one run would each find nothing there, and each add their own.
        with translated(f"MLflow could not be told of run {run.id}"), self._alone():
            client = self._connected()
            experiment_id = self._experiment(client, run.experiment)
            known = self._known(client, experiment_id, run)
            links = self._parent_links(client, run, parent)
            measured = measures_of(run, self.workspace)
            shown: list[tuple[VariantRun, Run]] = []
            for variant in run.variants:
                before, link = known.get(variant.position), links.get(variant.position)
                above = None if before is None else before.data.tags.get(PARENT_TAG)
                address = None if above is None else run_address(experiment_id, above)
                page = VariantRun(
                    run=run, variant=variant, parent=parent, parent_link=link, sweep_address=address,
                    measured=measured.get(variant.position, {}),
                )  # fmt: skip
                shown.append((page, self._begun(client, experiment_id, page, before)))
            told = {page.variant.position: str(one.info.run_id) for page, one in shown}
            report(experiment_id, {(run.id, position): one for position, one in told.items()})
            above = next((link.run_id for link in links.values()), None)
            line = line_of(client, known.values(), above)
            prompts = register(client, experiment_id, run, parent=parent, line=line)
            for page, one in shown:
                self._tell(client, page, one, thumbnail, prompts.get(page.variant.position))
            save_view(client, experiment_id)
            return told

    def record_sweep(
        self,
        sweep: SweepRecord,
        runs: Sequence[RunRecord],
        *,
        thumbnail: bytes,
        overviews: Sequence[Path],
        report: AddressReport = no_report,
    ) -> str:
        """Tell MLflow of a whole sweep, or tell it anew; see :class:`promptlab.tracking.Tracker`.

        Raises:
            TrackerError: when MLflow could not be told.
        """
        self.prepare()
        with translated(f"MLflow could not be told of sweep {sweep.id}"), self._alone():
            client = self._connected()
            experiment_id = self._experiment(client, sweep.experiment)
            told = self._told_sweep(client, experiment_id, sweep)
            below = runs_below(client, experiment_id, sweep, runs)
            page = sweep_page(sweep, runs, below, experiment_id)
            number = {run.uid: run.id for run in runs}
            report(
                experiment_id,
                {(number[one.data.tags[UID_TAG]], int(one.data.tags[VARIANT_TAG])): one.info.run_id for one in below},
            )
            run_id = self._tell_sweep(client, experiment_id, page, told, thumbnail, overviews)
            for one in below:
                put_below(client, one, page, run_id)
            save_sweep_view(client, page)
            save_view(client, experiment_id)
            return run_id

    def record_probe(self, probe: ProbeRecord, experiment: str) -> str:
        """Tell MLflow of a probe; see :class:`promptlab.tracking.Tracker`.

        Raises:
            TrackerError: when MLflow could not be told.
        """
        self.prepare()
        with translated("MLflow could not be told of the probe"), self._alone():
            from mlflow.entities import Metric, Param

            client, page, at = self._connected(), ProbeRun(probe), int(probe.probed_at.timestamp() * 1000)
            tags = page.tags() | {NOTE_TAG: page.table()}
            shown = client.create_run(
                self._experiment(client, experiment), start_time=at, tags=tags, run_name=page.name
            )
            run_id: str = shown.info.run_id
            with self._folder_to_fill(client, shown) as folder:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / TABLE).write_text(page.table(), encoding="utf-8")
            client.log_batch(
                run_id,
                metrics=[Metric(name, value, at, step) for name, value, step in page.metrics()],
                params=[Param(name, value) for name, value in page.params().items()],
            )
            client.set_terminated(run_id)
            return run_id

    def compare(
        self,
        runs: Iterable[RunRecord],
        sweeps: Iterable[tuple[SweepRecord, Sequence[RunRecord]]],
        *,
        known: frozenset[str],
    ) -> Iterator[MlflowDifference]:
        """Where MLflow says something else than the records; see :class:`promptlab.tracking.Tracker`.

        Raises:
            TrackerError: when MLflow cannot be read.
        """
        from promptlab.tracking.audit import Audit

        with translated("MLflow could not be read"), self._answering():
            there = self.tracking_uri is not None or has_schema(self.workspace)
            client = self._connected() if there else None
            alone = self.tracking_uri is None
            audit = Audit(client, self.workspace, self._served_folder, alone)
            yield from audit.differences(runs, sweeps, known)

    def address(self, experiment: str | None = None) -> str | None:
        """The address that shows an experiment's pictures on the server elsewhere; ``None`` when there is none.

        Args:
            experiment: by name; ``None`` is the list of all.

        Raises:
            NotFound: when the server knows no such experiment.
            TrackerError: when it does not answer.
        """
        if self.tracking_uri is None:
            return None
        with translated("MLflow could not be asked"), self._answering():
            client = self._connected()
            if experiment is None:
                client.search_experiments(max_results=1)  # it answers
                return f"{self.tracking_uri}/#/experiments"
            found = client.get_experiment_by_name(experiment)
            if found is None:
                raise NotFound("experiment", experiment, allowed=f"what is told to {self.tracking_uri}",
                               hint="promptlab sync")  # fmt: skip
            return self.tracking_uri + address_path(found.experiment_id)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One who tells at a time, and a server that answers."""
        with locked(self.workspace), self._answering():
            yield

    @contextmanager
    def _answering(self) -> Iterator[None]:
        with nullcontext() if self._line is None else self._line.held():
            yield

    def _told_sweep(self, client: MlflowClient, experiment_id: str, sweep: SweepRecord) -> Run | None:
        """The MLflow run that shows the sweep, if there is one."""
        from mlflow.entities import ViewType

        mine = f"tags.`{UID_TAG}` = '{sweep.uid}'"
        found = client.search_runs([experiment_id], filter_string=mine, run_view_type=ViewType.ALL, max_results=1)
        return next(iter(found), None)

    def _tell_sweep(
        self,
        client: MlflowClient,
        experiment_id: str,
        page: SweepParentRun,
        shown: Run | None,
        thumbnail: bytes,
        overviews: Sequence[Path],
    ) -> str:
        tags = page.tags()
        if shown is None:
            shown = client.create_run(experiment_id, start_time=page.start_ms, tags=tags, run_name=page.name)
        elif shown.info.lifecycle_stage == "deleted":
            client.restore_run(shown.info.run_id)
        run_id: str = shown.info.run_id
        names, report = [path.name for path in overviews], self.workspace.sweep_report(page.sweep.id)
        with self._folder_to_fill(client, shown) as folder:
            lay_out_sweep(folder, page, thumbnail=thumbnail, overviews=overviews, report=report)
        tags[NOTE_TAG] = page.description(
            run_id, overviews=names, has_thumbnail=bool(thumbnail), report=REPORT if report.is_file() else None
        )
        self._log(client, shown, params=page.params(), metrics=page.metrics(), tags=tags)
        if page.status is RunStatus.RUNNING:
            client.update_run(run_id, status=page.status, name=page.name)
        else:
            client.set_terminated(run_id, status=page.status, end_time=page.end_ms)
        return run_id

    @staticmethod
    def _log(
        client: MlflowClient, shown: Run, *, params: Mapping[str, str], metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> None:  # fmt: skip
        """What ``shown`` does not say already. Parameters that it has stay: MLflow's cannot be changed."""
        from mlflow.entities import Metric, Param, RunTag

        had, now = shown.data, int(time.time() * 1000)
        client.log_batch(
            shown.info.run_id,
            metrics=[Metric(key, value, now, 0) for key, value in metrics.items() if had.metrics.get(key) != value],
            params=[Param(key, value) for key, value in params.items() if key not in had.params],
            tags=[RunTag(key, value) for key, value in tags.items() if had.tags.get(key) != value],
        )
        for name in stale_tags(tags, had.tags):
            client.delete_tag(shown.info.run_id, name)

    @contextmanager
    def _folder_to_fill(self, client: MlflowClient, shown: Run) -> Iterator[Path]:
        """Where the run's files go: the folder that is served, or one that is uploaded when it is full."""
        folder = self._served_folder(shown.info.artifact_uri)
        if folder is not None:
            yield folder
            return
        # On the workspace's own disk, so that what waits to be uploaded can be links as well.
        with tempfile.TemporaryDirectory(prefix=".upload-", dir=self.workspace.root) as waiting:
            yield Path(waiting)
            client.log_artifacts(shown.info.run_id, waiting)

    def _connected(self) -> MlflowClient:
        if self._client is None:
            import_mlflow_quietly()
            from mlflow import MlflowClient

            address = self.tracking_uri or database_uri(self.workspace)
            client = MlflowClient(tracking_uri=address, registry_uri=address)
            if self.tracking_uri is None:
                client.search_experiments(max_results=1)  # MLflow opens the file when it is first asked
            self._client = client
        return self._client

    def _experiment(self, client: MlflowClient, name: str) -> str:
        """The id of the experiment ``name``, which is made, or brought back from among the deleted."""
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(name)
        if found is None:
            # Relative to what the server serves, so that rows hold no path of this machine and workspaces can move.
            location = None if self.tracking_uri else f"mlflow-artifacts:/{self.workspace.artifact_folder(name)}"
            try:
                return str(client.create_experiment(name, artifact_location=location))
            except MlflowException:
                found = client.get_experiment_by_name(name)  # another process was quicker
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _known(self, client: MlflowClient, experiment_id: str, run: RunRecord) -> dict[int, Run]:
        """The MLflow runs that show ``run``, by variant. Found by tag: ids kept elsewhere may be another server's."""
        from mlflow.entities import ViewType

        found = client.search_runs(
            [experiment_id],
            filter_string=f"tags.`{UID_TAG}` = '{run.uid}'",
            run_view_type=ViewType.ALL,
            max_results=1000,
            order_by=["attributes.start_time DESC"],
        )
        return {int(shown.data.tags[VARIANT_TAG]): shown for shown in found if VARIANT_TAG in shown.data.tags}

    def _parent_links(self, client: MlflowClient, run: RunRecord, parent: RunRecord | None) -> dict[int, ParentRunLink]:
        experiment = client.get_experiment_by_name(parent.experiment) if parent else None
        if parent is None or experiment is None:
            return {}
        known = self._known(client, experiment.experiment_id, parent)
        return {
            variant.position: ParentRunLink(
                experiment_id=experiment.experiment_id, run_id=known[origin.position].info.run_id, variant=origin
            )
            for variant, origin in ((variant, origin_of(variant, parent)) for variant in run.variants)
            if origin.position in known
        }

    @staticmethod
    def _begun(client: MlflowClient, experiment_id: str, page: VariantRun, shown: Run | None) -> Run:
        """The MLflow run that shows a variant, made or brought back."""
        if shown is None:
            return client.create_run(experiment_id, start_time=page.start_ms, tags=page.tags(), run_name=page.name)
        if shown.info.lifecycle_stage == "deleted":
            client.restore_run(shown.info.run_id)
        return shown

    def _tell(
        self, client: MlflowClient, page: VariantRun, shown: Run, thumbnail: bytes, prompt: str | None = None
    ) -> None:
        tags, run_id = page.tags(), shown.info.run_id
        if prompt is not None:
            tags[LINK_TAG] = prompt
        with self._folder_to_fill(client, shown) as folder:  # before the words: they point at the pictures
            lay_out(folder, page, workspace=self.workspace, thumbnail=thumbnail)
        there = self.workspace.report(page.run.id).is_file()
        address = f"#/experiments/{shown.info.experiment_id}/runs/{run_id}/artifacts/{REPORT}" if there else None
        tags[NOTE_TAG] = page.description(run_id, has_grid=bool(thumbnail), report=address)
        self._log(client, shown, params=page.params(), metrics=page.metrics(), tags=tags)
        if page.run.status is RunStatus.RUNNING:
            client.update_run(run_id, status=RunStatus.RUNNING, name=page.name)
        else:
            client.set_terminated(run_id, status=page.run.status, end_time=page.end_ms)

    def _served_folder(self, artifact_uri: str) -> Path | None:
        """The folder from which the workspace's own server serves ``artifact_uri``; ``None`` when it does not."""
        parts = urlsplit(artifact_uri)
        if self.tracking_uri is not None or parts.scheme != "mlflow-artifacts" or parts.netloc:
            return None
        path = PurePosixPath(unquote(parts.path))
        if ".." in path.parts:
            raise TrackerError(f"MLflow keeps files at {artifact_uri}, which leads out of the workspace")
        return self.workspace.artifacts.joinpath(*path.parts[1:])
