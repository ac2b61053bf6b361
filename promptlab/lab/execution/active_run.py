"""One run being made, alone or among others: what it still owes, its times, and how it ends.

A picture that cannot be made does not take the others along: its row says why, and the run ends FAILED once all the
others are there.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptlab.errors import EngineError, OutOfMemory, one_line
from promptlab.lab.execution.image_writer import RunSink
from promptlab.lab.execution.shrinking import smaller_keys, smaller_size, tasks_for
from promptlab.plan import ImageRequest, ResolvedSpec
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord, RunStatus

if TYPE_CHECKING:
    from promptlab.store.notebook import Notebook

__all__ = ["ActiveRun", "RunJob"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """A run that is in the notebook and is to be carried out.

    Args:
        run: as it stands.
        resolved: what it makes.
        environment: the one it is carried out in; after a resume it may not be the run's own.
        parent: the run it was varied from.
        again: make pictures anew that exist elsewhere in the workspace.
    """

    run: RunRecord
    resolved: ResolvedSpec
    environment: Environment
    parent: RunRecord | None = None
    again: bool = False


class ActiveRun:
    """See the module.

    Args:
        order: what is made.
        run: its record, once what exists has been linked.
        taken_up: whether the notebook says already that it is being made.
    """

    def __init__(self, order: RunJob, run: RunRecord, notebook: Notebook, *, taken_up: bool = False) -> None:
        self.order, self.run, self._notebook = order, run, notebook
        self.owed: dict[int, ImageRequest] = {}
        """What has not come out yet, by its place in the run."""
        self.repeated: list[ImageRequest] = []
        """What another run makes meanwhile."""
        self.taken_up, self.ended = taken_up, False
        self.failure: EngineError | None = None
        self.load_seconds = run.load_seconds
        self._began: float | None = None
        self._generate_seconds = run.generate_seconds
        self._unmade: list[str] = []
        self._asked = 0
        self.shelf = RunSink(
            run, describe=self._describe,
            environment=None if order.environment == run.environment else order.environment,
        )  # fmt: skip

    def owing(self) -> list[ImageRequest]:
        """The images that are to be made, in the grid's order."""
        return tasks_for(self.order.resolved, self.run.owed)

    def ask(self, tasks: Iterable[ImageRequest]) -> None:
        """So much is to be made now."""
        self.owed.update((task.position, task) for task in tasks)
        self._asked += len(self.owed)

    def take_up(self) -> None:
        """It is being made from now on."""
        if not self.taken_up:
            self.taken_up = True
            self._notebook.start_run(self.run.id)

    def shrink(
        self, tasks: Sequence[ImageRequest], error: OutOfMemory, link: Callable[[ActiveRun], RunRecord]
    ) -> tuple[int, int]:
        """Have ``tasks``, which are owed and did not fit, made in smaller batches; what was made so before is linked.

        Returns:
            The batch size to go on with, and how many images have another recipe by that.

        Raises:
            EngineError: when it may not, or cannot, be smaller.
        """
        size = smaller_size(error, exact=self.order.resolved.spec.machine.exact)
        keys = smaller_keys(self.order.resolved, tasks, size)
        if not keys:  # it is of that size already
            raise error
        self.run = self.shelf.run = self._notebook.reduce_batch_size(self.run.id, size, keys)
        if not self.order.again:
            self.run = self.shelf.run = link(self)
        for place in keys:
            del self.owed[place]
        owed = [image for image in self.run.owed if image.position in keys]
        self.owed.update((task.position, task) for task in tasks_for(self.order.resolved, owed))
        return size, len(keys)

    def begun(self) -> None:
        """An image of it has been begun."""
        self.take_up()
        if self._began is None:
            self._began = time.perf_counter()

    def came_out(self, task: ImageRequest) -> None:
        """A picture of it is there."""
        del self.owed[task.position]
        if self._began is not None:
            self._generate_seconds = (self.run.generate_seconds or 0.0) + time.perf_counter() - self._began

    def could_not(self, task: ImageRequest, reason: str) -> None:
        """A picture of it cannot be made; its row says why."""
        self.take_up()
        del self.owed[task.position]
        self._unmade.append(reason)
        image = self.run.images[task.position]
        failed = dataclasses.replace(image, status=ImageStatus.FAILED, error=one_line(reason))
        self._notebook.add_images(self.run.id, [failed])

    def give_up(self, error: EngineError) -> None:
        """No picture of it can be made any more."""
        self.owed.clear()
        self.failure = EngineError(str(error))

    def end(self, error: BaseException | None = None) -> RunRecord:
        """Write how it ended; a run of which nothing was begun stays as it was.

        Args:
            error: what ended it, where it was not its own pictures.
        """
        self.ended = True
        if self._unmade and self.failure is None:
            self.failure = EngineError(
                f"{len(self._unmade)} of {self._asked} images could not be made: {one_line(self._unmade[0])}"
            )
        error = error or self.failure
        status, reason = RunStatus.FINISHED, None
        if isinstance(error, KeyboardInterrupt):
            status = RunStatus.KILLED
        elif error is not None:
            status, reason = RunStatus.FAILED, one_line(error)
        return self._notebook.end_run(
            self.run.id, status, load_seconds=self.load_seconds, generate_seconds=self._generate_seconds, error=reason
        )

    def _describe(self, task: ImageRequest, image: ImageRecord) -> dict[str, str]:
        from promptlab.images.metadata import ParentImage, describe

        of, parent = self.order.parent, None
        ancestor = self.run.images[task.position].parent
        if ancestor is not None and of is not None:
            parent = ParentImage(recipe_key=of.images[ancestor[1]].recipe_key, run_uid=of.uid, position=ancestor[1])
        return describe(self.run, image, task, environment=self.order.environment, parent=parent)
