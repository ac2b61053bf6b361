"""Makes runs, one or many at once: links what exists, makes what is owed, publishes.

There is one path for a new run, one taken up after a crash, and all those of a sweep. What is being made is locked, by
a file lock that ends with its process however that ends; so whether a RUNNING run is alive can be told.

Images of all runs flow through the engine together: it fills its forwards with images of any run, so it is given all
that is owed at once. A run is started when the first of its images is begun, and ends when the last has come out; its
grid, its report and MLflow are seen to on a thread of their own while the others go on. MLflow takes seconds to import
and, in a new workspace, to make its tables: that is the first thing that this thread does. Where another process does
it, that is asked at once, while this one imports torch and loads the pipeline; else it waits until that is done.

What one run of several makes, another that asks for the same is linked to: nothing is made twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Timer
from typing import Final

from promptlab.engine import (
    Engine,
    EngineEvent,
    ForwardOutOfMemory,
    ImageDone,
    ImageFailed,
    ImageStarted,
    ModelLoaded,
    Permissions,
    WorkersAtWork,
)
from promptlab.errors import EngineError, StoreError, TrackerError
from promptlab.lab.execution.active_run import ActiveRun, RunJob
from promptlab.lab.execution.events import (
    BatchSizeReduced,
    Event,
    ImagesGenerated,
    ImageStored,
    RunStarted,
    TrackingStarted,
    Watch,
)
from promptlab.lab.execution.existing_images import ExistingImages
from promptlab.lab.execution.file_locks import make_folder
from promptlab.lab.execution.image_writer import ImageWriter
from promptlab.lab.execution.interrupts import Interrupts
from promptlab.lab.execution.locks import RunLocks
from promptlab.lab.execution.publisher import Publisher, remove_leftovers
from promptlab.plan import ImageRequest
from promptlab.records import RunRecord
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

__all__ = ["RunOutcome", "Runner"]

TELLING_GRACE: Final = 2.0
"""Seconds that a server has to hear of runs that were broken off. It takes a fraction of one; sync tells it later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """Tells how a run ended, and what went wrong when it FAILED."""

    run: RunRecord
    failure: EngineError | None = None


