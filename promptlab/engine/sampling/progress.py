"""Counts the batches of a generation as they come out, and knows whether more may be begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from promptlab.engine.events import StepDone
from promptlab.records import Environment

__all__ = ["BatchProgress"]


@dataclass(slots=True, kw_only=True)
class BatchProgress:
    """Holds how far a generation is.

    Args:
        batches: batches of images that are expected in all; more where images are tried one by one.
        going: asked before an image is begun; see :meth:`promptlab.engine.Generation.cancel`.
        environment: what images are made in at the moment.
        most_rows: see :func:`promptlab.engine.machine.memory.check_rows`.
        batch: number of the batch that comes out next, from 0.
    """

    batches: int
    going: Callable[[], bool]
    environment: Environment
    most_rows: int | None = None
    batch: int = 0

    def step(self, step: int, steps: int) -> StepDone:
        """Return the event that says that a step of the batch is done."""
        return StepDone(batch=self.batch, batches=max(self.batches, self.batch + 1), step=step, steps=steps)
