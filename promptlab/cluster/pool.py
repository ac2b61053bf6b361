"""Keeps the workers: starts their actors, gives them shares, and follows what they make.

Each share is followed by a thread, which hands on what it hears to one inbox; see :mod:`promptlab.cluster.inbox`. At
most :data:`AHEAD` bundles wait at each worker. Who is ready, lost or left out: :mod:`promptlab.cluster.members`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

from promptlab.cluster.actors import error_of, start_actor, translated
from promptlab.cluster.connection import RayConnection, connect
from promptlab.cluster.inbox import Inbox
from promptlab.cluster.members import Member, Members
from promptlab.cluster.messages import Message, ShareEnded, ShareEvents, ShareFailed, WorkerGone
from promptlab.cluster.shipping import ShippedSource
from promptlab.cluster.worker import WorkerFacts
from promptlab.engine import Engine, Permissions
from promptlab.errors import EngineError, InputError, one_line, ref_value
from promptlab.plan import ImageRequest

__all__ = ["WorkerPool"]

AHEAD: Final = 2


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
        self._inbox = Inbox()
        self._members = Members(self._inbox.put)
        self._shares = 0

    @property
    def ready(self) -> Mapping[str, WorkerFacts]:
        """Return the workers that can be given shares, and what they said of themselves."""
        return self._members.ready

    @property
    def refused(self) -> Mapping[str, str]:
        """Return why workers are left out, of those that are for good; threads add to it."""
        return self._members.refused

    @property
    def size(self) -> int:
        """Return how many workers there are to be."""
        return len(self._members.by_name)

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
                actor = start_actor(self._make_engine, on_gpu=bool(connection.gpus))
                self._members.by_name[str(number + 1)] = Member(actor)
            for name in self._members.by_name:
                self._members.greet(name)
        self._members.wait()

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
            reference = getattr(self._members.by_name[worker].actor, method).remote(*arguments)

        def answer() -> Any:
            with self._translated(worker):
                return ray.get(reference)

        return answer

    def host(self, worker: str) -> str:
        """Return the name of the machine that a worker is on, or was."""
        return self._members.by_name[worker].host

    def one_of_each_machine(self, first: str | None = None) -> list[str]:
        """Return a worker of each machine, of those that are ready: of its own, the ``first``.

        Raises:
            EngineError: when all were lost since :meth:`open`.
        """
        nodes: dict[str, str] = {}
        ready = self.ready
        if first is not None and first in ready:
            nodes[ready[first].node] = first
        for name, facts in ready.items():
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
        self._members.shipped.update((source.name, source) for source in sources)
        firsts = self.one_of_each_machine()
        for workers in (firsts, [worker for worker in self.ready if worker not in firsts]):
            for answer in [self.begin(worker, "receive", sources) for worker in workers]:
                answer()

    def give(self, worker: str, requests: Sequence[ImageRequest], permissions: Permissions) -> None:
        """Give a worker a share to make, and follow it."""
        member = self._members.by_name[worker]
        member.share, self._shares = self._shares, self._shares + 1
        method = member.actor.generate.options(num_returns="streaming", _generator_backpressure_num_objects=AHEAD)
        stream = method.remote(member.share, requests, permissions)
        arguments = worker, member.share, stream
        threading.Thread(target=self._follow, args=arguments, daemon=True, name="promptlab-share").start()

    def take_back(self, worker: str) -> None:
        """Tell a worker to begin no more of its share."""
        member = self._members.by_name[worker]
        with suppress(Exception):  # one that is lost begins nothing
            member.actor.take_back.options(concurrency_group="beside").remote(member.share)

    def receive(self, timeout: float) -> Message | None:
        """Return what happened next; None after ``timeout`` seconds, or when :meth:`wake` was called."""
        return self._inbox.receive(timeout)

    def wake(self) -> None:
        """End the waiting of :meth:`receive`. Signal handlers may call it."""
        self._inbox.wake()

    def drop(self) -> None:
        """Take back all shares that are under way; nothing is heard of them any more."""
        last = self._shares - 1
        self._inbox.drop(last)
        for member in self._members.by_name.values():
            if member.share >= 0:
                member.share = -1
                with suppress(Exception):
                    member.actor.take_back.options(concurrency_group="beside").remote(last)

    def restart(self, worker: str) -> None:
        """Start the process of a worker anew: whatever is wrong with it may be wrong with its process alone."""
        import ray

        with suppress(Exception):  # one that is lost is started anew as it is
            ray.kill(self._members.by_name[worker].actor, no_restart=False)
        self._members.lose(worker, EngineError("it was started anew"))

    def made_something(self, worker: str) -> None:
        """Take note that a worker works."""
        self._members.by_name[worker].tries = 0

    def close(self) -> None:
        """End the workers, and what was started for them."""
        self._members.close()
        self._inbox.close()
        if self._connection is not None:
            import ray

            for member in self._members.by_name.values():
                with suppress(Exception):
                    ray.kill(member.actor)
            self._connection.close()

    def _translated(self, worker: str) -> AbstractContextManager[None]:
        return translated(worker, lambda error: self._members.lose(worker, error))

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

    def _follow(self, worker: str, share: int, stream: Any) -> None:
        """Hand on what a share yields; one that nobody waits for any more is heard to its end.

        Invariant: how it ended is told once, whatever happened.
        """
        from ray.exceptions import RayError, RayTaskError

        try:
            for reference in stream:
                if self._inbox.has_room(share):
                    self._inbox.put(ShareEvents(worker=worker, events=self._got(reference)), share)
            self._inbox.put(ShareEnded(worker=worker), share)
        except RayTaskError as error:
            self._inbox.put(ShareFailed(worker=worker, error=error_of(error)), share)
        except RayError as error:
            if not self._members.closing:
                reason = self._members.lose(worker, error)
                self._inbox.put(WorkerGone(worker=worker, reason=reason, for_good=worker in self.refused), share)
        except Exception as error:  # noqa: BLE001 - what came cannot be read, and the share would never end
            problem = f"what worker {worker} sent cannot be read: {type(error).__name__}: {one_line(error)}"
            self._inbox.put(ShareFailed(worker=worker, error=EngineError(problem)), share)

    def _got(self, reference: Any) -> Any:
        """Return the events that there is room for; what was raised in place of them, Ray raises here."""
        import ray

        try:
            return ray.get(reference)
        except BaseException:
            self._inbox.release()  # else the room would be gone for good, and after some failures all of it
            raise
