"""Ctrl-C while pictures are made: once, the batch in flight is finished and saved; twice, everything stops at once.

A signal handler only notes that it was pressed. The next batch that begins (its first step, or its first picture) is
then where :exc:`KeyboardInterrupt` is raised, so no engine has to know about signals.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from promptlab.lab.events import Stopping, Watch

__all__ = ["Interrupts"]


class Interrupts:
    """A context that listens for Ctrl-C; outside the main thread, where no signal arrives, it does nothing."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._stopping = False
        self._batch = -1
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._pressed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def reached(self, batch: int) -> None:
        """Batch number ``batch`` is being made.

        Raises:
            KeyboardInterrupt: when Ctrl-C was pressed during an earlier one.
        """
        if self._stopping and batch > self._batch:
            raise KeyboardInterrupt
        self._batch = max(batch, self._batch)

    def next_pass(self) -> None:
        """Batches are counted from 0 again.

        Raises:
            KeyboardInterrupt: when Ctrl-C was pressed before.
        """
        if self._stopping:
            raise KeyboardInterrupt
        self._batch = -1

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True
        self._watch(Stopping())
