"""Pauses Python's garbage collector while many small objects are made.

A sweep of a hundred thousand settings makes millions of tuples and frozen dataclasses, none of which refers back to
what holds it, so reference counts alone free them. The collector does not know that: it looks at all of them, and at
all of torch's, each time that there are a quarter more. Pausing it halves the time (benchmarks/planning.py).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["gc_paused"]


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
