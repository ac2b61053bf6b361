"""Many runs made at once: their pictures flow through the engine together, and each is put where it belongs.

The engine fills its forwards with images of any run, so it is given all that is owed at once. A run is taken up when
the first of its images is begun, and ends when the last has come out; its grid, its report and MLflow are seen to on a
thread of their own while the others go on. MLflow takes seconds to import and, in a new workspace, to make its tables:
that is the first thing that this thread does, once the pipeline is loaded.

What one run of the stream makes, another that asks for the same is linked to: nothing is made twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from promptlab.engine import Begun, Engine, Loaded
from promptlab.errors import EngineError, OutOfMemory, SomeImagesFailed, StoreError, TrackerError
from promptlab.lab.execution.active_run import ActiveRun
from promptlab.lab.execution.events import BatchSizeReduced, Event, ImagesGenerated, TrackingStarted, Watch
from promptlab.lab.execution.image_writer import ImageWriter
from promptlab.lab.execution.interrupts import Interrupts
from promptlab.plan import ImageRequest
from promptlab.plan.batch_key import stream_key
from promptlab.records import RunRecord
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

__all__ = ["RunOutcome", "Runner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended, and what went wrong when it FAILED."""

    run: RunRecord
    failure: EngineError | None = None


class Runner:
    """Carries out runs whose pictures that exist have been linked.

    Args:
        link: gives a run's record once what exists by now is linked to it.
        show: draws an ended run and tells MLflow; on another thread.
        prepare: gets MLflow ready; likewise.
    """

    def __init__(
        self,
        engine: Engine,
        notebook: Notebook,
        workspace: Workspace,
        *,
        link: Callable[[ActiveRun], RunRecord],
        show: Callable[[RunRecord], RunRecord],
        prepare: Callable[[], None],
        watch: Watch,
    ) -> None:
        self._engine, self._notebook, self._watch = engine, notebook, watch
        self._link, self._show, self._prepare = link, show, prepare
        self._recorder = ImageWriter(workspace, notebook)
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="tell")
        self._told: dict[int, Future[RunOutcome]] = {}
        self._owners: dict[ImageRequest, list[ActiveRun]] = {}
        self._count = 0
        self._prepared = False
        self._loaded = 0.0
        self._begun: ImageRequest | None = None

    def carry_out(self, makings: Sequence[ActiveRun]) -> tuple[RunOutcome, ...]:
        """Make what they owe.

        Returns:
            How each ended, in the order of ``makings``.

        Raises:
            StoreError: runs that were begun are FAILED; what was saved stays.
            KeyboardInterrupt: runs that were begun are KILLED: once what was under way is saved, or at once when
                Ctrl-C was pressed twice.
        """
        try:
            with Interrupts(self._watch) as interrupts:
                try:
                    with self._recorder:
                        self._make_all(makings, interrupts)
                    interrupts.check()
                except BaseException as error:
                    self._end_begun(makings, error)
                    raise
            return tuple(self._told[making.run.id].result() for making in makings)
        finally:
            if self._told:
                self._watch(TrackingStarted())
            self._teller.shutdown()

    def _make_all(self, makings: Sequence[ActiveRun], interrupts: Interrupts) -> None:
        """In as many passes as it takes until none waits for another's pictures."""
        waiting = list(makings)
        while waiting and interrupts.going():
            tasks = self._shared_out(waiting)
            self._make(Counter(tasks), interrupts)
            waits = [making for making in waiting if making.repeated and making.failure is None]
            for making in waiting:
                if making not in waits and interrupts.going():
                    self._finish(making)
            waiting = waits
            if waiting:
                self._recorder.settle()
            for making in waiting:
                making.repeated.clear()
                making.run = making.shelf.run = self._link(making)

    def _shared_out(self, makings: Sequence[ActiveRun]) -> list[ImageRequest]:
        """All that is owed; what several ask for is one's to make, and the others wait for it."""
        asked: set[tuple[str, str]] = set()
        tasks: list[ImageRequest] = []
        self._owners.clear()
        for making in makings:
            mine = []
            for task in making.owing():
                key = task.recipe_key, making.order.environment.hash
                if key in asked and not making.order.again:
                    making.repeated.append(task)
                    continue
                asked.add(key)
                mine.append(task)
                self._owners.setdefault(task, []).append(making)
            making.ask(mine)
            tasks += mine
        return tasks

    def _make(self, owed: Counter[ImageRequest], interrupts: Interrupts) -> None:
        while owed and interrupts.going():
            try:
                self._draw(owed, interrupts)
            except SomeImagesFailed as error:
                for task, reason in error.reasons.items():
                    self._could_not(task, reason, owed)
            except OutOfMemory as error:
                self._shrink(owed, error)
            except EngineError as error:
                self._suspect(owed, error, interrupts)

    def _draw(self, owed: Counter[ImageRequest], interrupts: Interrupts) -> None:
        """Take pictures until there are no more; what is done is taken off ``owed``."""
        self._recorder.next_pass()
        for picture in self._engine.generate(tuple(owed.elements()), self._heard, going=interrupts.going):
            making = self._owners[picture.task].pop(0)
            self._recorder.add(picture, making.shelf)
            _take_off(owed, picture.task)
            making.came_out(picture.task)
            self._count += 1
            if not making.owed and not making.repeated:
                self._recorder.hand_over()
                self._finish(making)
            self._watch(ImagesGenerated(count=self._count))

    def _shrink(self, owed: Counter[ImageRequest], error: OutOfMemory) -> None:
        """What did not fit is made in smaller batches: all that would have shared a forward's shape with it."""
        shape = None if self._begun is None else _shape(self._begun)
        alike = [task for task in owed if shape is None or _shape(task) == shape]
        for making in dict.fromkeys(each for task in alike for each in self._owners[task]):
            mine = [task for task in alike if making in self._owners[task]]
            before = dict(making.owed)
            try:
                size, images = making.shrink(mine, error, self._link)
            except EngineError as problem:
                self._give_up(making, owed, problem)
                continue
            self._watch(BatchSizeReduced(run_id=making.run.id, rows=error.rows, batch_size=size, images=images))
            for task in before.values():
                self._owners[task].remove(making)
                _take_off(owed, task)
            for task in making.owed.values():
                self._owners.setdefault(task, []).append(making)
                owed[task] += 1

    def _suspect(self, owed: Counter[ImageRequest], error: EngineError, interrupts: Interrupts) -> None:
        """A forward failed, and it is not known for whose sake: the next few are tried one by one (padded to the same
        shape, so their bytes are the same). Where none of them can be made, it would go on like this."""
        suspects = list(islice(owed.elements(), next(iter(owed)).batch_size))
        failed = []
        for task in suspects:
            if not interrupts.going():
                return
            try:
                self._draw(Counter([task]), interrupts)
                _take_off(owed, task)
            except SomeImagesFailed as problem:
                failed.append((task, problem.reasons[task]))
            except EngineError as problem:
                failed.append((task, str(problem)))
        if len(failed) < len(suspects):
            for task, reason in failed:
                self._could_not(task, reason, owed)
            return
        given_up = [self._could_not(task, reason, owed) for task, reason in failed]
        for making in dict.fromkeys(given_up):
            self._give_up(making, owed, error)

    def _give_up(self, making: ActiveRun, owed: Counter[ImageRequest], error: EngineError) -> None:
        for task in making.owed.values():
            self._owners[task].remove(making)
            _take_off(owed, task)
        making.give_up(error)

    def _could_not(self, task: ImageRequest, reason: str, owed: Counter[ImageRequest]) -> ActiveRun:
        making = self._owners[task].pop(0)
        _take_off(owed, task)
        making.could_not(task, reason)
        return making

    def _heard(self, event: Event) -> None:
        if isinstance(event, Loaded):
            self._loaded += event.seconds
            if not self._prepared:
                self._prepared = True
                self._teller.submit(self._getting_ready)
        if isinstance(event, Begun):
            self._begun = event.task
            for making in self._owners[event.task][:1]:
                making.begun()
                making.load_seconds = (making.load_seconds or 0.0) + self._loaded
            self._loaded = 0.0
        self._watch(event)

    def _getting_ready(self) -> None:
        with suppress(TrackerError):  # telling will meet it again, and say so
            self._prepare()

    def _finish(self, making: ActiveRun) -> None:
        """All of it has come out: its rows are waited for, and it is shown, while the others go on."""
        if making.ended:
            return
        making.ended = True
        making.take_up()
        self._recorder.hand_over()
        self._told[making.run.id] = self._teller.submit(self._ended, making)

    def _ended(self, making: ActiveRun) -> RunOutcome:
        try:
            for writing in making.shelf.writing:
                writing.result()
        except StoreError as error:
            self._show(making.end(error))
            raise
        return RunOutcome(run=self._show(making.end()), failure=making.failure)

    def _end_begun(self, makings: Sequence[ActiveRun], error: BaseException) -> None:
        """What was begun and is not whole ends by ``error``."""
        for making in makings:
            if making.ended or not making.taken_up:
                continue
            making.ended = True
            self._told[making.run.id] = self._teller.submit(self._broken_off, making, error)

    def _broken_off(self, making: ActiveRun, error: BaseException) -> RunOutcome:
        for writing in making.shelf.writing:
            writing.exception()  # waits; the recorder has raised it, or will
        return RunOutcome(run=self._show(making.end(error)))


def _shape(task: ImageRequest) -> object:
    """Equal for what shares a forward's shape."""
    return stream_key(task.pipeline, task.call, task.machine, batch_size=task.batch_size, device=task.device)


def _take_off(owed: Counter[ImageRequest], task: ImageRequest) -> None:
    owed[task] -= 1
    if owed[task] <= 0:
        del owed[task]
