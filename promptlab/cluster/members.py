"""Knows the workers of a pool: who is ready, who was lost and is awaited, who is left out for good.

Invariant: a worker is ready when it has said that it runs the versions that this process has.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from promptlab.cluster.actors import why
from promptlab.cluster.messages import Message, WorkerGone, WorkerReady
from promptlab.cluster.shipping import ShippedSource
from promptlab.cluster.versions import other_versions
from promptlab.cluster.worker import WorkerFacts
from promptlab.errors import EngineError

__all__ = ["Member", "Members"]

_STRAGGLERS: Final = 2.0
"""Seconds to wait for the other workers once the first is ready."""

_ANSWERED: Final = 300.0
"""Seconds in which the first worker must be ready: a machine of a cluster may have to be started."""

_TRIES: Final = 5
"""Times that a worker may be gone without having made anything before it is left out."""


@dataclass(slots=True, eq=False)
class Member:
    """Holds what is known of one worker.

    Args:
        actor: Ray's handle of it.
        facts: what it said of itself; ``None`` while it is not ready.
        host: the machine that it is on, or was last.
        share: the number of what it makes.
        tries: times that it was lost since it made something.
    """

    actor: Any
    facts: WorkerFacts | None = None
    host: str = "its machine"
    share: int = -1
    tries: int = 0


@dataclass(slots=True, eq=False)
class Members:
    """Holds the workers by their names.

    Args:
        tell: is told who is ready, or left out.

    Attributes:
        by_name: all of them, left out or not.
        refused: why those are left out that are, for good.
        shipped: what whoever comes later has to unpack first.
    """

    tell: Callable[[Message], None]
    by_name: dict[str, Member] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    shipped: dict[str, ShippedSource] = field(default_factory=dict)
    _closing: threading.Event = field(default_factory=threading.Event)
    _news: threading.Event = field(default_factory=threading.Event)
    _noting: threading.Lock = field(default_factory=threading.Lock)
    _first_ready: float | None = None

    @property
    def ready(self) -> Mapping[str, WorkerFacts]:
        """Return the workers that can be given shares, and what they said of themselves."""
        return {name: member.facts for name, member in self.by_name.items() if member.facts is not None}

    @property
    def closing(self) -> bool:
        """Return whether :meth:`close` was called."""
        return self._closing.is_set()

    def greet(self, worker: str) -> None:
        """Wait, on a thread, until a worker answers."""
        threading.Thread(target=self._hear_hello, args=(worker,), daemon=True, name="promptlab-greeting").start()

    def wait(self) -> None:
        """Wait for the first worker, and once a moment for the others; who comes later is ready then.

        Raises:
            EngineError: when no worker comes.
        """
        until = time.monotonic() + _ANSWERED
        while len(self.ready) + len(self.refused) < len(self.by_name):
            if self.ready:
                self._first_ready = self._first_ready or time.monotonic()
                until = self._first_ready + _STRAGGLERS
            if time.monotonic() >= until:
                break
            self._news.wait(0.2)
            self._news.clear()
        if not self.ready:
            raise EngineError(f"no worker is ready: {self._why_none()}")

    def lose(self, worker: str, error: Exception) -> str:
        """Take note that a worker is gone, and wait for it to be back; return why, and where it was.

        It is noticed more than once where a share of a generation that was left is still being followed.
        """
        member = self.by_name[worker]
        with self._noting:
            was_ready, member.facts = member.facts is not None, None
        if was_ready:
            member.tries += 1
            if member.tries < _TRIES:
                self.greet(worker)
            else:
                self.refused[worker] = f"was lost {_TRIES} times, making nothing"
        return f"{why(error)} on {member.host}"

    def refuse(self, worker: str, reason: str) -> None:
        """Leave a worker out for good, and say so."""
        self.refused[worker] = reason
        self._tell(WorkerGone(worker=worker, reason=reason, for_good=True))

    def close(self) -> None:
        """Wait for nobody any more."""
        self._closing.set()

    def _hear_hello(self, worker: str) -> None:
        """Wait until an actor answers, however often it is started anew, and look at its versions."""
        import ray
        from ray.exceptions import ActorUnavailableError

        member = self.by_name[worker]
        while not self._closing.is_set():
            try:
                facts: WorkerFacts = ray.get(member.actor.hello.remote())
                if self.shipped:
                    ray.get(member.actor.receive.remote(list(self.shipped.values())))
            except ActorUnavailableError:  # it is being started anew
                self._closing.wait(0.1)
            except Exception as error:  # noqa: BLE001 - nobody else would ever hear of this worker
                self.refuse(worker, f"could not be started: {why(error)}")
                return
            else:
                other = other_versions(facts.versions)
                if other is not None:
                    self.refuse(worker, f"{facts.host} has {other}")
                    return
                member.facts, member.host = facts, facts.host
                self._tell(WorkerReady(worker=worker))
                return

    def _tell(self, message: Message) -> None:
        self.tell(message)
        self._news.set()

    def _why_none(self) -> str:
        if self.refused:
            return "; ".join(f"worker {name} {reason}" for name, reason in dict(self.refused).items())
        return (
            f"of {len(self.by_name)} that were asked for, none got a place within {_ANSWERED:.0f} s; type: ray status"
        )
