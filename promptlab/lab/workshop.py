"""Where a run that is in the notebook is carried out: what exists is linked, what is owed is made, the faces are drawn.

One path for a new run, one taken up after a crash, and one of a sweep. A run is locked while it is being made, by a
file lock that ends with its process however that ends; so whether a RUNNING run is alive can be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from promptlab.engine import Engine
from promptlab.errors import InputError, StoreError, TrackerError, one_line
from promptlab.images.grid import save_grid, thumbnail
from promptlab.lab.events import RunBegan, Telling, Undrawn, Untold, Watch
from promptlab.lab.making import Making
from promptlab.plan import Pace, ResolvedSpec, tasks_of
from promptlab.records import Environment, ImageRecord, RunRecord, RunStatus, SweepRecord
from promptlab.store.notebook import Notebook
from promptlab.tracking import Tracker
from promptlab.workspace import Workspace

__all__ = ["Workshop"]


class Workshop:
    """Engine, notebook, workspace and tracker, put to work on one run or sweep at a time."""

    def __init__(self, engine: Engine, notebook: Notebook, workspace: Workspace, tracker: Tracker) -> None:
        self._engine, self._notebook, self._workspace, self._tracker = engine, notebook, workspace, tracker

    def carry_out(
        self,
        run: RunRecord,
        resolved: ResolvedSpec,
        environment: Environment,
        *,
        parent: RunRecord | None = None,
        again: bool = False,
        watch: Watch,
    ) -> RunRecord:
        """Make what ``run`` owes, draw its grid, tell MLflow.

        Args:
            environment: the one it is carried out in.
            again: make pictures anew that exist elsewhere in the workspace.

        Raises:
            InputError: when another process is making it.
            EngineError, StoreError: the run is FAILED; what was made stays.
            KeyboardInterrupt: the run is KILLED; what was made stays.
        """
        with self._locked(run.id):
            for leftover in self._workspace.run_folder(run.id).glob(".*.tmp"):
                leftover.unlink(missing_ok=True)  # of a process that was killed while it wrote
            run = self._notebook.take_up(run.id)
            if not again:
                run = self._link(run, environment)
            watch(RunBegan(run=run))
            owed = {image.position for image in run.owed}
            tasks = [task for task in tasks_of(resolved) if task.position in owed]
            making = Making(
                self._engine, self._notebook, self._workspace, self._tracker, run, environment, parent, watch
            )
            failure: BaseException | None = None
            try:
                if tasks:
                    making.generate(tasks)
                ended = making.end(RunStatus.FINISHED)
            except KeyboardInterrupt as interrupt:
                ended, failure = making.end(RunStatus.KILLED), interrupt
            except Exception as error:  # noqa: BLE001 - whatever it was, the row must say so before it goes on
                ended, failure = making.end(RunStatus.FAILED, error=one_line(error)), error
            ended = self.show(ended, watch)
        if failure is not None:
            raise failure
        return ended

    def existing(self, keys: Sequence[str], environment: Environment) -> dict[str, ImageRecord]:
        """Pictures that need not be made: by recipe key, made in this environment, their files still there."""
        found = self._notebook.known(keys, environment)
        return {key: image for key, image in found.items() if self._is_there(image)}

    def pace(self, resolved: ResolvedSpec) -> Pace | None:
        """What the workspace's history says about this setting on this device."""
        return self._notebook.pace(resolved)

    def whole(self, run: RunRecord) -> bool:
        """Whether every picture of ``run`` is made and its file there."""
        return run.complete and all(map(self._is_there, run.images))

    def busy(self, run_id: int) -> bool:
        """Whether a process is making the run at this moment."""
        lock = self._lock(run_id)
        if not lock.parent.is_dir():
            return False
        try:
            with FileLock(lock, timeout=0):
                return False
        except Timeout:
            return True

    def show(self, run: RunRecord, watch: Watch) -> RunRecord:
        """The faces of an ended run: its grid, and MLflow. Neither can take the run down with it."""
        try:
            save_grid(run, self._workspace, uids=self._notebook.uids(run.named_runs))
        except StoreError as error:
            watch(Undrawn(run_id=run.id, reason=str(error)))
        watch(Telling())
        try:
            return self.tell(run)
        except TrackerError as error:
            watch(Untold(run_id=run.id, reason=str(error)))
            return run

    def tell(self, run: RunRecord) -> RunRecord:
        """Tell MLflow of ``run``.

        Raises:
            TrackerError: when it cannot be told.
        """
        parent = None if run.parent_run_id is None else self._notebook.run(run.parent_run_id)
        grid = self._workspace.grid(run.id)
        told = self._tracker.record(run, parent=parent, thumbnail=thumbnail(grid) if grid.is_file() else b"")
        return self._notebook.mark_tracked(run.id, told)

    def show_sweep(self, sweep: SweepRecord, watch: Watch) -> SweepRecord:
        """The faces of a sweep: its overview, and the MLflow run above those of its runs."""
        from promptlab.images.overview import save_overview

        runs = [self._notebook.run(one.run_id) for one in sweep.runs]
        newest = runs[-1].id
        try:
            pages = save_overview(sweep, runs, self._workspace)
        except StoreError as error:
            watch(Undrawn(run_id=newest, reason=str(error)))
            pages = ()
        watch(Telling())
        try:
            told = self._tracker.record_sweep(
                sweep, runs, thumbnail=thumbnail(pages[0]) if pages else b"", overviews=pages
            )
        except TrackerError as error:
            watch(Untold(run_id=newest, reason=str(error)))
            return sweep
        return self._notebook.mark_sweep_tracked(sweep.id, told)

    def _link(self, run: RunRecord, environment: Environment) -> RunRecord:
        lost = [image.position for image in run.made if not self._is_there(image)]
        if lost:
            run = self._notebook.owe_images(run.id, lost)
        owed = run.owed
        there = self.existing([image.recipe_key for image in owed], environment)
        earlier = {image.position: there[image.recipe_key] for image in owed if image.recipe_key in there}
        return self._notebook.link_images(run.id, earlier) if earlier else run

    def _is_there(self, image: ImageRecord) -> bool:
        return image.path is not None and (self._workspace.root / image.path).is_file()

    def _lock(self, run_id: int) -> Path:
        return self._workspace.run_folder(run_id) / ".lock"

    @contextmanager
    def _locked(self, run_id: int) -> Iterator[None]:
        lock = self._lock(run_id)
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock, timeout=0):
                yield
        except Timeout:
            raise InputError("run", run_id, problem="is being made by another process", hint="promptlab list") from None
