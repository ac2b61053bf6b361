"""Many small objects, made without Python's garbage collector walking over them again and again.

A sweep of a hundred thousand settings makes millions of tuples and frozen dataclasses, none of which refers back to
what holds it, so reference counts alone free them. The collector does not know that: it looks at all of them, and at
all of torch's, each time that there are a quarter more. Pausing it halves the time (benchmarks/planning.py).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collector for a block, or, as a decorator, for a function; where it is off already it stays off."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
