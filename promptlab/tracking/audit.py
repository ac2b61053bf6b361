"""Every run and sweep of ours that MLflow shows, held against the records, one after the other. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.records import RunRecord, SweepRecord
from promptlab.tracking.audit_fields import ArtifactFile, MlflowDifference, differing, shown_runs, variant_of
from promptlab.tracking.experiment import PARENT_TAG, sweep_page
from promptlab.tracking.pictures import placed, placed_of_sweep
from promptlab.tracking.variant_run import VariantRun
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["Audit"]


@dataclass(slots=True)
class Audit:
    """One look at what MLflow has.

    Args:
        client: MLflow's; ``None`` where it has no tables yet, and so shows nothing.
        workspace: whose pictures are shown.
        served: the folder on this machine that an artifact address means, if there is one.
        alone: whether all of MLflow's runs are this workspace's, so that one nobody knows is a finding.
    """

    client: MlflowClient | None
    workspace: Workspace
    served: Callable[[str], Path | None]
    alone: bool
    _shown: dict[str, list[Run]] = field(default_factory=dict)

    def differences(
        self,
        runs: Iterable[RunRecord],
        sweeps: Iterable[tuple[SweepRecord, Sequence[RunRecord]]],
        known: frozenset[str],
    ) -> Iterator[MlflowDifference]:
        """See :meth:`promptlab.tracking.Tracker.compare`."""
        self._shown = {} if self.client is None else shown_runs(self.client)
        for run in runs:
            yield from self._run(run)
        for sweep, its in sweeps:
            yield from self._sweep(sweep, its)
        if self.alone:
            yield from self._strangers(known)

    def _run(self, run: RunRecord) -> Iterator[MlflowDifference]:
        """The first variant that differs: the run is told as a whole."""
        shown = {variant_of(one): one for one in _newest_first(self._shown.get(run.uid, ()))}
        for variant in run.variants:
            page, one = VariantRun(run=run, variant=variant), shown.get(variant.position)
            expected = placed(page, workspace=self.workspace, thumbnail=b"")
            problem, mendable = differing(page, one, files=self._files, expected=expected)
            if problem:
                where = f"variant {variant.position}: " if len(run.variants) > 1 else ""
                mlflow_run_id = None if one is None else one.info.run_id
                yield MlflowDifference(
                    problem=where + problem, run_id=run.id, mlflow_run_id=mlflow_run_id, mendable=mendable
                )
                return

    def _sweep(self, sweep: SweepRecord, runs: Sequence[RunRecord]) -> Iterator[MlflowDifference]:
        below = [one for run in runs for one in self._shown.get(run.uid, ()) if one.info.lifecycle_stage == "active"]
        one = next((one for one in self._shown.get(sweep.uid, ()) if variant_of(one) is None), None)
        experiment_id = "" if one is None else one.info.experiment_id
        page = sweep_page(sweep, runs, below, experiment_id)
        overviews = sorted(self.workspace.sweep_folder(sweep.id).glob("grid-*.png"))
        expected = placed_of_sweep(
            page, thumbnail=b"", overviews=overviews, report=self.workspace.sweep_report(sweep.id)
        )
        problem, mendable = differing(page, one, files=self._files, expected=expected)
        if not problem and one is not None:
            apart = [child for child in below if child.data.tags.get(PARENT_TAG) != one.info.run_id]
            problem, mendable = (
                (f"{len(apart)} of its runs do not stand below it in MLflow", True) if apart else ("", False)
            )
        if problem:
            mlflow_run_id = None if one is None else one.info.run_id
            yield MlflowDifference(problem=problem, sweep_id=sweep.id, mlflow_run_id=mlflow_run_id, mendable=mendable)

    def _strangers(self, known: frozenset[str]) -> Iterator[MlflowDifference]:
        for uid, runs in self._shown.items():
            for one in runs if uid not in known else ():
                if one.info.lifecycle_stage == "active":
                    folder = self.served(one.info.artifact_uri)
                    there = None if folder is None or not folder.is_dir() else self.workspace.relative(folder)
                    yield MlflowDifference(
                        problem=f"'{one.info.run_name}' belongs to no row",
                        mlflow_run_id=one.info.run_id, mendable=False, folder=there,
                    )  # fmt: skip

    def _files(self, shown: Run) -> Mapping[str, ArtifactFile]:
        """What lies in the MLflow run's folder, by name."""
        folder = self.served(shown.info.artifact_uri)
        if folder is not None:
            return dict(_lying(folder))
        return dict(self._listed(shown.info.run_id, None))

    def _listed(self, run_id: str, folder: str | None) -> Iterator[tuple[str, ArtifactFile]]:
        if self.client is None:
            return
        for one in self.client.list_artifacts(run_id, folder):
            if one.is_dir:
                yield from self._listed(run_id, one.path)
            else:
                yield one.path, ArtifactFile(size=int(one.file_size or 0))


def _lying(folder: Path) -> Iterator[tuple[str, ArtifactFile]]:
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # one that somebody is just putting in its place
            if path.is_file():
                yield path.relative_to(folder).as_posix(), ArtifactFile(size=path.stat().st_size, path=path)


def _newest_first(runs: Iterable[Run]) -> list[Run]:
    """So that of several for one variant the oldest is taken, as it is when a run is told."""
    return sorted(runs, key=lambda one: -int(one.info.start_time))