class Runner:
    """Puts engine, notebook and publisher to work, once.

    Args:
        permissions: what the engine may do for it.
        publisher: draws ended runs and records them in MLflow; put to work on another thread.
    """

    def __init__(
        self,
        engine: Engine,
        notebook: Notebook,
        workspace: Workspace,
        *,
        permissions: Permissions,
        existing: ExistingImages,
        locks: RunLocks,
        publisher: Publisher,
        watch: Watch,
    ) -> None:
        self._engine, self._permissions, self._notebook, self._workspace = engine, permissions, notebook, workspace
        self._existing, self._locks, self._publisher, self._watch = existing, locks, publisher, watch
        self._writer = ImageWriter(workspace, notebook, lambda image: watch(ImageStored(image=image)))
        self._publishing = ThreadPoolExecutor(1, thread_name_prefix="publish")
        self._grace = Timer(TELLING_GRACE, publisher.interrupt)
        self._outcomes: dict[int, Future[RunOutcome]] = {}
        self._said_tracking = False
        self._owed: dict[str, tuple[ActiveRun, ImageRequest]] = {}
        """What the engine is to be asked for, by the ids of the requests."""
        self._count = 0
        self._prepared = False
        self._loaded = 0.0
        self._workers = 0
        self._remarks: tuple[str, ...] = ()

    def execute(self, jobs: Sequence[RunJob]) -> tuple[RunOutcome, ...]:
        """Make what they owe, and publish them.

        Returns:
            How each ended, in the order of ``jobs``; one that failed does not take the others along.

        Raises:
            InputError: when another process is making one of them.
            StoreError: runs that were begun are FAILED; what was saved stays.
            KeyboardInterrupt: runs that were begun are KILLED: once what was under way is saved, or at once when
                Ctrl-C was pressed twice.
        """
        with self._locks.held([job.run for job in jobs]):
            return self._execute([self._activate(job, alone=len(jobs) == 1) for job in jobs])

    def _activate(self, job: RunJob, *, alone: bool) -> ActiveRun:
        """Get a run ready to be made: of several, each is started when its turn comes."""
        folder = self._workspace.run_folder(job.run.id)
        make_folder(folder)
        remove_leftovers(folder)
        run = self._notebook.start_run(job.run.id) if alone else job.run
        if not job.again:
            run = self._existing.link(run, job.environment)
        self._watch(RunStarted(run=run))
        return ActiveRun(job, run, self._notebook, self._existing, started=alone)

    def _execute(self, runs: Sequence[ActiveRun]) -> tuple[RunOutcome, ...]:
        if self._publisher.records_beside:
            self._prepare_tracking()
        try:
            with Interrupts(self._watch) as interrupts:
                try:
                    with self._writer:
                        self._make_all(runs, interrupts)
                    interrupts.check()
                except BaseException as error:
                    self._end_started(runs, error)
                    raise
            interrupts.check()  # pressed between the last look and the end of listening
            self._say_tracking_started()
            return self._published(runs)
        except KeyboardInterrupt:
            self._grace.start()
            raise
        finally:
            self._say_tracking_started()
            self._finish_publishing()

    def _say_tracking_started(self) -> None:
        """Say once, when nothing more is made, that MLflow is being told."""
        if self._outcomes and not self._said_tracking:
            self._said_tracking = True
            self._watch(TrackingStarted())

    def _published(self, runs: Sequence[ActiveRun]) -> tuple[RunOutcome, ...]:
        """Wait until all are published; Ctrl-C ends the waiting for a server, and what is drawn is drawn."""
        try:
            return tuple(self._outcomes[run.run.id].result() for run in runs)
        except KeyboardInterrupt:
            self._publisher.interrupt()
            raise

    def _finish_publishing(self) -> None:
        """Wait until what ended is published; after Ctrl-C no longer than a server that is well needs."""
        try:
            self._publishing.shutdown()
        except KeyboardInterrupt:
            self._publisher.interrupt()
            self._publishing.shutdown()
            raise
        finally:
            self._grace.cancel()

    def _make_all(self, runs: Sequence[ActiveRun], interrupts: Interrupts) -> None:
        """Generate in as many passes as it takes until no run waits for another's images."""
        waiting = list(runs)
        while waiting and interrupts.going:
            self._share_out(waiting)
            while self._owed and interrupts.going:
                self._generate(interrupts)
            waits = [run for run in waiting if run.repeated and run.failure is None]
            for run in waiting:
                if run not in waits and interrupts.going:
                    self._finish(run)
            waiting = waits
            if waiting:
                self._writer.wait()
            for run in waiting:
                run.repeated.clear()
                run.relink()

    def _share_out(self, runs: Sequence[ActiveRun]) -> None:
        """Take all that is owed; what several runs ask for is one's to make, and the others wait for it."""
        asked: set[tuple[str, str]] = set()
        for run in runs:
            mine = []
            environment = run.job.environment.hash
            for request in run.requests():
                key = request.recipe_key, environment
                if key in asked and not run.job.again:
                    run.repeated.append(request)
                    continue
                asked.add(key)
                mine.append(request)
            run.ask(mine)
            self._owed.update((request.id, (run, request)) for request in mine)

    def _generate(self, interrupts: Interrupts) -> None:
        """Ask the engine once for all that is owed; what did not fit is owed in smaller batches then."""
        self._writer.next_generation()
        asked, self._owed = self._owed, {}
        requests = [request for _, request in asked.values()]
        problem = EngineError("the engine ended before every image was made")
        try:
            with interrupts.cancelling(self._engine.generate(requests, permissions=self._permissions)) as generation:
                for event in generation:
                    self._handle(event, asked)
        except EngineError as error:
            problem = error
        if interrupts.going:
            for run in dict.fromkeys(run for run, _ in asked.values()):
                run.give_up([one for one, (whose, _) in asked.items() if whose is run], problem)

    def _handle(self, event: EngineEvent, asked: dict[str, tuple[ActiveRun, ImageRequest]]) -> None:
        if not isinstance(event, ImageDone):
            self._writer.flush()  # a batch is out: whoever looks on sees it now, and not when the next one is
        match event:
            case ImageDone(request_id=one):
                self._image_done(asked.pop(one)[0], event)
            case ImageFailed(request_id=one, reason=reason):
                run, _ = asked.pop(one)
                run.image_failed(one, reason)
            case ForwardOutOfMemory(request_ids=ids, rows=rows):
                self._reduce_batches([(one, asked.pop(one)[0]) for one in ids], rows)
            case ImageStarted(request_id=one):
                self._image_started(asked[one][0])
                self._watch(event)
            case ModelLoaded(seconds=seconds):
                self._loaded += seconds
                self._remarks = event.remarks
                self._prepare_tracking()
                self._watch(event)
            case WorkersAtWork(workers=workers):
                self._workers = max(self._workers, len(workers))
                self._watch(event)
            case _:
                self._watch(event)

    def _image_started(self, run: ActiveRun) -> None:
        run.image_started()
        run.remark(self._remarks)
        run.load_seconds = (run.load_seconds or 0.0) + self._loaded
        self._loaded = 0.0

    def _image_done(self, run: ActiveRun, done: ImageDone) -> None:
        request = run.image_done(done.request_id)
        if self._workers:
            run.made_by(self._workers, done.environment)
        self._writer.add(done, request, run.position(request.id), run.sink)
        if done.row + 1 == request.batch_size:  # the batch is out: its rows wait for nothing that follows
            self._writer.flush()
        self._count += 1
        if not run.owed and not run.repeated:
            self._finish(run)
        self._watch(ImagesGenerated(count=self._count))

    def _reduce_batches(self, unmade: Sequence[tuple[str, ActiveRun]], rows: int) -> None:
        for run in dict.fromkeys(run for _, run in unmade):
            mine = [one for one, whose in unmade if whose is run]
            try:
                size, images = run.reduce_batches(mine, rows)
            except EngineError as error:
                run.give_up(mine, error)
                continue
            self._watch(BatchSizeReduced(run_id=run.run.id, rows=rows, batch_size=size, images=images))
            self._owed.update((one, (run, run.owed[one])) for one in mine if one in run.owed)

    def _prepare_tracking(self) -> None:
        if not self._prepared:
            self._prepared = True
            self._publishing.submit(self._prepare_quietly)

    def _prepare_quietly(self) -> None:
        with suppress(TrackerError):  # recording will meet it again, and say so
            self._publisher.prepare()

    def _finish(self, run: ActiveRun) -> None:
        """Wait for its rows and publish it, now that all of it has come out, while the others go on."""
        if run.ended:
            return
        run.ended = True
        run.start()
        self._writer.flush()
        self._outcomes[run.run.id] = self._publishing.submit(self._end, run)

    def _end(self, run: ActiveRun) -> RunOutcome:
        try:
            for writing in run.sink.writing:
                writing.result()
        except StoreError as error:
            self._publish(run.end(error))
            raise
        return RunOutcome(run=self._publish(run.end()), failure=run.failure)

    def _end_started(self, runs: Sequence[ActiveRun], error: BaseException) -> None:
        """End by ``error`` what was started and is not whole."""
        for run in runs:
            if run.started and not run.ended:
                run.ended = True
                self._outcomes[run.run.id] = self._publishing.submit(self._break_off, run, error)

    def _break_off(self, run: ActiveRun, error: BaseException) -> RunOutcome:
        for writing in run.sink.writing:
            writing.exception()  # waits; the writer has raised it, or will
        return RunOutcome(run=self._publish(run.end(error)))

    def _publish(self, run: RunRecord) -> RunRecord:
        return self._publisher.publish_run(run, self._watch_publishing)

    def _watch_publishing(self, event: Event) -> None:
        """Pass events on, but that MLflow is at work: it is said once, when everything has been made."""
        if not isinstance(event, TrackingStarted):
            self._watch(event)
