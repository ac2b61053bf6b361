"""Finds out whose fault it is that an image failed: its own, or its worker's. Pure.

A process that has lost its GPU, or lacks a library, fails whatever it is given; a request that no engine can carry out
fails everywhere. Only a second worker tells these apart: what another makes, the first should have made.

Invariant: an image is tried on two workers at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BLAMED", "Failure", "WorkerFaults"]

BLAMED: Final = 2
"""Images that another worker makes after one has failed them, having made none meanwhile, before that one is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Says on which worker an image failed, and why."""

    worker: str
    reason: str


class WorkerFaults:
    """Keeps what failed, and who is taken out for it."""

    def __init__(self) -> None:
        self._failures: dict[str, Failure] = {}
        self._blamed: dict[str, int] = {}

    def note(self, image: str, failure: Failure) -> None:
        """Take note that an image failed, for the first time."""
        self._failures[image] = failure

    def take(self, image: str) -> Failure | None:
        """Return how an image failed before, and forget it; None where it did not."""
        return self._failures.pop(image, None)

    def has_failed(self, image: str) -> bool:
        """Say whether an image has failed before."""
        return image in self._failures

    def made(self, image: str, worker: str) -> Failure | None:
        """Take note that ``worker`` made an image; return the failure of another that is broken by that."""
        self._blamed.pop(worker, None)
        failure = self.take(image)
        if failure is None:
            return None
        count = self._blamed[failure.worker] = self._blamed.get(failure.worker, 0) + 1
        return failure if count >= BLAMED else None
