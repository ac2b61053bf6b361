"""Shows what a command waits for before anything is told: one line on a terminal, with its seconds.

It is written by a thread, without any library: what is waited for is imported at the same time.

Invariant: nothing is written where standard error is no terminal, nothing within the first half second, and what was
written is wiped away when the waiting ends.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from contextlib import suppress
from typing import Final

__all__ = ["WaitingLine", "waited"]

_QUIET: Final = 0.5
"""Seconds in which most answers come."""

_WIPE: Final = "\r\x1b[2K"


def waited(what: str, seconds: float) -> str:
    """Return what is waited for and for how long: ``loading mini · 3 s``."""
    return f"{what} · {int(seconds)} s" if seconds >= 1 else what


class WaitingLine:
    """Writes a line each second until it is told to stop.

    Args:
        what: is waited for.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to wait, where somebody looks on."""
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._thread = threading.Thread(target=self._write, daemon=True, name="waiting line")
            self._thread.start()

    def stop(self) -> None:
        """Stop, and remove the line; any number of times."""
        thread, self._thread = self._thread, None
        self._over.set()
        if thread is not None:
            thread.join()

    def _write(self) -> None:
        began = time.monotonic()
        pause, written = _QUIET, False
        with suppress(OSError, ValueError):  # a terminal that was closed
            while not self._over.wait(pause):
                pause, written = 1 - (time.monotonic() - began) % 1, True
                line = waited(self._what, time.monotonic() - began)
                self._put(f"{_WIPE}\x1b[2m{line[: shutil.get_terminal_size().columns - 1]}\x1b[0m")
            if written:
                self._put(_WIPE)

    @staticmethod
    def _put(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
