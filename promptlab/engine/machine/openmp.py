"""Chooses how OpenMP threads wait: spinning, which is quick alone, or asleep, quick in company.

A forward is thousands of short parallel loops, and at the end of each the threads wait for the last one. Spinning they
go on at once; but where another process has one of the cores, they spin on the very core that the last one needs. On
two cores one picture took 0.7 s spinning and 1.6 asleep with nothing beside it, and 3.3 and 1.1 beside one busy process
(`benchmarks/results/openmp.md`). Spinning for a while and then sleeping is good at neither, at any length. So it is
chosen by looking: again and again where the library can be told (:mod:`promptlab.engine.machine.idle_threads`), else
once, before torch is imported.

Invariant: it decides seconds, never bytes, and what the environment says already is left as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from promptlab.engine.machine.idle_threads import SAID_OTHERWISE, can_be_told, has_quota

__all__ = ["choose_wait_policy", "is_shared"]

_POLICY: Final = "OMP_WAIT_POLICY"
_LOOKS: Final = 5
_BETWEEN: Final = 0.01
"""Seconds between two looks: who runs at all of them is at work, and not merely waking up."""
_LOAD: Final = Path("/proc/loadavg")


def choose_wait_policy(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables to set before torch is imported: threads sleep unless the cores are ours alone.

    Nothing where threads can be told later. Where it cannot be seen who runs, or the process has a share of time, as in
    a container, threads sleep: the loss is smaller.

    Args:
        environ: the variables that there are; those of this process by default.
    """
    environ = os.environ if environ is None else environ
    if SAID_OTHERWISE & environ.keys() or can_be_told():
        return {}
    if not has_quota() and is_shared(environ) is False:
        return {}
    return {_POLICY: "PASSIVE"}


def is_shared(environ: Mapping[str, str] | None = None, running: Callable[[], int | None] | None = None) -> bool | None:
    """Say whether others want the cores that torch's threads will have; None where it cannot be seen.

    Args:
        environ: says with ``OMP_NUM_THREADS`` how many threads there will be; else one for each core.
        running: returns how many threads of all processes run or want to, this one included.
    """
    environ = os.environ if environ is None else environ
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    threads = min(int(said), cores) if said.isdecimal() else cores
    least = None
    for look in range(_LOOKS):
        if look:
            time.sleep(_BETWEEN)
        counted = (running or _running)()
        if counted is None:
            return None
        least = counted if least is None else min(least, counted)
    return least is not None and least - 1 > cores - threads


def _running() -> int | None:
    """Return how many threads run or want to on this machine, as the kernel counts them."""
    try:
        return int(_LOAD.read_text(encoding="ascii").split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return None
