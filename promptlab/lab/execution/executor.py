"""Executes runs that are in the notebook: links what exists, makes what is owed, publishes.

There is one path for a new run, one taken up after a crash, and all those of a sweep
(:mod:`promptlab.lab.execution.runner`). What is being made is locked, by a file lock that ends with its process however
that ends; so whether a RUNNING run is alive can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promptlab.engine import NO_PERMISSIONS, Engine, Permissions
from promptlab.lab.execution.active_run import ActiveRun, RunJob
from promptlab.lab.execution.events import RunStarted, TrackingStarted, Watch
from promptlab.lab.execution.locks import RunLocks
from promptlab.lab.execution.publisher import Publisher
from promptlab.lab.execution.runner import Runner, RunOutcome
from promptlab.plan import Pace, ResolvedSpec
from promptlab.records import Environment, ImageRecord, RunRecord
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

__all__ = ["Executor"]


class Executor:
    """Puts engine, notebook and publisher to work on one run or sweep at a time.

    Args:
        engine: asked for only where an image is made: it imports torch.
        permissions: what the engine may do.

    Attributes:
        locks: on the runs and sweeps of the workspace.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        notebook: Notebook,
        workspace: Workspace,
        publisher: Publisher,
        *,
        permissions: Permissions = NO_PERMISSIONS,
    ) -> None:
        self._engine, self._permissions = engine, permissions
        self._notebook, self._workspace, self._publisher = notebook, workspace, publisher
        self.locks = RunLocks(workspace, notebook.sweep_of)

    def execute(self, job: RunJob, watch: Watch) -> RunRecord:
        """Make what one run owes, and publish it.

        Raises:
            InputError: when another process is making it.
            EngineError, StoreError: the run is FAILED; what was made stays.
            KeyboardInterrupt: the run is KILLED; what was made stays.
        """
        (outcome,) = self.execute_all([job], watch)
        if outcome.failure is not None:
            raise outcome.failure
        return outcome.run

    def execute_all(self, jobs: Sequence[RunJob], watch: Watch) -> tuple[RunOutcome, ...]:
        """Make what many runs owe, at once: their images flow through the engine together.

        Returns:
            How each ended; one that failed does not take the others along.

        Raises:
            InputError: when another process is making one of them.
            StoreError: those that were begun are FAILED; what was made stays.
            KeyboardInterrupt: those that were begun are KILLED; what was made stays.
        """
        with self.locks.held([job.run for job in jobs]):
            runner = Runner(
                self._engine(), self._notebook, self._workspace, permissions=self._permissions,
                link=lambda active: self._link(active.run, active.job.environment),
                publish=lambda run: self._publisher.publish_run(run, _without_tracking_started(watch)),
                prepare=self._publisher.prepare, watch=watch,
            )  # fmt: skip
            return runner.execute([self._activate(job, watch, alone=len(jobs) == 1) for job in jobs])

    def _activate(self, job: RunJob, watch: Watch, *, alone: bool) -> ActiveRun:
        """Get a run ready to be made: of several, each is started when its turn comes."""
        folder = self._workspace.run_folder(job.run.id)
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)  # of a process that was killed while it wrote
        run = self._notebook.start_run(job.run.id) if alone else job.run
        if not job.again:
            run = self._link(run, job.environment)
        watch(RunStarted(run=run))
        return ActiveRun(job, run, self._notebook, started=alone)

    def existing(self, keys: Sequence[str], environment: Environment) -> dict[str, ImageRecord]:
        """Return images that need not be made, by recipe key: of this environment, their files there."""
        found = self._notebook.images_by_recipe_key(keys, environment)
        return {key: image for key, image in found.items() if self._is_there(image)}

    def satisfied_keys(self, keys: Sequence[str], environment: Environment) -> frozenset[str]:
        """Return the recipe keys that need no generation.

        They are those of :meth:`existing`, and those whose batches ran out of memory earlier and whose images exist at
        a smaller batch size: they will not fit again, and be linked then.
        """
        smaller = self._notebook.images_by_requested_key(keys, environment)
        return frozenset((*self.existing(keys, environment), *(key for key in smaller if self._is_there(smaller[key]))))

    def pace(self, resolved: ResolvedSpec) -> Pace | None:
        """Return what the workspace's history says about this setting on this device."""
        return self._notebook.pace(resolved)

    def is_whole(self, run: RunRecord) -> bool:
        """Say whether every image of ``run`` is made and its file there."""
        return run.complete and all(map(self._is_there, run.images))

    def is_busy(self, run_id: int) -> bool:
        """Say whether a process is making the run at this moment, or the sweep that it is a part of."""
        return self.locks.busy(run_id)

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


def _without_tracking_started(watch: Watch) -> Watch:
    """Return ``watch`` for somebody who has heard already that MLflow is at work."""
    return lambda event: None if isinstance(event, TrackingStarted) else watch(event)
