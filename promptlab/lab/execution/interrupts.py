"""Ctrl-C while pictures are made: once, those under way are finished and saved; twice, everything stops at once.

A signal handler only notes that it was pressed. The engine asks :meth:`Interrupts.going` before it begins an image, so
none has to know about signals.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from promptlab.lab.execution.events import Interrupted, Watch

__all__ = ["Interrupts"]


class Interrupts:
    """A context that listens for Ctrl-C; outside the main thread, where no signal arrives, it does nothing."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._stopping = False
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

    def going(self) -> bool:
        """Whether another image may be begun."""
        return not self._stopping

    def check(self) -> None:
        """What was under way is saved: this is where it ends.

        Raises:
            KeyboardInterrupt: when Ctrl-C was pressed.
        """
        if self._stopping:
            raise KeyboardInterrupt

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True
        self._watch(Interrupted())
