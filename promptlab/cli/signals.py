"""Ends a command that is told to terminate the way Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["sigterm_as_ctrl_c"]


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Handle SIGTERM as Ctrl-C is handled: finish the images under way, or stop."""

    def as_ctrl_c(_number: int, frame: FrameType | None) -> None:
        pressed = signal.getsignal(signal.SIGINT)
        if not callable(pressed):  # ignored, as a shell has it for what runs in the background
            raise KeyboardInterrupt
        pressed(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, as_ctrl_c)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
