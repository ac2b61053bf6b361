"""Checks that database, image files and MLflow agree, and names the command that fixes each problem.

A function of its own makes each kind of finding; :class:`Doctor` calls them in an order in which none stumbles over
what an earlier one has found. Runs that a process is making at this moment are left alone.

Invariant: nothing is changed by checking.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from promptlab.errors import TrackerError
from promptlab.lab.context import LabContext
from promptlab.lab.execution.events import Progress, Watch
from promptlab.lab.maintenance.doctor.checked_files import CheckedFiles
from promptlab.lab.maintenance.doctor.database import check_readable, check_references
from promptlab.lab.maintenance.doctor.files import (
    check_images,
    find_leftovers,
    find_orphans,
    read_images,
    remember_agreeing,
)
from promptlab.lab.maintenance.doctor.findings import Finding, FindingKind
from promptlab.lab.maintenance.doctor.runs import (
    check_complete,
    check_cut_short,
    check_grid,
    check_metadata,
    check_overview,
    check_recipe_keys,
    check_report,
)
from promptlab.lab.maintenance.doctor.sync import ENDED, compare_with_mlflow, mlflow_findings
from promptlab.records import ImageRecord, RunRecord

__all__ = ["Doctor", "Finding", "FindingKind"]


class Doctor:
    """Checks one workspace.

    Args:
        context: the services of the lab.
        watch: called with :class:`~promptlab.lab.execution.events.Progress`.
        deep: read every file, also those that have not changed since they were read and agreed.
    """

    def __init__(self, context: LabContext, watch: Watch, *, deep: bool = False) -> None:
        self._context, self._watch = context, watch
        self._checked = CheckedFiles.of(context.workspace, deep=deep)

    def findings(self) -> Iterator[Finding]:
        """Yield all that is wrong: database, runs and images, rows, stray files, MLflow.

        Raises:
            WorkspaceError: when a newer PromptLab wrote the database, or its server is away.
        """
        context = self._context
        unreadable = tuple(check_readable(context.workspace, context.database))
        yield from unreadable
        if unreadable or not context.database.is_begun or context.database.revision() is None:
            return
        dangling = tuple(check_references(context.workspace, context.database))
        yield from dangling
        if dangling:  # records cannot be put together from rows that do not exist
            return
        run_ids = [run_id for run_id, _ in context.notebook.run_statuses()]
        busy = context.locks.busy_of(context.notebook.unpublished())
        runs = {run.id: run for run in context.notebook.runs([run_id for run_id in run_ids if run_id not in busy])}
        cut_short = context.cut_short_sweeps()
        doubted: set[int] = set()
        for finding in self._runs(runs, cut_short):
            if finding.kind in (FindingKind.ROW, FindingKind.CHUNK) and finding.run_id is not None:
                doubted.add(finding.run_id)
            yield finding
        edited = {runs[run_id].sweep_id for run_id in doubted}  # their recipes say nothing of what was asked for
        yield from check_cut_short({one: count for one, count in cut_short.items() if one not in edited})
        self._checked.keep()
        yield from self._strays(runs, busy)
        yield from self._mlflow(runs, doubted)

    def _runs(self, runs: dict[int, RunRecord], cut_short: Collection[int]) -> Iterator[Finding]:
        workspace, notebook = self._context.workspace, self._context.notebook
        images = read_images(
            runs,
            workspace,
            self._checked,
            lambda count, of: self._watch(Progress(what="pictures", count=count, of=of)),
        )
        for run in runs.values():  # rows first: images are made again from them
            yield from check_recipe_keys(run)
        found = [*check_metadata(images, runs), *check_images(images)]
        yield from found
        remember_agreeing(images, found, self._checked)
        for run in runs.values():
            yield from check_complete(run)
            if run.status in ENDED:
                yield from check_grid(run, workspace, self._checked)
                yield from check_report(run, workspace)
        for sweep_id in sorted(
            {run.sweep_id for run in runs.values() if run.sweep_id is not None}.difference(cut_short)
        ):
            sweep = notebook.sweep(sweep_id)
            if all(one.run_id in runs and runs[one.run_id].status in ENDED for one in sweep.runs):
                yield from check_overview(sweep, workspace)

    def _strays(self, runs: dict[int, RunRecord], busy: set[int]) -> Iterator[Finding]:
        workspace = self._context.workspace
        known = {image.path or self._future_path(image) for run in runs.values() for image in run.images}
        folders = {workspace.run_folder(run_id).name for run_id in busy}
        yield from find_orphans(workspace, self._context.notebook, known, folders)
        yield from find_leftovers(workspace, self._context.locks.busy)

    def _future_path(self, image: ImageRecord) -> str:
        """Return where the file of an owed image will be; a process killed after writing it has left it there."""
        workspace = self._context.workspace
        name = workspace.image_name(image.variant, image.seed)
        return workspace.relative(workspace.run_folder(image.run_id) / name)

    def _mlflow(self, runs: dict[int, RunRecord], doubted: set[int]) -> Iterator[Finding]:
        ended = [run for run in runs.values() if run.status in ENDED]

        def compared() -> Iterator[RunRecord]:
            for count, run in enumerate(ended, 1):
                yield run
                self._watch(Progress(what="MLflow", count=count, of=len(ended)))

        wrong = set()
        try:
            differences = compare_with_mlflow(self._context.notebook, self._context.tracker, compared())
            for finding in mlflow_findings(differences, doubted):
                wrong.add(finding.run_id)
                yield finding
        except TrackerError as error:
            yield Finding(kind=FindingKind.MLFLOW, subject="MLflow", problem=str(error))
            return
        for run in ended:
            if run.tracked_at is None and run.id not in wrong:
                yield Finding(
                    kind=FindingKind.MLFLOW, subject=f"run {run.id}", problem="in MLflow, which its row does not know",
                    remedy="promptlab sync", fixable=True, run_id=run.id,
                )  # fmt: skip
