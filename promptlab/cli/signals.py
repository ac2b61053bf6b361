"""Ends a command that is told to terminate, or whose terminal is closed, the way Ctrl-C does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["termination_as_ctrl_c"]

_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def termination_as_ctrl_c() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP as Ctrl-C is handled: finish the images under way, or stop.

    A signal that is ignored stays so: ``nohup`` means that the command goes on.
    """
    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def as_ctrl_c(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave(terminals)
        pressed = signal.getsignal(signal.SIGINT)
        if not callable(pressed):  # ignored, as a shell has it for what runs in the background
            raise KeyboardInterrupt
        pressed(signal.SIGINT, frame)

    heeded = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, as_ctrl_c) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(terminals: list[int]) -> None:
    """Let what is still said go nowhere: writing to a closed terminal would be an error of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for terminal in terminals:
        os.dup2(nowhere, terminal)
    os.close(nowhere)
