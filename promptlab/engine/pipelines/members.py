"""Pipelines inside pipelines: a prior and a decoder under one name hold the same parts, each in a place of its own.

Kandinsky's, Wuerstchen's and Stable Cascade's combined pipelines are made of two others, and it is those that are
called. So whatever is changed in a pipeline for the time of a call is changed in all of its members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["members", "with_schedulers"]


def members(pipeline: Any) -> tuple[Any, ...]:
    """``pipeline`` itself, and the pipelines that it is made of."""
    from diffusers import DiffusionPipeline

    return (pipeline, *(each for each in vars(pipeline).values() if isinstance(each, DiffusionPipeline)))


@contextmanager
def with_schedulers(pipeline: Any, fresh: Callable[[str, Any], Any]) -> Iterator[None]:
    """Run the block with other schedulers, and put those that are there back afterwards.

    Args:
        fresh: gives the scheduler to use, by the part's name (``scheduler``, ``prior_scheduler``) and what is there.
            One that several members share is asked for once, by its name in ``pipeline`` itself, and stays shared.
    """
    from diffusers import SchedulerMixin

    places = [
        (member, name, part)
        for member in members(pipeline)
        for name, part in vars(member).items()
        if isinstance(part, SchedulerMixin)
    ]
    made: dict[int, Any] = {}
    try:
        for member, name, part in places:
            if id(part) not in made:
                made[id(part)] = fresh(name, part)
            setattr(member, name, made[id(part)])
        yield
    finally:
        for member, name, part in places:
            setattr(member, name, part)
