"""Keeps the workers: starts their actors, follows what they make, takes back those that were lost.

Each share is followed by a thread, which hands on what it hears to one inbox; so whoever waits for pictures waits in
Python, where Ctrl-C is heard at once. At most :data:`IN_FLIGHT` bundles are in the inbox, and :data:`AHEAD` at each
worker: pictures wait to be made, not to be stored.

Invariant: an actor is ready when it has said that it runs the versions that this process has.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from promptlab.cluster.connection import RayConnection, connect
from promptlab.cluster.messages import Message, ShareEnded, ShareEvents, ShareFailed, WorkerGone, WorkerReady
from promptlab.cluster.shipping import ShippedSource
from promptlab.cluster.versions import other_versions
from promptlab.cluster.worker import Worker, WorkerFacts
from promptlab.engine import Engine, Permissions
from promptlab.errors import EngineError, InputError, PromptLabError, one_line, ref_value
from promptlab.plan import ImageRequest

__all__ = ["WorkerPool"]

IN_FLIGHT: Final = 32
AHEAD: Final = 2

_STRAGGLERS: Final = 2.0
"""Seconds to wait for the other workers once the first is ready."""

_ANSWERED: Final = 300.0
"""Seconds in which the first worker must be ready: a machine of a cluster may have to be started."""

_TRIES: Final = 5
"""Times that a worker may be gone without having made anything before it is left out."""


@dataclass(slots=True, eq=False)
class _Member:
    actor: Any
    facts: WorkerFacts | None = None
    host: str = "its machine"
    share: int = -1
    tries: int = 0


class WorkerPool:
    """Holds the workers of one engine.

    Args:
        make_engine: creates the engine of each worker, there.
        workers: how many; ``None`` for as many as there are GPUs or, without any, cores.
        cluster: the address of a Ray cluster; see :func:`promptlab.cluster.connection.connect`.
    """

    def __init__(self, make_engine: Callable[[], Engine], *, workers: int | None, cluster: str | None) -> None:
        self._make_engine, self._workers, self._cluster = make_engine, workers, cluster
        self._connection: RayConnection | None = None
        self._members: dict[str, _Member] = {}
        self._inbox: SimpleQueue[tuple[int, Message] | None] = SimpleQueue()
        self._room = threading.Semaphore(IN_FLIGHT)
        self._shares = 0
        self._dropped = -1
        self._closing, self._news = threading.Event(), threading.Event()
        self._noting = threading.Lock()
        self._first_ready: float | None = None
        self.refused: dict[str, str] = {}
        self._shipped: dict[str, ShippedSource] = {}

    @property
    def ready(self) -> Mapping[str, WorkerFacts]:
        """Return the workers that can be given shares, and what they said of themselves."""
        return {name: member.facts for name, member in self._members.items() if member.facts is not None}

    @property
    def size(self) -> int:
        """Return how many workers there are to be."""
        return len(self._members)

    @property
    def is_own(self) -> bool:
        """Return whether the Ray was started for these workers, on this machine."""
        return self._connection is not None and self._connection.is_own

    def open(self) -> None:
        """Connect, start the workers, and wait until one is ready; others may come later.

        Raises:
            InputError: for more workers than there are GPUs, or where Ray or its cluster is not there.
            EngineError: when no worker comes.
        """
        if self._connection is None:
            connection = connect(self._cluster, workers=self._workers)
            try:
                count = self._count(connection)
            except InputError:  # asked again, it is refused again
                connection.close()
                raise
            self._connection = connection
            for number in range(count):
                self._members[str(number + 1)] = _Member(_actor(self._make_engine, on_gpu=bool(connection.gpus)))
            for name in self._members:
                self._greet(name)
        self._wait_for_workers()

    def ask(self, worker: str, method: str, *arguments: object) -> Any:
        """Call a method of a worker, and wait.

        Raises:
            PromptLabError: what it raised there.
            EngineError: when the worker is lost.
        """
        return self.begin(worker, method, *arguments)()

    def begin(self, worker: str, method: str, *arguments: object) -> Callable[[], Any]:
        """Call a method of a worker; return what waits for the answer, which raises as :meth:`ask` does."""
        import ray

        with self._translated(worker):
            reference = getattr(self._members[worker].actor, method).remote(*arguments)

        def answer() -> Any:
            with self._translated(worker):
                return ray.get(reference)

        return answer

    def host(self, worker: str) -> str:
        """Return the name of the machine that a worker is on, or was."""
        return self._members[worker].host

    def one_of_each_machine(self) -> list[str]:
        """Return a worker of each machine, of those that are ready.

        Raises:
            EngineError: when all were lost since :meth:`open`.
        """
        nodes: dict[str, str] = {}
        for name, facts in self.ready.items():
            nodes.setdefault(facts.node, name)
        if not nodes:
            raise EngineError("no worker is ready: all were lost a moment ago")
        return list(nodes.values())

    def ship(self, sources: Sequence[ShippedSource]) -> None:
        """Let every worker unpack what it does not have, now and whoever comes later.

        One of each machine is first: the others find it there.

        Raises:
            EngineError: when a machine cannot.
        """
        self._shipped.update((source.name, source) for source in sources)
        firsts = self.one_of_each_machine()
        for workers in (firsts, [worker for worker in self.ready if worker not in firsts]):
            for answer in [self.begin(worker, "receive", sources) for worker in workers]:
                answer()

    def give(self, worker: str, requests: Sequence[ImageRequest], permissions: Permissions) -> None:
        """Give a worker a share to make, and follow it."""
        member = self._members[worker]
        member.share, self._shares = self._shares, self._shares + 1
        method = member.actor.generate.options(num_returns="streaming", _generator_backpressure_num_objects=AHEAD)
        stream = method.remote(member.share, requests, permissions)
        self._on_thread(self._follow, worker, member.share, stream)

    def take_back(self, worker: str) -> None:
        """Tell a worker to begin no more of its share."""
        member = self._members[worker]
        with suppress(Exception):  # one that is lost begins nothing
            member.actor.take_back.options(concurrency_group="beside").remote(member.share)

    def receive(self, timeout: float) -> Message | None:
        """Return what happened next; None after ``timeout`` seconds, or when :meth:`wake` was called."""
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            try:
                told = self._inbox.get(timeout=left)
            except Empty:
                return None
            if told is None:
                return None
            share, message = told
            if isinstance(message, ShareEvents):
                self._room.release()
            if share < 0 or share > self._dropped:
                return message
        return None

    def wake(self) -> None:
        """End the waiting of :meth:`receive`. Signal handlers may call it."""
        self._inbox.put(None)

    def drop(self) -> None:
        """Take back all shares that are under way; nothing is heard of them any more."""
        self._dropped = self._shares - 1
        for worker, member in self._members.items():
            if member.share >= 0:
                member.share = -1
                with suppress(Exception):
                    self._members[worker].actor.take_back.options(concurrency_group="beside").remote(self._dropped)

    def made_something(self, worker: str) -> None:
        """Take note that a worker works."""
        self._members[worker].tries = 0

    def close(self) -> None:
        """End the workers, and what was started for them."""
        self._closing.set()
        if self._connection is not None:
            import ray

            for member in self._members.values():
                with suppress(Exception):
                    ray.kill(member.actor)
            self._connection.close()

    @contextmanager
    def _translated(self, worker: str) -> Iterator[None]:
        from ray.exceptions import RayError, RayTaskError

        try:
            yield
        except RayTaskError as error:
            raise _error_of(error) from error
        except RayError as error:
            raise EngineError(f"worker {worker} was lost: {self._note_loss(worker, error)}") from error

    def _count(self, connection: RayConnection) -> int:
        places = connection.gpus or connection.cpus
        if self._workers is None:
            return max(1, places)
        if connection.gpus and self._workers > connection.gpus:
            raise InputError(
                "workers", self._workers, problem=f"are more than there are GPUs: {connection.gpus}",
                allowed=f"1 to {connection.gpus}, or auto", hint=ref_value("workers", "auto"),
            )  # fmt: skip
        return self._workers

    def _wait_for_workers(self) -> None:
        """Wait for the first worker, and once a moment for the others; leave out who comes later."""
        until = time.monotonic() + _ANSWERED
        while len(self.ready) + len(self.refused) < self.size:
            if self.ready:
                self._first_ready = self._first_ready or time.monotonic()
                until = self._first_ready + _STRAGGLERS
            if time.monotonic() >= until:
                break
            self._news.wait(0.2)
            self._news.clear()
        if not self.ready:
            raise EngineError(f"no worker is ready: {self._why_none()}")

    def _why_none(self) -> str:
        if self.refused:
            return "; ".join(f"worker {name} {reason}" for name, reason in dict(self.refused).items())
        return f"of {self.size} that were asked for, none got a place within {_ANSWERED:.0f} s; type: ray status"

    def _greet(self, worker: str) -> None:
        self._on_thread(self._hear_hello, worker)

    def _hear_hello(self, worker: str) -> None:
        """Wait until an actor answers, however often it is started anew, and look at its versions."""
        import ray
        from ray.exceptions import ActorUnavailableError

        member = self._members[worker]
        while not self._closing.is_set():
            try:
                facts: WorkerFacts = ray.get(member.actor.hello.remote())
                if self._shipped:
                    ray.get(member.actor.receive.remote(list(self._shipped.values())))
            except ActorUnavailableError:  # it is being started anew
                self._closing.wait(0.1)
            except Exception as error:  # noqa: BLE001 - nobody else would ever hear of this worker
                self._refuse(worker, f"could not be started: {_why(error)}")
                return
            else:
                other = other_versions(facts.versions)
                if other is not None:
                    self._refuse(worker, f"{facts.host} has {other}")
                    return
                member.facts, member.host = facts, facts.host
                self._tell(WorkerReady(worker=worker))
                return

    def _refuse(self, worker: str, reason: str) -> None:
        self.refused[worker] = reason
        self._tell(WorkerGone(worker=worker, reason=reason, for_good=True))

    def _follow(self, worker: str, share: int, stream: Any) -> None:
        """Hand on what a share yields; one that nobody waits for any more is heard to its end.

        Invariant: how it ended is told once, whatever happened.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            for reference in stream:
                if self._has_room(share):
                    self._tell(ShareEvents(worker=worker, events=ray.get(reference)), share)
            self._tell(ShareEnded(worker=worker), share)
        except RayTaskError as error:
            self._tell(ShareFailed(worker=worker, error=_error_of(error)), share)
        except RayError as error:
            if not self._closing.is_set():
                reason = self._note_loss(worker, error)
                self._tell(WorkerGone(worker=worker, reason=reason, for_good=worker in self.refused), share)
        except Exception as error:  # noqa: BLE001 - what came cannot be read, and the share would never end
            problem = f"what worker {worker} sent cannot be read: {type(error).__name__}: {one_line(error)}"
            self._tell(ShareFailed(worker=worker, error=EngineError(problem)), share)

    def _has_room(self, share: int) -> bool:
        while share > self._dropped and not self._closing.is_set():
            if self._room.acquire(timeout=0.1):
                return True
        return False

    def _note_loss(self, worker: str, error: Exception) -> str:
        """Take note that a worker is gone, and wait for it to be back; return why, and where it was.

        It is noticed more than once where a share of a generation that was left is still being followed.
        """
        member = self._members[worker]
        with self._noting:
            was_ready, member.facts = member.facts is not None, None
        if was_ready:
            member.tries += 1
            if member.tries < _TRIES:
                self._greet(worker)
            else:
                self.refused[worker] = f"was lost {_TRIES} times, making nothing"
        return f"{_why(error)} on {member.host}"

    def _tell(self, message: Message, share: int = -1) -> None:
        self._inbox.put((share, message))
        self._news.set()

    def _on_thread(self, target: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True, name="promptlab-cluster").start()


def _actor(make_engine: Callable[[], Engine], *, on_gpu: bool) -> Any:
    import ray

    place = {"num_gpus": 1} if on_gpu else {"num_cpus": 1}
    remote: Any = ray.remote(
        **place, max_restarts=-1, max_task_retries=0, concurrency_groups={"beside": 1}, scheduling_strategy="SPREAD"
    )
    return remote(Worker).remote(make_engine)


def _error_of(error: Any) -> PromptLabError:
    """Return what a worker's engine raised."""
    cause = error.cause
    if isinstance(cause, PromptLabError):
        return cause
    return EngineError(f"a worker failed: {type(cause).__name__}: {one_line(cause)}")


def _why(error: object) -> str:
    """Return the sentence of Ray's error that tells what happened; it explains what might have for a page."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):  # what was raised there; Ray's own text is its traceback
        return one_line(cause, limit=160) or type(cause).__name__
    text = str(error)
    for line in text.splitlines():
        if "cause" in line.lower() or "exit" in line.lower():
            return one_line(line, limit=160)
    return one_line(text or type(error).__name__, limit=160)
