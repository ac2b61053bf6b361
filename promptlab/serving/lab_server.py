"""Carries out jobs: those that generate one at a time, on one thread, and all others beside them.

The thread that works is the process's main one, so that a cancelled job ends as it does on Ctrl-C, at the same places:
the signal that a terminal would have sent is raised. One engine is kept between jobs, a lab is made for each: nothing
of a request outlives it, neither its permissions nor its passwords.
"""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from promptlab import __version__
from promptlab.engine import ImageStarted, ModelLoading
from promptlab.errors import PromptLabError, ServerError, one_line, to_dict
from promptlab.lab.execution.events import Event, Interrupted, RunSaved, RunStarted, TrackingFailed
from promptlab.serving.jobs import Job, JobQueue, Observer, QueueClosed
from promptlab.serving.messages import FOREVER, JobSummary, KeepAlive, ServerStatus
from promptlab.serving.server_signals import ServerSignals
from promptlab.serving.verbs import GENERATING, call_verb
from promptlab.wire import encode

if TYPE_CHECKING:
    from promptlab.engine import Engine
    from promptlab.lab import Lab

__all__ = ["DEFAULT_KEEP_ALIVE", "LabServer"]

DEFAULT_KEEP_ALIVE: Final[KeepAlive] = 15
_BESIDE: Final = 4
"""Lookups that are answered at once; more wait for these."""

_CREDENTIALS: Final = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
"""Names the variables that an address of MLflow is put into; see :mod:`promptlab.tracking.address`."""

_OF_ONE_RUN: Final = frozenset({"rerun", "run"})
"""Verbs that return the run that was saved."""

_INTERRUPTED: Final[Mapping[str, Any]] = {"interrupted": True}

_log = logging.getLogger("promptlab.serving")


