"""What a stream of images is a part of: how it is numbered, whom it tells, and who may end it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from promptlab.engine import Watch

__all__ = ["SamplingProgress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingProgress:
    """What a stream is a part of.

    Args:
        first: the number of the first batch of pictures that comes out of it.
        batches: how many there are in all.
        watch: told of every forward.
        going: asked before an image is begun; see :meth:`promptlab.engine.Engine.generate`.
        most_rows: see :func:`promptlab.engine.machine.memory.check_rows`.
    """

    first: int
    batches: int
    watch: Watch
    going: Callable[[], bool]
    most_rows: int | None = None
