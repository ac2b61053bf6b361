"""Says what locks on runs and sweeps can do, whether they are files or a server's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

__all__ = ["LockKind", "LockTable"]

LockKind = Literal["beginning", "run", "sweep"]


class LockTable(ABC):
    """Takes locks for one process and one place in it; a lock taken twice is released twice."""

    @abstractmethod
    def take(self, kind: LockKind, number: int, *, timeout: float) -> bool:
        """Take a lock, waiting for another process; say whether it was released in time.

        Raises:
            OSError: where nothing may be written.
            StoreError: when a server cannot be asked.
        """

    @abstractmethod
    def release(self, kind: LockKind, number: int) -> None:
        """Release a lock that was taken. What was made under it is made: nothing that goes wrong here is said."""

    @abstractmethod
    def is_held(self, kind: LockKind, number: int) -> bool:
        """Say whether anybody holds a lock, this process included.

        Raises:
            StoreError: when a server cannot be asked.
        """
