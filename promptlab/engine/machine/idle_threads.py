"""Chooses how idle OpenMP threads wait: spinning where cores are free, asleep where others compute.

A server stays for hours, and what runs beside it comes and goes: a process that chose to spin while nothing else ran
takes three to five times as long beside one busy process, and one that chose to sleep twice as long when that has ended
(``benchmarks/results/openmp.md``).

GNU's libgomp, torch's on Linux, reads its settings once, when it is loaded. But it spins 100 turns instead of 300,000
as long as a process has more OpenMP threads than it may use cores, as its manual says under ``GOMP_SPINCOUNT``. So a
thread that once had a team of its own, and then does nothing, puts the others to sleep, and its end wakes them up.

Invariants: how threads wait changes no bit of what they compute, nor the number of them, so it is no fact of an
environment; what a user has set by a variable stays as it is.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["SAID_OTHERWISE", "CpuTimes", "can_be_told", "has_quota", "idle_threads_by_load", "others_compute"]

BY_LOAD: Final = True
"""Says whether threads are told anew while images are made; with False it is chosen once, by
:func:`promptlab.engine.machine.openmp.choose_wait_policy`. ``benchmarks/openmp.py`` compares them."""

SAID_OTHERWISE: Final = frozenset({"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"})
"""Lists the variables by which somebody has chosen."""

_LOOK_EVERY: Final = 0.1
"""Seconds: ten of the system's ticks, by which it counts whose a core was."""
_LOOK_ASLEEP: Final = 0.5
"""Likewise, once threads sleep: whoever looks may have to wait for a core meanwhile, and Python's lock with it."""
_MANY: Final = 0.4
"""Cores that others use beyond those that are left over, above which threads sleep."""
_FEW: Final = 0.2
"""Likewise, below which they may spin again: lower, so that chance does not make them change all the time."""
_PARALLEL: Final = 1 << 18
"""Numbers of a tensor that torch fills by several threads."""

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
_OLDER_QUOTA: Final = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_STAT: Final = Path("/proc/stat")
_READ: Final = 1 << 14
"""Bytes of it: the lines of two hundred cores, which come first."""
_IDLE: Final = slice(3, 5)  # idle, and waiting for a disk
_COUNTED: Final = 8  # user, nice, system, idle, iowait, irq, softirq, steal; guests are counted within user


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Holds what the cores that this process may use have done until a moment.

    Args:
        at: the moment, in seconds of a clock that never goes back.
        busy: seconds of all these cores together, by whomever.
        own: seconds of this process, all its threads together.
    """

    at: float
    busy: float
    own: float

    @classmethod
    def now(cls, stat: int) -> CpuTimes:
        """Return those of this moment, by ``/proc/stat`` that is open as ``stat``."""
        lines = os.pread(stat, _READ, 0).decode("ascii").splitlines()
        return cls(at=time.monotonic(), busy=busy_seconds(lines, usable_cores()), own=time.process_time())


def busy_seconds(stat: list[str], cores: frozenset[int]) -> float:
    """Return the seconds that ``cores`` were busy, of the lines of ``/proc/stat``."""
    ticks = 0
    for line in stat:
        name, *numbers = line.split()
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cores:
            counted = list(map(int, numbers[:_COUNTED]))
            ticks += sum(counted) - sum(counted[_IDLE])
    return ticks / os.sysconf("SC_CLK_TCK")


def usable_cores() -> frozenset[int]:
    """Return the cores that this process may use."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def others_compute(before: CpuTimes, now: CpuTimes, *, spare: int, asleep: bool) -> bool:
    """Say whether others computed on cores that this process's threads need.

    Args:
        spare: cores that are left over where every thread has one.
        asleep: whether they were said to until now.
    """
    seconds = now.at - before.at
    others = max(0.0, (now.busy - before.busy) - (now.own - before.own)) / seconds if seconds > 0 else 0.0
    return others - spare > (_FEW if asleep else _MANY)


