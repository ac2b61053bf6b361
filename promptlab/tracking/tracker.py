"""Records runs in MLflow: one MLflow run per variant under one setting, found again by its tags.

One per variant, because MLflow's image charts compare runs, so that variants become columns and seeds rows. Those of a
sweep have one above them; our views show them flat, because MLflow leaves what is collapsed out of every chart. All
goes through ``MlflowClient``: the fluent API keeps an ambient stack of active runs and hides the failures of what it
sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab._locks import file_locked
from promptlab.errors import NotFound, TrackerError
from promptlab.records import ProbeRecord, RunRecord, SweepRecord
from promptlab.tracking import AddressReport, no_report
from promptlab.tracking.address import TrackingAddress
from promptlab.tracking.artifacts import ArtifactStore, shared_file
from promptlab.tracking.deadlines import Deadlines
from promptlab.tracking.experiment import (
    experiment_name,
    get_or_create_experiment,
    nest_below,
    parent_links,
    save_sweep_view,
    save_view,
    sweep_mlflow_run,
    sweep_mlflow_runs,
    sweep_run_of,
    variant_mlflow_runs,
)
from promptlab.tracking.measures import measures_of
from promptlab.tracking.probe_run import ProbeRun
from promptlab.tracking.prompts import linked_prompt, register_prompts
from promptlab.tracking.run_writer import RunWriter
from promptlab.tracking.schema import (
    close_stores,
    database_uri,
    has_schema,
    import_mlflow_quietly,
    locked,
    make_schema,
    translate_errors,
)
from promptlab.tracking.server_health import CircuitBreaker
from promptlab.tracking.tags import PARENT_TAG, UID_TAG, VARIANT_TAG
from promptlab.tracking.variant_run import ParentRunLink, VariantRun, run_address
from promptlab.tracking.view import address_path
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from promptlab.tracking.audit import MlflowDifference
    from promptlab.tracking.bounded_http import BoundedSession

__all__ = ["MlflowTracker"]


@dataclass(slots=True)
class MlflowTracker:
    """Records runs in MLflow, in the workspace's own file or on a server.

    Args:
        workspace: whose images are shown.
        tracking_uri: ``http(s)://…`` of an MLflow server, to which files are then uploaded; ``None`` is the workspace's
            own database, where they are hard-linked. A name and password in it are handed to MLflow and not kept here.
            It is waited for as long as the environment says (:class:`~promptlab.tracking.deadlines.Deadlines`).

    Raises:
        InputError: when ``tracking_uri`` is no such address, or the environment names no times.
    """

    workspace: Workspace
    tracking_uri: str | None = None
    _client: MlflowClient | None = field(default=None, init=False, repr=False)
    _breaker: CircuitBreaker | None = field(default=None, init=False, repr=False)
    _deadlines: Deadlines = field(default_factory=Deadlines.from_environment, init=False, repr=False)
    _session: BoundedSession | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.tracking_uri is not None:
            address = TrackingAddress.read(self.tracking_uri)
            address.hand_over()
            self.tracking_uri, self._breaker = address.url, CircuitBreaker(address.url)

    def prepare(self) -> None:
        """Make MLflow's tables in the workspace's file unless they exist, import MLflow, and open the file.

        Takes one to five seconds the first time in a process, so that :meth:`record` takes a fraction of one; it may
        run in a thread beside what takes longer. A server is not asked for anything yet.

        Raises:
            TrackerError: when they cannot be made, or another process holds the lock for minutes.
        """
        if self._client is not None:
            return
        with translate_errors(f"MLflow's tables could not be made in {self.workspace.database}"):
            if self.tracking_uri is None:
                make_schema(self.workspace)
            self._connected()

    def interrupt(self) -> None:
        """Let calls to a server fail at once, those under way and those of the next minute."""
        if self._session is not None:
            self._session.interrupt()

    def record(
        self, run: RunRecord, *, parent: RunRecord | None, thumbnail: bytes, report: AddressReport = no_report
    ) -> Mapping[int, str]:
        """Record ``run``, or update what is recorded of it; see :class:`promptlab.tracking.Tracker`.

        What MLflow has already is updated: status, times, metrics, tags, description, files. Parameters stay, because
        MLflow's cannot be changed. A run or experiment deleted in MLflow's pages comes back.

        Raises:
            TrackerError: when MLflow could not record it.
        """
        self.prepare()
        # One at a time: two that record one run would each find nothing there, and each add their own.
        with translate_errors(f"MLflow could not be told of run {run.id}"), self._exclusive():
            client = self._connected()
            experiment_id = self._experiment_id(client, run.experiment)
            existing = variant_mlflow_runs(client, experiment_id, run)
            links = parent_links(client, run, parent)
            begun = list(self._begin(run, parent, experiment_id, existing, links))
            run_ids = {one.variant.position: str(mlflow_run.info.run_id) for one, mlflow_run in begun}
            report(experiment_id, {(run.id, position): run_id for position, run_id in run_ids.items()})
            above = next((link.run_id for link in links.values()), None)
            name = linked_prompt(client, existing.values(), above)
            prompts = register_prompts(client, experiment_id, run, parent=parent, name=name)
            with shared_file(thumbnail, workspace=self.workspace, sharers=len(begun)) as shared:
                for one, mlflow_run in begun:
                    prompt_link = prompts.get(one.variant.position)
                    self._writer(client).write_variant(one, mlflow_run, thumbnail=shared, prompt_link=prompt_link)
            save_view(client, experiment_id)
            return run_ids

    def record_sweep(
        self,
        sweep: SweepRecord,
        runs: Sequence[RunRecord],
        *,
        thumbnail: bytes,
        overviews: Sequence[Path],
        report: AddressReport = no_report,
    ) -> str:
        """Record a whole sweep, or update what is recorded of it; see :class:`promptlab.tracking.Tracker`.

        Raises:
            TrackerError: when MLflow could not record it.
        """
        self.prepare()
        with translate_errors(f"MLflow could not be told of sweep {sweep.id}"), self._exclusive():
            client = self._connected()
            experiment_id = self._experiment_id(client, sweep.experiment)
            existing = sweep_mlflow_run(client, experiment_id, sweep)
            children = sweep_mlflow_runs(client, experiment_id, sweep, runs)
            sweep_run = sweep_run_of(sweep, runs, children, experiment_id)
            number = {run.uid: run.id for run in runs}
            places = ((number[one.data.tags[UID_TAG]], int(one.data.tags[VARIANT_TAG])) for one in children)
            report(experiment_id, {place: one.info.run_id for place, one in zip(places, children, strict=True)})
            run_id = self._writer(client).write_sweep(
                experiment_id, sweep_run, existing, thumbnail=thumbnail, overviews=overviews
            )
            for child in children:
                nest_below(client, child, sweep_run, run_id)
            save_sweep_view(client, sweep_run)
            save_view(client, experiment_id)
            return run_id

    def record_probe(self, probe: ProbeRecord, experiment: str) -> str:
        """Record a probe as a run of its own; see :class:`promptlab.tracking.Tracker`.

        Raises:
            TrackerError: when MLflow could not record it.
        """
        self.prepare()
        with translate_errors("MLflow could not be told of the probe"), self._exclusive():
            client = self._connected()
            return self._writer(client).write_probe(self._experiment_id(client, experiment), ProbeRun(probe))

    def compare(
        self,
        runs: Iterable[RunRecord],
        sweeps: Iterable[tuple[SweepRecord, Sequence[RunRecord]]],
        *,
        known: frozenset[str],
    ) -> Iterator[MlflowDifference]:
        """Yield where MLflow differs from the records; see :class:`promptlab.tracking.Tracker`.

        Raises:
            TrackerError: when MLflow cannot be read.
        """
        from promptlab.tracking.audit import MlflowAudit

        with translate_errors("MLflow could not be read"), self._answering():
            there = self.tracking_uri is not None or has_schema(self.workspace)
            audit = MlflowAudit(
                client=self._connected() if there else None,
                store=self._store(),
                is_own=self.tracking_uri is None,
            )
            yield from audit.differences(runs, sweeps, known)

    def close(self) -> None:
        """Close what is open; see :class:`promptlab.tracking.Tracker`."""
        if self._client is not None and self.tracking_uri is None:
            with suppress(Exception):  # the file may be gone; then nothing is open
                close_stores(self.workspace)

    def address(self, experiment: str | None = None) -> str | None:
        """Return the address that shows an experiment's images on the server; None when there is no server.

        Args:
            experiment: by name; ``None`` is the list of all.

        Raises:
            NotFound: when the server has no such experiment.
            TrackerError: when it does not answer.
        """
        if self.tracking_uri is None:
            return None
        with translate_errors("MLflow could not be asked"), self._answering():
            client = self._connected()
            if experiment is None:
                client.search_experiments(max_results=1)  # it answers
                return f"{self.tracking_uri}/#/experiments"
            found = client.get_experiment_by_name(experiment_name(experiment))
            if found is None:
                raise NotFound("experiment", experiment, allowed=f"what is told to {self.tracking_uri}",
                               hint="promptlab sync")  # fmt: skip
            return self.tracking_uri + address_path(found.experiment_id)

    def _begin(
        self,
        run: RunRecord,
        parent: RunRecord | None,
        experiment_id: str,
        existing: Mapping[int, Run],
        links: Mapping[int, ParentRunLink],
    ) -> Iterator[tuple[VariantRun, Run]]:
        """Yield each variant with its MLflow run, which is made or restored."""
        measured, writer = measures_of(run, self.workspace), self._writer(self._connected())
        for variant in run.variants:
            before = existing.get(variant.position)
            above = None if before is None else before.data.tags.get(PARENT_TAG)
            variant_run = VariantRun(
                run=run,
                variant=variant,
                parent=parent,
                parent_link=links.get(variant.position),
                sweep_address=None if above is None else run_address(experiment_id, above),
                measured=measured.get(variant.position, {}),
            )
            yield variant_run, writer.begin(experiment_id, variant_run, before)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Let one process record at a time, and fail at once without a server.

        A server has a lock of its own: while it is waited for, nobody waits who records here or on another one.
        """
        if self.tracking_uri is None or self._session is None:
            with locked(self.workspace):
                yield
            return
        lock = self.workspace.tracking_lock(self.tracking_uri)
        with (
            self._answering(),
            self._session.telling() as seconds,
            file_locked(lock, timeout=seconds, error=TrackerError),
        ):
            yield

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Fail at once where the server could not be reached a moment ago."""
        with nullcontext() if self._breaker is None else self._breaker.guard():
            yield

    def _store(self) -> ArtifactStore:
        return ArtifactStore(workspace=self.workspace, is_local=self.tracking_uri is None)

    def _writer(self, client: MlflowClient) -> RunWriter:
        return RunWriter(client=client, store=self._store())

    def _experiment_id(self, client: MlflowClient, name: str) -> str:
        # Relative to what the server serves, so that rows hold no path of this machine and workspaces can move.
        location = None if self.tracking_uri else f"mlflow-artifacts:/{self.workspace.artifact_folder(name)}"
        return get_or_create_experiment(client, name, artifact_location=location)

    def _connected(self) -> MlflowClient:
        """Return the client, which is made, and has opened the workspace's file, from the first call on."""
        if self._client is None:
            import_mlflow_quietly()
            from mlflow import MlflowClient

            address = self.tracking_uri or database_uri(self.workspace)
            if self.tracking_uri is not None:
                from promptlab.tracking.bounded_http import session_for

                self._session = session_for(address, self._deadlines)
            client = MlflowClient(tracking_uri=address, registry_uri=address)
            if self.tracking_uri is None:
                client.search_experiments(max_results=1)  # MLflow opens the file when it is first asked
            self._client = client
        return self._client
