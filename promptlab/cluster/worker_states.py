"""Follows what each worker is at, for progress displays."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

from promptlab.cluster.worker import WorkerFacts
from promptlab.engine import EngineEvent, ImageDone, ImageStarted, ModelLoading, StepDone, WorkersAtWork, WorkerState

__all__ = ["WorkerStates"]

_EVERY: Final = 0.5
"""Seconds between two reports."""

_IDLE: Final = "idle"


class WorkerStates:
    """Keeps a line for each worker."""

    def __init__(self) -> None:
        self._doing: dict[str, str] = {}
        self._images: dict[str, int] = {}
        self._began: float | None = None
        self._told = time.monotonic()

    def idle(self, worker: str) -> None:
        """Take note that a worker has nothing to do."""
        self._doing[worker] = _IDLE

    def forget(self, worker: str) -> None:
        """Take note that a worker is gone."""
        self._doing.pop(worker, None)

    def hear(self, worker: str, event: EngineEvent) -> None:
        """Take note of what a worker's engine yielded."""
        match event:
            case ModelLoading(what=what):
                self._doing[worker] = f"loading {what}"
            case ImageStarted():
                self._began = self._began or time.monotonic()
                self._doing[worker] = "begun"
            case StepDone(step=step, steps=steps):
                self._doing[worker] = f"step {step} of {steps}"
            case ImageDone():
                self._images[worker] = self._images.get(worker, 0) + 1

    def due(self, ready: Mapping[str, WorkerFacts]) -> Iterator[WorkersAtWork]:
        """Yield what all are at, when it was not said for a while."""
        now = time.monotonic()
        if now - self._told < _EVERY:
            return
        self._told = now
        yield self.report(ready)

    def report(self, ready: Mapping[str, WorkerFacts]) -> WorkersAtWork:
        """Return what all are at."""
        now, made = time.monotonic(), sum(self._images.values())
        return WorkersAtWork(
            workers=tuple(
                WorkerState(
                    worker=name, host=facts.host, doing=self._doing.get(name, _IDLE), images=self._images.get(name, 0)
                )
                for name, facts in ready.items()
            ),
            images_per_second=made / (now - self._began) if self._began is not None and now > self._began else 0.0,
        )
