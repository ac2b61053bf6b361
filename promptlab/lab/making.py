"""One run being made: its pictures saved, its time taken, interruptions heard, and MLflow got ready meanwhile.

MLflow takes seconds to import and, in a new workspace, to make its tables. That is done on a thread of its own from the
moment the pipeline is loaded: after torch's imports, beside its work. A picture that cannot be made does not take the
others along: when a batch fails, its pictures are tried one by one (padded to the same shape, so their bytes are the
same), and the rest goes on. When a batch does not fit into memory, what is owed goes on in smaller ones.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from promptlab.engine import Denoising, Engine, Loaded
from promptlab.errors import EngineError, OutOfMemory, TrackerError, one_line
from promptlab.lab.events import Event, Generated, Smaller, Watch
from promptlab.lab.interrupts import Interrupts
from promptlab.lab.recorder import Recorder
from promptlab.lab.shrinking import smaller_keys, smaller_size, tasks_for
from promptlab.plan import ImageTask, ResolvedSpec
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord, RunStatus
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.tracking import Tracker

__all__ = ["Making"]


class Making:
    """Carries out ``run``: :meth:`generate`, then :meth:`end` with how it went.

    Args:
        resolved: what it asks for.
        environment: the one it is carried out in; after a resume it may not be the run's own.
        parent: the run it was varied from.
        link: takes pictures that exist by their recipes, in place of making them.
    """

    def __init__(
        self,
        engine: Engine,
        notebook: Notebook,
        workspace: Workspace,
        tracker: Tracker,
        run: RunRecord,
        resolved: ResolvedSpec,
        environment: Environment,
        parent: RunRecord | None,
        watch: Watch,
        *,
        link: Callable[[RunRecord], RunRecord],
    ) -> None:
        self._engine, self._notebook, self._workspace, self._tracker = engine, notebook, workspace, tracker
        self._run, self._resolved, self._environment, self._link = run, resolved, environment, link
        self._parent, self._watch = parent, watch
        self._preparing: threading.Thread | None = None
        self._load_seconds = run.load_seconds
        self._began: float | None = None
        self._generate_seconds = run.generate_seconds
        self._count = 0

    def generate(self, tasks: Sequence[ImageTask]) -> None:
        """Make and save every picture of ``tasks``.

        Raises:
            EngineError: when some of them could not be made; the others are.
            StoreError: what was saved before stays.
            KeyboardInterrupt: once the batch in flight is saved, or at once when it was pressed twice.
        """
        recorder = Recorder(
            self._run,
            self._workspace,
            self._notebook,
            describe=self._describe,
            environment=None if self._environment == self._run.environment else self._environment,
        )
        try:
            with Interrupts(self._watch) as interrupts, recorder:
                self._generate(list(tasks), recorder, interrupts)
        finally:
            if self._began is not None:
                self._generate_seconds = (self._run.generate_seconds or 0.0) + time.perf_counter() - self._began
            if self._preparing is not None:
                self._preparing.join()

    def end(self, status: RunStatus, *, error: str | None = None) -> RunRecord:
        """Write how it ended."""
        return self._notebook.end_run(
            self._run.id,
            status,
            load_seconds=self._load_seconds,
            generate_seconds=self._generate_seconds,
            error=error,
        )

    def _generate(self, owed: list[ImageTask], recorder: Recorder, interrupts: Interrupts) -> None:
        total = len(owed)
        failures: list[EngineError] = []
        while owed:
            try:
                self._draw(owed, recorder, interrupts)
            except OutOfMemory as error:
                self._shrink(owed, error)
            except EngineError as error:
                suspects = owed[: owed[0].batch_size]
                del owed[: len(suspects)]
                failed = [problem for task in suspects if (problem := self._alone(task, recorder, interrupts))]
                failures += failed
                if len(failed) == len(suspects):  # not this or that picture: it would go on like this
                    raise EngineError(str(error)) from error
        if failures:
            raise EngineError(f"{len(failures)} of {total} images could not be made: {one_line(failures[0])}")

    def _draw(self, owed: list[ImageTask], recorder: Recorder, interrupts: Interrupts) -> None:
        """Take pictures until there are no more; what is done is taken off ``owed``."""
        recorder.next_pass()
        interrupts.next_pass()
        for picture in self._engine.generate(tuple(owed), lambda event: self._heard(event, interrupts)):
            interrupts.reached(picture.batch)
            recorder.add(picture)
            owed.remove(picture.task)
            self._count += 1
            self._watch(Generated(count=self._count))

    def _shrink(self, owed: list[ImageTask], error: OutOfMemory) -> None:
        """Have what is owed made in smaller batches, and take what was made so before.

        Raises:
            EngineError: when it may not, or cannot, be smaller.
        """
        size = smaller_size(error, exact=self._resolved.spec.machine.exact)
        keys = smaller_keys(self._resolved, owed, size)
        if not keys:  # it is of that size already
            raise error
        run = self._notebook.make_smaller(self._run.id, size, keys)
        self._run = self._link(run)
        self._watch(Smaller(run_id=run.id, rows=error.rows, batch_size=size, images=len(keys)))
        wanted = {task.position for task in owed}
        owed[:] = tasks_for(self._resolved, (image for image in self._run.owed if image.position in wanted))

    def _alone(self, task: ImageTask, recorder: Recorder, interrupts: Interrupts) -> EngineError | None:
        """Try one picture by itself; the row of one that fails says why."""
        try:
            self._draw([task], recorder, interrupts)
        except EngineError as error:  # out of memory, too: a batch of which this one is a copy has failed before
            image = self._run.images[task.position]
            failed = dataclasses.replace(image, status=ImageStatus.FAILED, error=one_line(error))
            self._notebook.add_images(self._run.id, [failed])
            return error
        return None

    def _heard(self, event: Event, interrupts: Interrupts) -> None:
        if isinstance(event, Loaded):
            self._load_seconds = (self._load_seconds or 0.0) + event.seconds
            if self._began is None:
                self._began = time.perf_counter()
                self._preparing = threading.Thread(target=self._prepare, name="mlflow")
                self._preparing.start()
        if isinstance(event, Denoising):
            interrupts.reached(event.batch)
        self._watch(event)

    def _prepare(self) -> None:
        with suppress(TrackerError):  # telling will meet it again, and say so
            self._tracker.prepare()

    def _describe(self, task: ImageTask, image: ImageRecord) -> dict[str, str]:
        from promptlab.images.metadata import Ancestor, describe

        ancestor, parent = self._run.images[task.position].parent, None
        if ancestor is not None and self._parent is not None:
            key = self._parent.images[ancestor[1]].recipe_key
            parent = Ancestor(recipe_key=key, run_uid=self._parent.uid, position=ancestor[1])
        return describe(self._run, image, task, environment=self._environment, parent=parent)
