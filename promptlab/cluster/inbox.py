"""Gathers what the threads that follow shares hear, for whoever waits for pictures.

Waiting is done in Python, where Ctrl-C is heard at once. At most :data:`IN_FLIGHT` bundles of events are in an inbox:
pictures wait to be made, not to be stored.

Invariant: of a share that was dropped nothing comes out any more; what is about a worker and no share always does.
"""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import Final

from promptlab.cluster.messages import Message, ShareEvents

__all__ = ["IN_FLIGHT", "NO_SHARE", "Inbox"]

IN_FLIGHT: Final = 32
NO_SHARE: Final = -1
"""Stands for the share of a message that is about a worker alone."""


class Inbox:
    """Holds messages in the order in which they came. Shares are numbered from 0, upwards."""

    def __init__(self) -> None:
        self._messages: SimpleQueue[tuple[int, Message] | None] = SimpleQueue()
        self._room = threading.Semaphore(IN_FLIGHT)
        self._dropped = NO_SHARE
        self._closed = threading.Event()

    def put(self, message: Message, share: int = NO_SHARE) -> None:
        """Add a message; of events, only after :meth:`has_room` has said so."""
        self._messages.put((share, message))

    def has_room(self, share: int) -> bool:
        """Wait until there is room for events of a share; False once nobody waits for these any more."""
        while share > self._dropped and not self._closed.is_set():
            if self._room.acquire(timeout=0.1):
                return True
        return False

    def release(self) -> None:
        """Give back the room of events that did not come, after all."""
        self._room.release()

    def receive(self, timeout: float) -> Message | None:
        """Return what came next; None after ``timeout`` seconds, or when :meth:`wake` was called."""
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            try:
                told = self._messages.get(timeout=left)
            except Empty:
                return None
            if told is None:
                return None
            share, message = told
            if isinstance(message, ShareEvents):
                self._room.release()
            if share == NO_SHARE or share > self._dropped:
                return message
        return None

    def wake(self) -> None:
        """End the waiting of :meth:`receive`. Signal handlers may call it."""
        self._messages.put(None)

    def drop(self, share: int) -> None:
        """Forget this share and all before it."""
        self._dropped = share

    def close(self) -> None:
        """Let nobody wait for room any more."""
        self._closed.set()
