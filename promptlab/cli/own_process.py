"""Begins and ends the process of a command, whose objects are left to the system.

A command imports 770,000 objects and ends. Collected in the usual way they cost a second of processor time while they
are imported, and two more after the last line.

Invariant: a process is ours where it was started for one command; a program that calls :func:`promptlab.cli.main` with
arguments keeps its collector, its threads and its files as they are.
"""

from __future__ import annotations

import gc

from promptlab._gc import collect_rarely

__all__ = ["begin", "end", "is_ours", "stay"]

_begun: list[bool] = []


def begin() -> None:
    """Take this process for a command's own."""
    _begun.append(True)
    collect_rarely()


def is_ours() -> bool:
    """Tell whether this process ends with its command."""
    return bool(_begun)


def stay() -> None:
    """Take note that this process stays, as a server does: all is looked through at its end."""
    _begun.clear()


def end() -> None:
    """Leave what is in memory to the system.

    Threads are joined, buffers flushed, handlers of ``atexit`` called and modules taken down as ever, and by them
    temporary files are removed; only rings of objects are not looked for. What must be closed was closed by name: see
    :meth:`promptlab.lab.Lab.close`.
    """
    if _begun:
        gc.disable()
        gc.freeze()
