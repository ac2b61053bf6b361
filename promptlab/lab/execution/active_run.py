"""Tracks one run that is being made: what it still owes, its times, and how it ends.

An image that cannot be made does not take the others along: its row says why, and the run ends FAILED once all the
others are there.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptlab.errors import EngineError, OutOfMemory, one_line
from promptlab.lab.execution.batch_reduction import smaller_batch_size, smaller_keys
from promptlab.lab.execution.image_writer import RunSink
from promptlab.plan import ImageRequest, ResolvedSpec, requests_of_records
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord, RunStatus

if TYPE_CHECKING:
    from promptlab.lab.execution.existing_images import ExistingImages
    from promptlab.store.notebook import Notebook

__all__ = ["ActiveRun", "RunJob"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """Asks for a run that is in the notebook to be executed.

    Args:
        run: as it stands.
        resolved: what it makes, and in which environment: after a resume that may not be the run's own.
        parent: the run it was varied from.
        again: make images anew that exist elsewhere in the workspace.
    """

    run: RunRecord
    resolved: ResolvedSpec
    parent: RunRecord | None = None
    again: bool = False

    @property
    def environment(self) -> Environment:
        """Return the environment that it is to be made in."""
        return self.resolved.environment


class ActiveRun:
    """Tracks one run; see the module.

    Args:
        job: what is made.
        run: its record, once what exists has been linked.
        existing: where it is looked up what exists by now.
        started: whether the notebook says already that it is being made.

    Attributes:
        owed: requests whose images have not come out yet, by their ids.
        repeated: requests that another run makes meanwhile.
    """

    def __init__(
        self, job: RunJob, run: RunRecord, notebook: Notebook, existing: ExistingImages, *, started: bool = False
    ) -> None:
        self.job, self.run, self._notebook, self._existing = job, run, notebook, existing
        self.owed: dict[str, ImageRequest] = {}
        self.repeated: list[ImageRequest] = []
        self.started, self.ended = started, False
        self.failure: EngineError | None = None
        self.load_seconds = run.load_seconds
        self._positions = {image.ref: image.position for image in run.images}
        self._began: float | None = None
        self._generate_seconds = run.generate_seconds
        self._failed: dict[int, str] = {}
        self._asked = 0
        self._workers: int | None = None
        self._devices: dict[str, None] = {}
        self.sink = RunSink(run, describe=self._describe)

    def requests(self) -> list[ImageRequest]:
        """Return requests for the images that are to be made, in the grid's order."""
        return requests_of_records(self.job.resolved, self.run.owed)

    def ask(self, requests: Iterable[ImageRequest]) -> None:
        """Take note that so much is to be made now."""
        self.owed.update((request.id, request) for request in requests)
        self._asked += len(self.owed)

    def position(self, request_id: str) -> int:
        """Return the place in the run of a request's image."""
        return self._positions[request_id]

    def start(self) -> None:
        """Write into the notebook that it is being made."""
        if not self.started:
            self.started = True
            self._notebook.start_run(self.run.id)

    def remark(self, remarks: Sequence[str]) -> None:
        """Write what was said of the weights that it is made with, as far as it is new."""
        if not set(remarks) <= set(self.run.remarks):
            self.run = self.sink.run = self._notebook.add_remarks(self.run.id, remarks)

    def relink(self) -> None:
        """Link what exists by now."""
        self.run = self.sink.run = self._existing.link(self.run, self.job.environment)

    def reduce_batches(self, request_ids: Sequence[str], rows: int) -> tuple[int, int]:
        """Make images that are owed in smaller batches from now on, since a forward of ``rows`` did not fit.

        What was made so before is linked.

        Returns:
            The batch size to go on with, and how many images have another recipe by that.

        Raises:
            EngineError: when it may not, or cannot, be smaller.
        """
        size = smaller_batch_size(rows, exact=self.job.resolved.spec.machine.exact)
        larger = [self.position(one) for one in request_ids if self.owed[one].batch_size > size]
        if not larger:  # they are of that size already
            raise OutOfMemory(rows=rows)
        keys = smaller_keys(self.job.resolved, larger, size)
        self.run = self.sink.run = self._notebook.reduce_batch_size(self.run.id, size, keys)
        if not self.job.again:
            self.relink()
        for one in request_ids:
            if self.position(one) in keys:
                del self.owed[one]
        owed = [image for image in self.run.owed if image.position in keys]
        self.owed.update((request.id, request) for request in requests_of_records(self.job.resolved, owed))
        return size, len(keys)

    def image_started(self) -> None:
        """Take note that an image of it is begun."""
        self.start()
        if self._began is None:
            self._began = time.perf_counter()

    def image_done(self, request_id: str) -> ImageRequest:
        """Take note that an image of it is there; return what it was made from."""
        if self._began is not None:
            self._generate_seconds = (self.run.generate_seconds or 0.0) + time.perf_counter() - self._began
        return self.owed.pop(request_id)

    def made_by(self, workers: int, environment: Environment) -> None:
        """Take note that one of several workers made an image of it, and on what."""
        self._workers = max(workers, self._workers or 0)
        self._devices[str(environment.facts.get("device_name") or environment.facts.get("device"))] = None

    def image_failed(self, request_id: str, reason: str) -> None:
        """Take note that an image of it cannot be made; its row says why once the run has ended."""
        self.start()
        del self.owed[request_id]
        self._failed[self.position(request_id)] = reason

    def give_up(self, request_ids: Iterable[str], error: EngineError) -> None:
        """Take note that these images are not made, and stay owed; the run ends by ``error``."""
        for one in request_ids:
            self.owed.pop(one, None)
        self.failure = self.failure or EngineError(error.message)

    def end(self, error: BaseException | None = None) -> RunRecord:
        """Write how it ended; a run of which nothing was begun stays as it was.

        Args:
            error: what ended it, where it was not its own images.
        """
        self.ended = True
        if self._failed:
            self._notebook.add_images(self.run.id, self._failures())
            self.failure = self.failure or self._failure()
        error = error or self.failure
        status, reason = RunStatus.FINISHED, None
        if isinstance(error, KeyboardInterrupt):
            status = RunStatus.KILLED
        elif error is not None:
            status, reason = RunStatus.FAILED, one_line(error)
        return self._notebook.end_run(
            self.run.id, status, load_seconds=self.load_seconds, generate_seconds=self._generate_seconds, error=reason,
            workers=self._workers, devices=sorted(self._devices),
        )  # fmt: skip

    def _failures(self) -> list[ImageRecord]:
        return [
            dataclasses.replace(self.run.images[position], status=ImageStatus.FAILED, error=one_line(reason))
            for position, reason in self._failed.items()
        ]

    def _failure(self) -> EngineError:
        """Return why the run failed: the one reason of all its images, or how many could not be made."""
        first = next(iter(self._failed.values()))
        if len(self._failed) == self._asked and set(self._failed.values()) == {first}:
            return EngineError(first)
        return EngineError(f"{len(self._failed)} of {self._asked} images could not be made: {one_line(first)}")

    def _describe(self, request: ImageRequest, image: ImageRecord, environment: Environment) -> dict[str, str]:
        from promptlab.images.metadata import ParentImage, describe

        of, parent = self.job.parent, None
        ancestor = self.run.images[image.position].parent
        if ancestor is not None and of is not None:
            parent = ParentImage(recipe_key=of.images[ancestor[1]].recipe_key, run_uid=of.uid, position=ancestor[1])
        return describe(self.run, image, request, environment=environment, parent=parent)