class LabServer:
    """Holds one engine and one queue, for any number of workspaces.

    Args:
        make_engine: creates the engine; called once, before the first job that needs it.
        keep_alive: minutes to stay after the last job.
        is_outdated: whether no client would find this server, because the code on disk is another by now: asked after
            each job, and while there is none.
        look_every: seconds between two such questions.
        record_apart: whether the first job is recorded in MLflow by a process of its own, which imports MLflow while
            this one imports torch; see :class:`promptlab.lab.Lab`.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        *,
        keep_alive: KeepAlive = DEFAULT_KEEP_ALIVE,
        is_outdated: Callable[[], bool] = lambda: False,
        look_every: float = 60.0,
        record_apart: bool = False,
    ) -> None:
        self._make_engine, self._is_outdated, self._look_every = make_engine, is_outdated, look_every
        self._engine: Engine | None = None
        self._record_apart = record_apart
        self._keep_alive = keep_alive
        self._queue = JobQueue()
        self._beside = ThreadPoolExecutor(_BESIDE, thread_name_prefix="beside")
        self._under_way: Job | None = None
        self._held = 0
        self._signals = ServerSignals(is_busy=lambda: self._under_way is not None, stop=self.stop)
        self._model: str | None = None
        self._asked_for: dict[str, str] = {}
        self._loading: str | None = None
        self._answering = threading.Lock()
        self._untold: list[tuple[Path, Event]] = []
        """Holds what went wrong after a job was answered, with its workspace."""
        self._started, self._idle_since = datetime.now(UTC), datetime.now(UTC)

    def submit(self, job: Job) -> None:
        """Carry out a job when its turn comes, or at once where it needs no engine.

        What tells an MLflow server elsewhere waits, too: beside a job it would find that one's password, which MLflow
        looks for in the environment of the process.

        Raises:
            QueueClosed: when the server ends.
        """
        if job.request.keep_alive is not None:
            self._keep_alive = job.request.keep_alive
        elsewhere = job.request.tracking_uri
        if (
            job.request.verb in GENERATING
            or _has_password(elsewhere)
            or (elsewhere is not None and not job.request.verb.startswith("history."))
        ):
            self._queue.submit(job)
            return
        try:
            self._beside.submit(self._answer_beside, job)
        except RuntimeError as error:  # they were shut down
            raise QueueClosed("the server is ending") from error

    @contextmanager
    def observed(self, observer: Observer) -> Iterator[None]:
        """Tell ``observer`` of the jobs that are there and come, for as long as the context lasts."""
        self._queue.observe(observer)
        try:
            yield
        finally:
            self._queue.unobserve(observer)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stay without jobs for as long as the context lasts, and the usual time after it."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self._idle_since = datetime.now(UTC)

    @property
    def is_ending(self) -> bool:
        """Say whether no more jobs are taken."""
        return self._queue.is_closed

    @property
    def jobs(self) -> tuple[JobSummary, ...]:
        """Return the job under way and those that wait, in order."""
        return self._queue.jobs

    def cancel(self, job_id: str) -> None:
        """End a job as Ctrl-C does: asked once, images under way are finished; twice, it ends at once."""
        job = self._queue.cancel(job_id)
        with self._answering:  # so that it does not end meanwhile, and the next one is not stopped in its place
            if job is not None and job is self._under_way:
                self._signals.send()

    def stop(self) -> None:
        """End after the images that are under way; jobs that wait are not begun."""
        self._refuse_waiting()
        if self._under_way is not None:
            self._signals.send()

    def work(self) -> None:
        """Carry out jobs until it was idle long enough, the code has changed, or it is told to end.

        That is :meth:`stop`, or Ctrl-C in its own terminal: the images under way are finished first.
        """
        with self._signals.heard():
            while not self._signals.told_to_end:
                try:
                    job = self._next()
                    if job is None:
                        break
                    self._work_on(job)
                    # After a plan nothing was recorded, and somebody types; after the last job nobody waits.
                    if job.request.verb != "plan" and not self._signals.told_to_end:
                        self._import_mlflow()
                    if self._is_outdated():
                        _log.info("another server takes over")
                        break
                except KeyboardInterrupt:  # it came a moment too late, where the job that it was meant for is answered
                    if self._under_way is not None:
                        self._answer(self._under_way, _INTERRUPTED)
        if self._signals.told_to_end:
            self._refuse_waiting()
        for job in self._queue.close():
            job.end({"closed": True})  # its client starts another server, and asks there
        self._beside.shutdown()
        if self._engine is not None:
            self._engine.close()

    def status(self) -> ServerStatus:
        """Return what the server is at now."""
        import psutil

        jobs, left = self._queue.jobs, self._seconds_left()
        return ServerStatus(
            pid=os.getpid(), version=__version__, started_at=self._started, memory=psutil.Process().memory_info().rss,
            model=self._model, jobs_done=self._queue.done, jobs=jobs, keep_alive=self._keep_alive,
            seconds_left=None if jobs or left == inf else left,
        )  # fmt: skip

    def _refuse_waiting(self) -> None:
        for job in self._queue.close():
            job.fail(ServerError("the server was told to end before this began; type it again"))

    def _next(self) -> Job | None:
        """Wait for a job; return None, with the queue closed, once nobody waits for this server any more."""
        self._signals.forget()
        while not self._queue.wait(min(self._look_every, self._seconds_left())):
            if self._is_outdated() or not self._seconds_left():
                break
        return self._queue.take()

    def _seconds_left(self) -> float:
        """Return the seconds until it ends, as long as nothing is asked for."""
        if self._keep_alive == FOREVER or self._held:
            return inf
        return max(0.0, float(self._keep_alive) * 60 - (datetime.now(UTC) - self._idle_since).total_seconds())

    def _work_on(self, job: Job) -> None:
        """Carry out the job whose turn it is, and tell what came of it once the server is free for the next."""
        self._under_way = job
        self._asked_for.clear()
        outcome = _INTERRUPTED  # where a signal comes between the outcome and its being noted
        try:
            outcome = self._outcome(job)
        finally:
            self._answer(job, outcome)

    def _answer(self, job: Job, outcome: Mapping[str, Any]) -> None:
        """End a job, unless it was answered already."""
        with self._answering:
            if job.state == "ended":
                return
            self._under_way = None
            self._idle_since = datetime.now(UTC)
            self._queue.finished()
            job.end(outcome)

    def _answer_beside(self, job: Job) -> None:
        job.end(self._outcome(job))

    def _outcome(self, job: Job) -> Mapping[str, Any]:
        """Call the job's verb and return what is to be told of it."""
        _log.info("%s %s in %s", job.id, job.request.verb, job.request.workspace)
        if job.request.verb in GENERATING and job.request.verb != "plan":  # whose client listens to nothing
            self._tell_untold(job)
        try:
            with _credentials_restored(job.request.tracking_uri), self._lab(job) as lab:
                result = call_verb(
                    lab, job.request.verb, job.arguments, theirs=job.theirs,
                    watch=lambda event: self._heard(job, event),
                )  # fmt: skip
        except PromptLabError as error:
            _log.info("%s failed: %s", job.id, one_line(error))
            return {"error": to_dict(error)}
        except KeyboardInterrupt:
            _log.info("%s was stopped", job.id)
            return _INTERRUPTED
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told and the next job is begun
            _log.exception("%s failed", job.id)
            told = {"type": type(error).__name__, "message": str(error), "trace": traceback.format_exc()}
            return {"unexpected": told}
        return {"result": result}

    @contextmanager
    def _lab(self, job: Job) -> Iterator[Lab]:
        from promptlab.lab import Lab

        request, apart = job.request, self._record_apart
        if not request.workspace.is_absolute():
            raise ServerError(f"the workspace {request.workspace} is no absolute path")
        lab = Lab(
            request.workspace, database=request.database, tracking_uri=request.tracking_uri,
            allow_pickle=request.allow_pickle, make_engine=self._warm_engine, record_apart=apart,
        )  # fmt: skip
        try:
            yield lab
        finally:
            if apart:
                lab.close()

    def _import_mlflow(self) -> None:
        """Import MLflow here, once the first job is told and its client waits for nothing any more."""
        if self._record_apart:
            from promptlab.tracking.schema import import_stores

            with self._signals.sparing():
                import_stores(own=True)
            self._record_apart = False

    def _warm_engine(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def _heard(self, job: Job, event: Event) -> None:
        """Tell of an event; keep in mind which model is in memory: that of the image begun last."""
        match event:
            case RunStarted(run=run):
                self._asked_for[str(run.id)] = run.spec.pipeline.model
            case RunSaved(run=run):
                if job.request.early and job.request.verb in _OF_ONE_RUN:
                    self._answer(job, {"result": encode(run)})
                return
            case Interrupted():
                self._signals.note()
            case TrackingFailed() if job.state == "ended":
                self._untold.append((job.request.workspace, event))
            case ModelLoading(what=what):
                self._model, self._loading = None, what  # what was there before is let go of first
            case ImageStarted(request_id=request):
                self._model = self._asked_for.get(request.partition("/")[0], self._loading) or self._model
        if job.state != "ended":
            job.tell(event)

    def _tell_untold(self, job: Job) -> None:
        """Tell a job what went wrong after an earlier one of its workspace was answered."""
        for workspace, event in tuple(self._untold):
            if workspace == job.request.workspace:
                self._untold.remove((workspace, event))
                job.tell(event)


def _has_password(tracking_uri: str | None) -> bool:
    return tracking_uri is not None and "@" in urlsplit(tracking_uri).netloc


@contextmanager
def _credentials_restored(tracking_uri: str | None) -> Iterator[None]:
    """Take away from the environment, afterwards, what a request's address of MLflow put there.

    Of other requests nothing is touched: they may be carried out beside one whose password is needed still.
    """
    if not _has_password(tracking_uri):
        yield
        return
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in _CREDENTIALS}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
