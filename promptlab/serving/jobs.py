"""Queues what clients ask for: one job at a time generates, the others wait and see their place.

A job tells what happens to whoever listens, and goes on when nobody does: a client that is gone takes nothing along.
Listeners are called on the thread that works, so they must be quick.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from promptlab.errors import PromptLabError, ServerError, to_dict
from promptlab.lab.execution.events import Event, JobWaiting
from promptlab.serving.messages import JobRequest, JobSummary
from promptlab.wire import encode

__all__ = ["Job", "JobQueue", "Listener", "Observer", "QueueClosed"]

Listener = Callable[["Job", Mapping[str, Any]], None]
"""Hears each line of a job: ``event``, and last one of ``result``, ``error``, ``unexpected`` and ``interrupted``."""

Observer = Callable[["Job | None"], None]
"""Hears of each job that came, before anything happens to it; of None where jobs moved up in the line, or ended."""

_MOST: Final = 1000
"""Jobs that wait, above which a client is refused: somebody's loop runs wild."""


class QueueClosed(ServerError):
    """Says that a server ends and takes no more jobs: its client starts another."""


class Job:
    """Is one request, from when it came until it has ended."""

    def __init__(self, request: JobRequest, arguments: Mapping[str, Any], *, theirs: str) -> None:
        self.id: Final = uuid.uuid4().hex[:12]
        self.request, self.arguments, self.theirs = request, arguments, theirs
        self.state: Literal["waiting", "running", "ended"] = "waiting"
        self.ahead = 0
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` what comes from now on."""
        self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        """Tell of an event."""
        self._say({"event": encode(event)})

    def end(self, outcome: Mapping[str, Any]) -> None:
        """Tell what came of it, once; what comes later is not heard."""
        if self.state != "ended":
            self.state = "ended"
            self._say(outcome)

    def fail(self, error: PromptLabError) -> None:
        """End it by an error."""
        self.end({"error": to_dict(error)})

    def _say(self, line: Mapping[str, Any]) -> None:
        for listener in tuple(self._listeners):
            listener(self, line)


class JobQueue:
    """Holds the jobs that wait, first come first served, and the one that is under way."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._closed = False
        self.done = 0

    def observe(self, observer: Observer) -> None:
        """Tell ``observer`` of the jobs that are there, and of those that come; it must be quick."""
        with self._changed:
            self._observers = (*self._observers, observer)
            for job in (*([] if self._running is None else [self._running]), *self._waiting):
                observer(job)
        observer(None)

    def unobserve(self, observer: Observer) -> None:
        """Tell ``observer`` no more."""
        with self._changed:
            self._observers = tuple(each for each in self._observers if each != observer)

    def submit(self, job: Job) -> None:
        """Put a job at the end of the line.

        Raises:
            QueueClosed: when the server ends.
            ServerError: when too many wait.
        """
        with self._changed:
            if self._closed:
                raise QueueClosed("the server is ending")
            if len(self._waiting) >= _MOST:
                raise ServerError(f"{_MOST} jobs are waiting already; type: promptlab server status")
            self._tell_observers(job)
            self._waiting.append(job)
            self._tell_places()
            self._changed.notify_all()
        self._tell_observers()

    def wait(self, seconds: float) -> bool:
        """Wait until a job came or the queue was closed; return False where neither happened in time."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._waiting) or self._closed, seconds)

    def take(self) -> Job | None:
        """Return the next job, as the one under way; where none waits, close.

        Invariant: a job is either returned here or was refused: none is left in a queue that is closed for idleness.
        """
        with self._changed:
            if not self._waiting:
                self._closed = True
                return None
            self._running = job = self._waiting.popleft()
            job.state = "running"
            self._tell_places()
        self._tell_observers()
        return job

    def finished(self) -> None:
        """Note that the job under way has ended."""
        with self._changed:
            self._running, self.done = None, self.done + 1
            self._tell_places()
        self._tell_observers()

    def cancel(self, job_id: str) -> Job | None:
        """Take a job that waits out of the line; return it where it is under way instead."""
        with self._changed:
            for job in self._waiting:
                if job.id == job_id:
                    self._waiting.remove(job)
                    job.end({"interrupted": True})
                    self._tell_places()
                    break
            else:
                running = self._running
                return running if running is not None and running.id == job_id else None
        self._tell_observers()
        return None

    def close(self) -> tuple[Job, ...]:
        """Take no more jobs; return those that waited, which will not be begun here."""
        with self._changed:
            self._closed = True
            left = tuple(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            return left

    @property
    def jobs(self) -> tuple[JobSummary, ...]:
        """Return the job under way and those that wait, in order."""
        with self._changed:
            every = [*([] if self._running is None else [self._running]), *self._waiting]
            first = 0 if self._running is not None else 1
            return tuple(
                JobSummary(id=job.id, verb=job.request.verb, workspace=job.request.workspace, ahead=ahead)
                for ahead, job in enumerate(every, first)
            )

    @property
    def is_closed(self) -> bool:
        """Say whether no more jobs are taken."""
        return self._closed

    def _tell_observers(self, job: Job | None = None) -> None:
        for observer in self._observers:
            observer(job)

    def _tell_places(self) -> None:
        """Tell each job that waits how many are before it, when that has changed."""
        for place, job in enumerate(self._waiting):
            ahead = place + (self._running is not None)
            if ahead != job.ahead:
                job.ahead = ahead
                job.tell(JobWaiting(ahead=ahead))
