"""Starts the actors of Ray that workers run in, and reads what Ray says of them.

Invariant: no exception of Ray's leaves :func:`translated`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from promptlab.cluster.worker import Worker
from promptlab.engine import Engine
from promptlab.errors import EngineError, PromptLabError, one_line

__all__ = ["error_of", "start_actor", "translated", "why"]


def start_actor(make_engine: Callable[[], Engine], *, on_gpu: bool) -> Any:
    """Start a worker, on a GPU or a core: Ray starts it anew when it dies, and makes no call of it again."""
    import ray

    place = {"num_gpus": 1} if on_gpu else {"num_cpus": 1}
    remote: Any = ray.remote(
        **place, max_restarts=-1, max_task_retries=0, concurrency_groups={"beside": 1}, scheduling_strategy="SPREAD"
    )
    return remote(Worker).remote(make_engine)


@contextmanager
def translated(worker: str, lost: Callable[[Exception], str]) -> Iterator[None]:
    """Raise what was raised at a worker as an error of ours.

    Args:
        lost: is told where the worker itself is gone; returns why, in words.

    Raises:
        PromptLabError: what was raised there.
        EngineError: when the worker is lost.
    """
    from ray.exceptions import RayError, RayTaskError

    try:
        yield
    except RayTaskError as error:
        raise error_of(error) from error
    except RayError as error:
        raise EngineError(f"worker {worker} was lost: {lost(error)}") from error


def error_of(error: Any) -> PromptLabError:
    """Return what a worker's engine raised."""
    cause = error.cause
    if isinstance(cause, PromptLabError):
        return cause
    return EngineError(f"a worker failed: {type(cause).__name__}: {one_line(cause)}")


def why(error: object) -> str:
    """Return the sentence of Ray's error that tells what happened; it explains what might have for a page."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):  # what was raised there; Ray's own text is its traceback
        return one_line(cause, limit=160) or type(cause).__name__
    text = str(error)
    for line in text.splitlines():
        if "cause" in line.lower() or "exit" in line.lower():
            return one_line(line, limit=160)
    return one_line(text or type(error).__name__, limit=160)
