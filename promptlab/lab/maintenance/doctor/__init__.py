"""One truth, three faces: rows, pictures and MLflow are held against each other, and nothing is changed by looking.

Each kind of finding has a function of its own; :class:`Doctor` asks them in an order in which none stumbles over what
an earlier one has found. Runs that a process is making at this moment are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from promptlab.errors import TrackerError
from promptlab.lab.execution.events import Progress, Watch
from promptlab.lab.maintenance.doctor.database import unreadable, unsound
from promptlab.lab.maintenance.doctor.files import missing_or_wrong, pictures_of
from promptlab.lab.maintenance.doctor.findings import Finding, Kind
from promptlab.lab.maintenance.doctor.presence import left, ungridded, unreported, unviewed
from promptlab.lab.maintenance.doctor.rows import edited, told_otherwise
from promptlab.lab.maintenance.doctor.strays import leftovers, orphans
from promptlab.lab.maintenance.doctor.sync import ENDED, misled, missed
from promptlab.records import ImageRecord, RunRecord
from promptlab.store.database import Database
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.lab.execution.executor import Executor
    from promptlab.store.notebook import Notebook
    from promptlab.tracking import Tracker

__all__ = ["Doctor", "Finding", "Kind", "ailing"]


def ailing(workspace: Workspace, database: Database) -> tuple[Finding, ...]:
    """What keeps the rows from being read, so that nothing else can be looked at.

    Raises:
        WorkspaceError: when a newer PromptLab wrote the database, or its server is away.
    """
    return tuple(unreadable(workspace, database))


class Doctor:
    """One look at a whole workspace whose database can be read."""

    def __init__(
        self, workspace: Workspace, notebook: Notebook, workshop: Executor, tracker: Tracker, watch: Watch
    ) -> None:
        self._workspace, self._notebook, self._workshop = workspace, notebook, workshop
        self._tracker, self._watch = tracker, watch

    def findings(self) -> Iterator[Finding]:
        """All that is wrong: database, runs and pictures, rows, stray files, MLflow."""
        dangling = tuple(unsound(self._workspace, self._notebook.database))
        yield from dangling
        if dangling:  # records cannot be put together from rows that are not there
            return
        standing = self._notebook.standing()
        busy = {run_id for run_id, _ in standing if self._workshop.busy(run_id)}
        runs = {run_id: self._notebook.run(run_id) for run_id, _ in standing if run_id not in busy}
        doubted: set[int] = set()
        for finding in self._runs(runs):
            if finding.kind in (Kind.ROW, Kind.CHUNK) and finding.run_id is not None:
                doubted.add(finding.run_id)
            yield finding
        yield from self._strays(runs, busy)
        yield from self._mlflow(runs, doubted)

    def _runs(self, runs: dict[int, RunRecord]) -> Iterator[Finding]:
        pictures = pictures_of(
            runs.values(), self._workspace, lambda count, of: self._watch(Progress(what="pictures", count=count, of=of))
        )
        for run in runs.values():  # rows first: what is made again is made by them
            yield from edited(run)
        yield from told_otherwise(pictures, runs)
        yield from missing_or_wrong(pictures)
        for run in runs.values():
            yield from left(run)
            if run.status in ENDED:
                yield from ungridded(run, self._workspace)
                yield from unreported(run, self._workspace)
        for sweep_id in sorted({run.sweep_id for run in runs.values() if run.sweep_id is not None}):
            sweep = self._notebook.sweep(sweep_id)
            if all(one.run_id in runs and runs[one.run_id].status in ENDED for one in sweep.runs):
                yield from unviewed(sweep, self._workspace)

    def _strays(self, runs: dict[int, RunRecord], busy: set[int]) -> Iterator[Finding]:
        known = {image.path or self._place(image) for run in runs.values() for image in run.images}
        folders = {self._workspace.run_folder(run_id).name for run_id in busy}
        yield from orphans(self._workspace, self._notebook, known, folders)
        yield from leftovers(self._workspace, self._workshop.busy)

    def _place(self, image: ImageRecord) -> str:
        """Where the file of an image will be that is still owed; one that was killed after writing it has it there."""
        name = self._workspace.image_name(image.variant, image.seed)
        return self._workspace.relative(self._workspace.run_folder(image.run_id) / name)

    def _mlflow(self, runs: dict[int, RunRecord], doubted: set[int]) -> Iterator[Finding]:
        ended = [run for run in runs.values() if run.status in ENDED]

        def looked() -> Iterator[RunRecord]:
            for count, run in enumerate(ended, 1):
                yield run
                self._watch(Progress(what="MLflow", count=count, of=len(ended)))

        wrong = set()
        try:
            for finding in misled(missed(self._notebook, self._tracker, looked()), doubted):
                wrong.add(finding.run_id)
                yield finding
        except TrackerError as error:
            yield Finding(kind=Kind.MLFLOW, subject="MLflow", problem=str(error))
            return
        for run in ended:
            if run.tracked_at is None and run.id not in wrong:
                yield Finding(
                    kind=Kind.MLFLOW, subject=f"run {run.id}", problem="in MLflow, which its row does not know",
                    remedy="promptlab sync", fixable=True, run_id=run.id,
                )  # fmt: skip
