"""Keeps what was told to pages, so that one that was away for a moment misses nothing.

Events have numbers. A browser that reconnects names the last one that it heard and is told those after it; where these
are not kept any more, or another process gave the number, it is told to look at everything anew.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from itertools import takewhile
from typing import Any, Final

__all__ = ["EventLog"]

_KEPT: Final = 2000
_ROOM: Final = 16 * 2**20
"""Bytes of the events that are kept: one that tells a run of a thousand images has half a megabyte."""

_DIGITS: Final = 15
_PASSING: Final = frozenset({"planned", "progress", "queue"})
"""Events that later ones of the same name make old: they are not repeated to who comes back."""

_ALIVE: Final = 15.0
"""Seconds of silence after which a line is sent that says nothing: either end notices when the other is gone."""


class EventLog:
    """Numbers events and hands them to listeners, from any thread; none waits for another."""

    def __init__(self) -> None:
        self._origin: Final = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, bytes]] = deque()
        self._number = self._size = 0
        self._forgotten = 0
        """The number of the last event that is not kept any more."""

        self._passing: dict[str, tuple[int, bytes]] = {}
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._closed = False

    @property
    def is_heard(self) -> bool:
        """Say whether anybody listens."""
        return bool(self._waiting)

    def tell(self, name: str, data: Mapping[str, Any]) -> None:
        """Tell an event."""
        said = _line(name, data)
        with self._lock:
            self._number += 1
            line = self._id(self._number) + said
            if name in _PASSING:
                self._passing[name] = self._number, line
            else:
                self._keep(line)
            self._wake()

    def close(self) -> None:
        """End every listening; whoever listens reconnects to whoever comes next."""
        with self._lock:
            self._closed = True
            self._wake()

    async def lines(
        self, last_id: str | None, *, first: Callable[[], tuple[str, Mapping[str, Any]]]
    ) -> AsyncIterator[bytes]:
        """Yield events as a browser reads them, those after ``last_id`` first.

        Args:
            last_id: as the browser says it: ``None`` for one that comes for the first time.
            first: gives what everybody is told before anything else.
        """
        woken, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._lock:
            self._waiting[woken] = loop
            heard = self._begin(last_id)
        try:
            yield b"retry: 1000\n\n" + (b"" if heard is None else self._id(heard)) + _line(*first())
            while not self._closed:
                woken.clear()
                if heard is None or heard < self._forgotten:  # it is not kept any more, or who listens is too slow
                    heard = self._number
                    yield self._id(heard) + _line("reset", {})
                fresh = self._after(heard)
                for _, line in fresh:
                    yield line
                if fresh:
                    heard = fresh[-1][0]
                    continue
                try:
                    await asyncio.wait_for(woken.wait(), _ALIVE)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            with self._lock:
                self._waiting.pop(woken, None)

    def _begin(self, last_id: str | None) -> int | None:
        """Return the number of the last event that was heard; None where what came after it is not known."""
        if last_id is None:
            return self._number
        origin, _, number = last_id.partition("-")
        if origin != self._origin or not (number.isascii() and number.isdigit() and len(number) <= _DIGITS):
            return None
        return int(number) if self._forgotten <= int(number) <= self._number else None

    def _id(self, number: int) -> bytes:
        return f"id: {self._origin}-{number}\n".encode()

    def _keep(self, line: bytes) -> None:
        self._kept.append((self._number, line))
        self._size += len(line)
        while len(self._kept) > _KEPT or (self._size > _ROOM and len(self._kept) > 1):
            self._forgotten, oldest = self._kept.popleft()
            self._size -= len(oldest)

    def _after(self, number: int) -> list[tuple[int, bytes]]:
        with self._lock:
            if self._number <= number:
                return []
            fresh = [*takewhile(lambda each: each[0] > number, reversed(self._kept))]
            return sorted([*fresh, *(each for each in self._passing.values() if each[0] > number)])

    def _wake(self) -> None:
        for woken, loop in self._waiting.items():
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(woken.set)


def _line(name: str, data: Mapping[str, Any]) -> bytes:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str)
    return f"event: {name}\ndata: {text}\n\n".encode("utf-8", "replace")
