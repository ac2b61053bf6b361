"""Compares the runs and sweeps that MLflow shows with their records. Changes nothing.

What MLflow ought to say comes from the classes that record it. One :class:`MlflowDifference` a run or sweep, however
much of it differs: recording it again puts all of it right, but for parameters, which MLflow never changes. Names and
descriptions are the reader's to edit and are not compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import one_line
from promptlab.records import RunRecord, RunStatus, SweepRecord
from promptlab.tracking.artifacts import Artifact, ArtifactStore, sweep_artifacts, variant_artifacts
from promptlab.tracking.experiment import sweep_run_of
from promptlab.tracking.sweep_run import SweepParentRun
from promptlab.tracking.tags import PARENT_TAG, UID_TAG, VARIANT_TAG, stale_tags
from promptlab.tracking.variant_run import VariantRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["MlflowAudit", "MlflowDifference"]

_LISTED: Final = 3
"""Disagreements of one run that are named; the others are counted."""

_MISSING: Final = "is missing in MLflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowDifference:
    """Says how MLflow and the records disagree on one run or sweep.

    Args:
        problem: how, in a line: ``not in MLflow``.
        run_id, sweep_id: whose; neither, for an MLflow run of ours that no record knows.
        mlflow_run_id: MLflow's own; ``None`` where it has none.
        fixable: whether recording it again would put it right.
        folder: where its files lie, relative to the workspace; ``None`` where they lie elsewhere.
    """

    problem: str
    run_id: int | None = None
    sweep_id: int | None = None
    mlflow_run_id: str | None = None
    fixable: bool = True
    folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArtifact:
    """Describes a file that MLflow has: its size in bytes, and where it lies when that is on this machine.

    Args:
        place: device and number of the file there, by which hard links are known.
    """

    size: int
    path: Path | None = None
    place: tuple[int, int] | None = None

    def holds(self, source: Path) -> bool:
        """Return whether it has the bytes of ``source``; of files elsewhere only the size is known."""
        there = source.stat()
        if self.path is None or self.place == (there.st_dev, there.st_ino):
            return self.path is not None or self.size == there.st_size
        return self.size == there.st_size and self.path.read_bytes() == source.read_bytes()


@dataclass(slots=True, kw_only=True)
class MlflowAudit:
    """Compares everything of ours that MLflow has with the records, once.

    Args:
        client: MLflow's; ``None`` where it has no tables yet, and so shows nothing.
        store: where the runs' files lie.
        is_own: whether all of MLflow's runs are this workspace's, so that one without a record is a difference.
    """

    client: MlflowClient | None
    store: ArtifactStore
    is_own: bool
    _recorded: dict[str, list[Run]] = field(default_factory=dict, init=False)

    def differences(
        self,
        runs: Iterable[RunRecord],
        sweeps: Iterable[tuple[SweepRecord, Sequence[RunRecord]]],
        known: frozenset[str],
    ) -> Iterator[MlflowDifference]:
        """Yield the differences; see :meth:`promptlab.tracking.Tracker.compare`."""
        self._recorded = {} if self.client is None else _recorded_runs(self.client)
        for run in runs:
            yield from self._run(run)
        for sweep, its in sweeps:
            yield from self._sweep(sweep, its)
        if self.is_own:
            yield from self._unknown_runs(known)

    def _run(self, run: RunRecord) -> Iterator[MlflowDifference]:
        """Yield the first variant that differs: a run is recorded as a whole."""
        shown = {_variant_of(one): one for one in _newest_first(self._recorded.get(run.uid, ()))}
        for variant in run.variants:
            variant_run, one = VariantRun(run=run, variant=variant), shown.get(variant.position)
            expected = variant_artifacts(variant_run, workspace=self.store.workspace, thumbnail=b"")
            problem, fixable = _difference(variant_run, one, files=self._files, expected=expected)
            if problem:
                where = f"variant {variant.position}: " if len(run.variants) > 1 else ""
                mlflow_run_id = None if one is None else one.info.run_id
                yield MlflowDifference(
                    problem=where + problem, run_id=run.id, mlflow_run_id=mlflow_run_id, fixable=fixable
                )
                return

    def _sweep(self, sweep: SweepRecord, runs: Sequence[RunRecord]) -> Iterator[MlflowDifference]:
        below = [one for run in runs for one in self._recorded.get(run.uid, ()) if one.info.lifecycle_stage == "active"]
        one = next((one for one in self._recorded.get(sweep.uid, ()) if _variant_of(one) is None), None)
        experiment_id = "" if one is None else one.info.experiment_id
        sweep_run = sweep_run_of(sweep, runs, below, experiment_id)
        overviews = sorted(self.store.workspace.sweep_folder(sweep.id).glob("grid-*.png"))
        expected = sweep_artifacts(
            sweep_run, thumbnail=b"", overviews=overviews, report=self.store.workspace.sweep_report(sweep.id)
        )
        problem, fixable = _difference(sweep_run, one, files=self._files, expected=expected)
        if not problem and one is not None:
            apart = [child for child in below if child.data.tags.get(PARENT_TAG) != one.info.run_id]
            problem, fixable = (
                (f"{len(apart)} of its runs do not stand below it in MLflow", True) if apart else ("", False)
            )
        if problem:
            mlflow_run_id = None if one is None else one.info.run_id
            yield MlflowDifference(problem=problem, sweep_id=sweep.id, mlflow_run_id=mlflow_run_id, fixable=fixable)

    def _unknown_runs(self, known: frozenset[str]) -> Iterator[MlflowDifference]:
        for uid, runs in self._recorded.items():
            for one in runs if uid not in known else ():
                if one.info.lifecycle_stage == "active":
                    folder = self.store.served_folder(one.info.artifact_uri)
                    there = None if folder is None or not folder.is_dir() else self.store.workspace.relative(folder)
                    yield MlflowDifference(
                        problem=f"'{one.info.run_name}' belongs to no row",
                        mlflow_run_id=one.info.run_id, fixable=False, folder=there,
                    )  # fmt: skip

    def _files(self, mlflow_run: Run) -> Mapping[str, StoredArtifact]:
        """Return the artifacts of an MLflow run, by name."""
        folder = self.store.served_folder(mlflow_run.info.artifact_uri)
        if folder is not None:
            return dict(_files_in(folder))
        return dict(self._listed(mlflow_run.info.run_id, None))

    def _listed(self, run_id: str, folder: str | None) -> Iterator[tuple[str, StoredArtifact]]:
        if self.client is None:
            return
        for one in self.client.list_artifacts(run_id, folder):
            if one.is_dir:
                yield from self._listed(run_id, one.path)
            else:
                yield one.path, StoredArtifact(size=int(one.file_size or 0))


def _files_in(folder: Path, within: str = "") -> Iterator[tuple[str, StoredArtifact]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        name = f"{within}{entry.name}"
        with suppress(FileNotFoundError):  # one that somebody is just putting in its place
            if entry.is_dir():
                yield from _files_in(folder / entry.name, f"{name}/")
            elif entry.is_file():
                found = entry.stat()
                place = (found.st_dev, found.st_ino)
                yield name, StoredArtifact(size=found.st_size, path=folder / entry.name, place=place)


def _newest_first(runs: Iterable[Run]) -> list[Run]:
    """Sort runs so that of several for one variant the oldest is taken, as it is when a run is recorded."""
    return sorted(runs, key=lambda one: -int(one.info.start_time))


def _recorded_runs(client: MlflowClient) -> dict[str, list[Run]]:
    """Return every MLflow run of ours, deleted ones too, by the uid of the run or sweep that it shows."""
    from mlflow.entities import ViewType

    experiments = [one.experiment_id for one in client.search_experiments(view_type=ViewType.ALL)]
    found: dict[str, list[Run]] = {}
    token: str | None = ""
    while experiments and token is not None:
        part = client.search_runs(
            experiments,
            filter_string=f"tags.`{UID_TAG}` LIKE '%'",
            run_view_type=ViewType.ALL,
            max_results=1000,
            page_token=token or None,
        )
        for one in part:
            found.setdefault(one.data.tags[UID_TAG], []).append(one)
        token = part.token or None
    return found


def _difference(
    ours: VariantRun | SweepParentRun,
    theirs: Run | None,
    *,
    files: Callable[[Run], Mapping[str, StoredArtifact]],
    expected: Iterable[Artifact],
) -> tuple[str, bool]:
    """Return how an MLflow run differs from the record, empty if it does not, and whether that is fixable.

    Args:
        ours: the record, as it is recorded.
        theirs: the MLflow run; ``None`` when there is none.
        files: returns the artifacts of an MLflow run, by name.
        expected: those that it ought to have.
    """
    if theirs is None:
        return "not in MLflow", True
    if theirs.info.lifecycle_stage == "deleted":
        return "deleted in MLflow", True
    for_good = list(_values("parameter", ours.params(), theirs.data.params))
    said = [*_status(ours, theirs), *_recorded_values(ours, theirs), *_missing_files(files(theirs), expected)]
    missing = [text for text in for_good if text.endswith(_MISSING)]
    problems = [*for_good, *said]
    more = f" and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    return "; ".join(islice(problems, _LISTED)) + more, bool(said or missing)


def _status(ours: VariantRun | SweepParentRun, theirs: Run) -> Iterator[str]:
    status = ours.run.status if isinstance(ours, VariantRun) else ours.status
    if theirs.info.status != status:
        yield f"{theirs.info.status} in MLflow and {status} here"
    if status is not RunStatus.RUNNING and theirs.info.end_time != ours.end_ms:
        yield "ended at another time in MLflow"


def _recorded_values(ours: VariantRun | SweepParentRun, theirs: Run) -> Iterator[str]:
    tags = ours.tags()
    yield from _values("tag", tags, theirs.data.tags)
    for name in stale_tags(tags, theirs.data.tags):
        yield f"tag {name} no longer holds"
    yield from _values("metric", ours.metrics(), theirs.data.metrics)


def _values(kind: str, here: Mapping[str, object], there: Mapping[str, object]) -> Iterator[str]:
    for name, value in here.items():
        if name not in there:
            yield f"{kind} {name} {_MISSING}"
        elif there[name] != value:
            theirs, ours = (one_line(each, limit=60) for each in (there[name], value))
            yield f"{kind} {name} is '{theirs}' in MLflow and '{ours}' here"


def _missing_files(there: Mapping[str, StoredArtifact], expected: Iterable[Artifact]) -> Iterator[str]:
    try:
        for one in expected:
            if one.name not in there:
                yield f"file {one.name} {_MISSING}"
            elif isinstance(one.source, Path) and not there[one.name].holds(one.source):
                yield f"file {one.name} is another in MLflow"
    except FileNotFoundError:
        return  # an image of ours is gone: MLflow cannot be blamed for that


def _variant_of(theirs: Run) -> int | None:
    """Return the position of the variant that an MLflow run of ours shows; None for a sweep."""
    place = theirs.data.tags.get(VARIANT_TAG, "")
    return int(place) if place.isdigit() else None
