"""Where a run that is in the notebook is carried out: what exists is linked, what is owed is made, the faces are drawn.

One path for a new run, one taken up after a crash, and all those of a sweep (:mod:`promptlab.lab.execution.runner`).
What is
being made is locked, by a file lock that ends with its process however that ends; so whether a RUNNING run is alive can
be told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from promptlab.engine import Engine
from promptlab.errors import InputError, StoreError, TrackerError
from promptlab.images.grid import save_grid, thumbnail
from promptlab.lab.execution.active_run import ActiveRun, RunJob
from promptlab.lab.execution.events import GridFailed, RunStarted, TrackingFailed, TrackingStarted, Watch
from promptlab.lab.execution.locks import RunLocks
from promptlab.lab.execution.runner import Runner, RunOutcome
from promptlab.plan import Pace, ResolvedSpec
from promptlab.records import Environment, ImageRecord, RunRecord, SweepRecord
from promptlab.store.notebook import Notebook
from promptlab.tracking import AddressReport, Tracker
from promptlab.workspace import Workspace

__all__ = ["Executor"]


class Executor:
    """Engine, notebook, workspace and tracker, put to work on one run or sweep at a time.

    The engine is only asked for where a picture is made: it imports torch.
    """

    def __init__(
        self, engine: Callable[[], Engine], notebook: Notebook, workspace: Workspace, tracker: Tracker
    ) -> None:
        self._engine, self._notebook, self._workspace, self._tracker = engine, notebook, workspace, tracker
        self.holds = RunLocks(workspace, notebook.sweep_of)

    def carry_out(self, order: RunJob, watch: Watch) -> RunRecord:
        """Make what one run owes, draw its grid, tell MLflow.

        Raises:
            InputError: when another process is making it.
            EngineError, StoreError: the run is FAILED; what was made stays.
            KeyboardInterrupt: the run is KILLED; what was made stays.
        """
        (outcome,) = self.carry_out_all([order], watch)
        if outcome.failure is not None:
            raise outcome.failure
        return outcome.run

    def carry_out_all(self, orders: Sequence[RunJob], watch: Watch) -> tuple[RunOutcome, ...]:
        """The same for many runs at once, whose pictures flow through the engine together.

        Returns:
            How each ended; one that failed does not take the others along.

        Raises:
            InputError: when another process is making one of them.
            StoreError: those that were begun are FAILED; what was made stays.
            KeyboardInterrupt: those that were begun are KILLED; what was made stays.
        """
        with self.holds.held([order.run for order in orders]):
            stream = Runner(
                self._engine(), self._notebook, self._workspace,
                link=lambda making: self._link(making.run, making.order.environment),
                show=lambda run: self.show(run, _told_before(watch)),
                prepare=self._tracker.prepare, watch=watch,
            )  # fmt: skip
            return stream.carry_out([self._making(order, watch, alone=len(orders) == 1) for order in orders])

    def _making(self, order: RunJob, watch: Watch, *, alone: bool) -> ActiveRun:
        """The run, ready to be made: of several, each is taken up when its turn comes."""
        folder = self._workspace.run_folder(order.run.id)
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)  # of a process that was killed while it wrote
        run = self._notebook.start_run(order.run.id) if alone else order.run
        if not order.again:
            run = self._link(run, order.environment)
        watch(RunStarted(run=run))
        return ActiveRun(order, run, self._notebook, taken_up=alone)

    def existing(self, keys: Sequence[str], environment: Environment) -> dict[str, ImageRecord]:
        """Pictures that need not be made: by recipe key, made in this environment, their files still there."""
        found = self._notebook.images_by_recipe_key(keys, environment)
        return {key: image for key, image in found.items() if self._is_there(image)}

    def spoken_for(self, keys: Sequence[str], environment: Environment) -> frozenset[str]:
        """Keys that nothing is made for: those of :meth:`existing`, and those whose batches did not fit, and whose
        pictures exist from smaller ones: they will not fit again, and be linked then.
        """
        smaller = self._notebook.images_by_requested_key(keys, environment)
        return frozenset((*self.existing(keys, environment), *(key for key in smaller if self._is_there(smaller[key]))))

    def pace(self, resolved: ResolvedSpec) -> Pace | None:
        """What the workspace's history says about this setting on this device."""
        return self._notebook.pace(resolved)

    def whole(self, run: RunRecord) -> bool:
        """Whether every picture of ``run`` is made and its file there."""
        return run.complete and all(map(self._is_there, run.images))

    def busy(self, run_id: int) -> bool:
        """Whether a process is making the run at this moment, or the sweep that it is a part of."""
        return self.holds.busy(run_id)

    def show(self, run: RunRecord, watch: Watch) -> RunRecord:
        """The faces of an ended run: its grid, its report, and MLflow. None can take the run down with it."""
        from promptlab.images.report import save_report

        try:
            save_grid(run, self._workspace, uids=self._notebook.uids(run.named_runs))
            save_report(run, self._workspace)
        except StoreError as error:
            watch(GridFailed(run_id=run.id, reason=str(error)))
        return self.tell_again(run, watch)

    def tell_again(self, run: RunRecord, watch: Watch) -> RunRecord:
        """Tell MLflow of ``run``; that it cannot be told is no failure of the run."""
        watch(TrackingStarted())
        try:
            return self.tell(run)
        except TrackerError as error:
            watch(TrackingFailed(run_id=run.id, reason=str(error)))
            return run

    def tell(self, run: RunRecord) -> RunRecord:
        """Tell MLflow of ``run``.

        Raises:
            TrackerError: when it cannot be told.
        """
        parent = None if run.parent_run_id is None else self._notebook.run(run.parent_run_id)
        told = self._tracker.record(
            run,
            parent=parent,
            thumbnail=_thumbnail(self._workspace.grid(run.id)),
            report=_addressed(self._workspace.report(run.id)),
        )
        return self._notebook.mark_tracked(run.id, told)

    def show_sweep(self, sweep: SweepRecord, watch: Watch) -> SweepRecord:
        """The faces of a sweep: its overview, its report, and the MLflow run above those of its runs."""
        from promptlab.images.overview import save_overview
        from promptlab.images.report import save_sweep_report

        runs = [self._notebook.run(one.run_id) for one in sweep.runs]
        newest = runs[-1].id
        try:
            save_overview(sweep, runs, self._workspace)
            save_sweep_report(sweep, runs, self._workspace)
        except StoreError as error:
            watch(GridFailed(run_id=newest, reason=str(error)))
        watch(TrackingStarted())
        try:
            return self.tell_sweep(sweep)
        except TrackerError as error:
            watch(TrackingFailed(run_id=newest, reason=str(error)))
            return sweep

    def tell_sweep(self, sweep: SweepRecord) -> SweepRecord:
        """Tell MLflow of ``sweep``, with the overview as it was drawn.

        Raises:
            TrackerError: when it cannot be told.
        """
        runs = [self._notebook.run(one.run_id) for one in sweep.runs]
        pages = self._overview(sweep)
        told = self._tracker.record_sweep(
            sweep,
            runs,
            thumbnail=_thumbnail(pages[0]) if pages else b"",
            overviews=pages,
            report=_addressed(self._workspace.sweep_report(sweep.id)),
        )
        return self._notebook.mark_sweep_tracked(sweep.id, told)

    def _overview(self, sweep: SweepRecord) -> tuple[Path, ...]:
        """The pages that were drawn, in order."""
        pages: list[Path] = []
        while (page := self._workspace.sweep_grid(sweep.id, len(pages) + 1)).is_file():
            pages.append(page)
        return tuple(pages)

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


def _told_before(watch: Watch) -> Watch:
    """``watch``, who has heard already that MLflow is being told."""
    return lambda event: None if isinstance(event, TrackingStarted) else watch(event)


def _thumbnail(grid: Path) -> bytes:
    """Of a grid or overview; empty where there is none, or a damaged one."""
    try:
        return thumbnail(grid)
    except InputError:
        return b""


def _addressed(path: Path) -> AddressReport:
    """How the report at ``path`` is told where MLflow shows its pictures."""

    def address(experiment_id: str, runs: Mapping[tuple[int, int], str]) -> None:
        from promptlab.images.report import address_report

        with suppress(StoreError):  # the file is whole as it was, and shows its small pictures
            address_report(path, experiment_id, runs)

    return address
