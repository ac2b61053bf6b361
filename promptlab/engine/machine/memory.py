"""Measures memory: the peak of a piece of work, and what is available; translates "out of memory".

On an accelerator torch counts its own allocations. On a CPU nobody does: torch's allocator is the system's, and the
greatest resident size that the system reports never falls. So the kernel's mark is set back before the work (Linux:
``/proc/self/clear_refs``, documented in ``Documentation/filesystems/proc.rst``) and read after it; where that cannot be
done, a thread looks at the resident size every few milliseconds.

Invariant: a peak is of the block it was measured around, whatever was taken before it; on a CPU it is the whole
process, weights included.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from promptlab.engine.errors import is_out_of_memory
from promptlab.errors import OutOfMemory, PromptLabError

__all__ = ["Peak", "available_memory", "check_rows", "measure_peak_memory", "out_of_memory", "release"]

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"
_CGROUPS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_SAMPLE_EVERY: Final = 0.005  # seconds


@dataclass(slots=True)
class Peak:
    """Holds what :func:`measure_peak_memory` found, in bytes, once its block has ended; else ``None``."""

    bytes: int | None = None


@contextmanager
def measure_peak_memory(device: str) -> Iterator[Peak]:
    """Measure the peak while the block runs: torch's on an accelerator, the process's on a CPU."""
    import torch

    peak = Peak()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device)
    elif device == "mps":
        yield peak
        peak.bytes = torch.mps.driver_allocated_memory()  # it keeps what it once took: after the work is the peak
    elif _reset_peak():
        yield peak
        peak.bytes = _resident("VmHWM")
    else:
        with _sampled(peak):
            yield peak


def available_memory(device: str) -> int:
    """Return the bytes that a pipeline on ``device`` could have, those that this process has included."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device)
    if device == "mps":
        import torch

        return int(torch.mps.recommended_max_memory())
    import psutil

    mine = psutil.Process().memory_info().rss
    there = psutil.virtual_memory().available + mine
    for limit in _CGROUPS:
        with suppress(OSError, ValueError):  # "max" where a container has no limit
            there = min(there, int(limit.read_text()))
    return int(there)


def release(device: str) -> None:
    """Give back what is no longer in use: to the system on a CPU, to other programs on an accelerator."""
    import torch

    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
    elif sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc keeps nothing back
            ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def out_of_memory(rows: int, device: str) -> Iterator[None]:
    """Raise :class:`OutOfMemory` for any error of the block that says so, and free what it held.

    A traceback keeps the frames that it goes through, and these keep the tensors that filled the memory: a smaller
    batch would fail as well while it is alive.

    Args:
        rows: images of the forward.

    Raises:
        OutOfMemory: in place of whatever says so.
    """
    too_little = False
    try:
        yield
    except Exception as error:
        if isinstance(error, PromptLabError) or not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
        too_little = True
    if too_little:  # out here: an error that is being handled is still alive
        release(device)
        raise OutOfMemory(rows=rows)


def check_rows(rows: int, most: int | None) -> None:
    """Run out of memory where a forward has more than ``most`` rows, to try that out.

    Raises:
        torch.OutOfMemoryError: as a device would.
    """
    if most is not None and rows > most:
        import torch

        raise torch.OutOfMemoryError(f"out of memory: {rows} rows, where {most} fit")


def _reset_peak() -> bool:
    """Set the kernel's mark of the greatest resident size to the present; return whether it could be."""
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return _resident("VmHWM") is not None


def _resident(name: str) -> int | None:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return None if found is None else int(found[1]) * 1024


@contextmanager
def _sampled(peak: Peak) -> Iterator[None]:
    """Fill in ``peak`` by looking at the resident size again and again."""
    import psutil

    process, done = psutil.Process(), threading.Event()
    seen: list[int] = [process.memory_info().rss]

    def look() -> None:
        while not done.wait(_SAMPLE_EVERY):
            seen[0] = max(seen[0], process.memory_info().rss)

    looking = threading.Thread(target=look, name="memory", daemon=True)
    looking.start()
    try:
        yield
    finally:
        done.set()
        looking.join()
    peak.bytes = max(seen[0], process.memory_info().rss)
