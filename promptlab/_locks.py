"""Locks files: one process at a time creates the tables of a workspace, ours and MLflow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from promptlab.errors import PromptLabError

__all__ = ["TABLES_TIMEOUT", "file_locked"]

TABLES_TIMEOUT: Final = 120.0
"""Seconds to wait while another process creates tables: they take 3 to 5 s on a slow machine."""


@contextmanager
def file_locked(path: Path, *, timeout: float, error: type[PromptLabError]) -> Iterator[None]:
    """Hold an exclusive lock on ``path``, which the OS releases when this process ends, however it ends.

    Not to be taken twice by one thread.

    Args:
        path: the lock's file, created with its folder; it stays, empty.
        timeout: seconds to wait for another process.
        error: raised, with a sentence, when they have passed.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except Timeout as cause:
        raise error(
            f"{path} is held by another process for more than {timeout:.0f} s; end that process, then try again"
        ) from cause
    try:
        yield
    finally:
        lock.release()
