"""Tells Ctrl-C of a server's terminal from that of a client, who means its job alone.

Both are one signal. A job that is cancelled ends as it does on Ctrl-C, at the same places: so the thread that works is
sent the signal that a terminal would have sent. While images are made, the lab hears it and tells of it by an event.

Invariant: what a client sends ends its job and no more; what a terminal sends ends the server.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["ServerSignals"]

_ENDINGS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class ServerSignals:
    """Listens for signals while a server works, where that is the main thread: others hear none.

    Args:
        is_busy: whether a job is under way.
        stop: ends the server after the images under way; called on a thread of its own.

    Attributes:
        told_to_end: whether Ctrl-C of the terminal came while a job was under way: no other is to be begun.
    """

    def __init__(self, *, is_busy: Callable[[], bool], stop: Callable[[], None]) -> None:
        self._is_busy, self._stop = is_busy, stop
        self.told_to_end = False
        self._listens = self._was_sent = self._is_spare = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Take Ctrl-C of a client for its job, that of the terminal, SIGTERM and SIGHUP for all."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(_number: int, _frame: FrameType | None) -> None:
            # On a thread of its own: this one may hold the queue's lock at the moment.
            threading.Thread(target=self._stop).start()

        def pressed(number: int, frame: FrameType | None) -> None:
            if self._is_busy():
                self.note()
                raise KeyboardInterrupt
            if not self._was_sent:  # it comes from a terminal, and not too late from a client
                end(number, frame)
                if self._is_spare:
                    raise KeyboardInterrupt

        heeded = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]  # as nohup has it
        before = {number: signal.signal(number, end) for number in heeded}
        before[signal.SIGINT] = signal.signal(signal.SIGINT, pressed)
        self._listens = True
        try:
            yield
        finally:
            self._listens = False
            for number, handler in before.items():
                signal.signal(number, handler)

    def send(self) -> None:
        """Send the thread that works the signal of Ctrl-C, for the job under way."""
        if not self._listens:
            return
        self._was_sent = True
        main = threading.main_thread().ident
        if hasattr(signal, "pthread_kill") and main is not None:
            signal.pthread_kill(main, signal.SIGINT)
        else:
            signal.raise_signal(signal.SIGINT)

    def note(self) -> None:
        """Take note that Ctrl-C was heard while a job was under way."""
        self.told_to_end |= not self._was_sent

    def forget(self) -> None:
        """Take the next Ctrl-C for the terminal's: the job that a client has ended is over."""
        self._was_sent = False

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """Let Ctrl-C of the terminal end the block at once: who ends has no use for what comes of it."""
        self._is_spare = True
        try:
            yield
        finally:
            self._is_spare = False