def can_be_told() -> bool:
    """Say whether idle threads can be told at any time how to wait, as this torch and this machine are."""
    return BY_LOAD and not has_quota() and _has_libgomp() and _STAT.is_file()


def has_quota() -> bool:
    """Say whether the process has a share of time, as in a container: whoever spins wastes it."""
    with suppress(OSError, ValueError):
        if _QUOTA.exists():
            return not _QUOTA.read_text(encoding="ascii").startswith("max")
        return int(_OLDER_QUOTA.read_text(encoding="ascii")) > 0
    return False


@contextmanager
def idle_threads_by_load(device: str) -> Iterator[None]:
    """Let idle threads spin in the block while nobody else needs the cores, and sleep otherwise.

    They sleep until it is known, unless there are cores to spare. Where images are not made on the CPU, somebody has
    chosen, or threads cannot be told, nothing is done.
    """
    import torch

    threads, cores = torch.get_num_threads(), len(usable_cores())
    teams = teams_needed(threads, cores)
    if device != "cpu" or not teams or SAID_OTHERWISE & os.environ.keys() or not can_be_told():
        yield
        return
    watching = _Watching(teams, spare=max(0, cores - threads))
    watching.start()
    try:
        yield
    finally:
        watching.end()


def teams_needed(threads: int, cores: int) -> int:
    """Return how many more teams of ``threads`` make more threads than ``cores``; 0 for one thread."""
    return 0 if threads < 2 else max(0, cores - threads) // (threads - 1) + 1


def _has_libgomp() -> bool:
    """Say whether torch brings the library that can be told at any time; asked before it is imported."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        return False
    torch = Path(found.origin).parent
    return any(any(folder.glob("libgomp*.so*")) for folder in (torch / "lib", torch.parent / "torch.libs"))


class _Watching:
    """Looks who computes, ten times a second, and puts idle threads to sleep by threads that hold teams."""

    def __init__(self, teams: int, *, spare: int) -> None:
        self._teams, self._spare = teams, spare
        self._sleepers: list[_Sleeper] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="who computes", daemon=True)

    def start(self) -> None:
        """Put idle threads to sleep where there is no core to spare, and begin to look."""
        if not self._spare:
            self._sleep()
        self._thread.start()

    def end(self) -> None:
        """Look no more; threads may spin."""
        self._ended.set()
        self._thread.join()
        self._wake()

    def _watch(self) -> None:
        with suppress(OSError, ValueError):  # the system tells no more: threads stay as they are
            stat = os.open(_STAT, os.O_RDONLY)
            try:
                self._look(stat)
            finally:
                os.close(stat)

    def _look(self, stat: int) -> None:
        before, pause = CpuTimes.now(stat), _LOOK_EVERY
        while not self._ended.wait(pause):
            now = CpuTimes.now(stat)
            asleep = bool(self._sleepers)
            wanted = others_compute(before, now, spare=self._spare, asleep=asleep)
            if wanted and not asleep:
                self._sleep()
            elif asleep and not wanted:
                self._wake()
            before, pause = now, _LOOK_ASLEEP if wanted else _LOOK_EVERY

    def _sleep(self) -> None:
        self._sleepers = [_Sleeper() for _ in range(self._teams)]

    def _wake(self) -> None:
        for sleeper in self._sleepers:
            sleeper.end()
        self._sleepers = []


class _Sleeper:
    """Holds a team of OpenMP threads, which does nothing, until it is ended."""

    def __init__(self) -> None:
        self._has_team, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, name="holds a team", daemon=True)
        self._thread.start()
        self._has_team.wait()

    def end(self) -> None:
        """Let go of the team."""
        self._ended.set()
        self._thread.join()

    def _hold(self) -> None:
        import torch

        try:
            torch.empty(_PARALLEL).fill_(0.0)
        finally:
            self._has_team.set()
        self._ended.wait()
