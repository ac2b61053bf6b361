"""Handles Ctrl-C while images are made: once, those under way are finished; twice, all stops at once.

The signal handler cancels the generation that is under way, so that no engine has to know about signals.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from promptlab.engine import Generation
from promptlab.lab.execution.events import Interrupted, Watch

__all__ = ["Interrupts"]


class Interrupts:
    """Listens for Ctrl-C as long as its context lasts; outside the main thread no signal arrives."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._stopping = False
        self._before: Any = None
        self._generation: Generation | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._pressed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @property
    def going(self) -> bool:
        """Say whether another image may be begun."""
        return not self._stopping

    @contextmanager
    def cancelling(self, generation: Generation) -> Iterator[Generation]:
        """Cancel ``generation`` when Ctrl-C is pressed in the block."""
        self._generation = generation
        if self._stopping:
            generation.cancel()
        try:
            yield generation
        finally:
            self._generation = None

    def check(self) -> None:
        """End here, once what was under way is saved.

        Raises:
            KeyboardInterrupt: when Ctrl-C was pressed.
        """
        if self._stopping:
            raise KeyboardInterrupt

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True
        if self._generation is not None:
            self._generation.cancel()
        self._watch(Interrupted())
