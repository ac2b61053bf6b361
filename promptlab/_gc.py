"""Keeps Python's garbage collector from looking again and again at objects that stay.

A sweep of a hundred thousand settings makes millions of tuples and frozen dataclasses, none of which refers back to
what holds it, so reference counts alone free them. The collector does not know that: it looks at all of them, and at
all of torch's, each time that there are a quarter more. Pausing it halves the time (benchmarks/planning.py).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["collect_as_usual", "collect_rarely", "gc_paused"]

_RARELY: Final = 100_000
"""New objects after which the collector looks at them; Python's own is 700."""

_usual: list[tuple[int, int, int]] = []
"""The thresholds from before :func:`collect_rarely`, as long as it holds."""


def collect_rarely() -> None:
    """Let the collector look less often, in a process of our own, while it imports what it works with.

    Importing torch and diffusers makes 770,000 objects, all of which stay: looking at them takes a second of seven.
    """
    if not _usual:
        _usual.append(gc.get_threshold())
        gc.set_threshold(_RARELY, *_usual[0][1:])


def collect_as_usual() -> None:
    """Let the collector look as often as Python has it, and never again at what is there now.

    Does nothing where :func:`collect_rarely` was not called: in a process that is not ours, what is there now may be
    let go of by its owner.
    """
    if _usual:
        gc.freeze()
        gc.set_threshold(*_usual.pop())


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the garbage collector for a block or a function; where it is off already it stays off."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
