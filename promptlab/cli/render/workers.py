"""Renders what several workers are at. Pure."""

from __future__ import annotations

from collections import Counter

from promptlab.cli.render.layout import counted
from promptlab.engine import WorkersAtWork

__all__ = ["workers_text"]

_MOST_NAMED = 4
"""Workers of which each is named; of more, it is counted what they do."""


def workers_text(event: WorkersAtWork) -> str:
    """Return how many there are, how quick they are together, and what each is doing."""
    pace = f", {event.images_per_second:.2f} pictures/s" if event.images_per_second else ""
    if len(event.workers) <= _MOST_NAMED:
        each = " · ".join(f"{one.worker}: {one.doing}" for one in event.workers)
    else:
        kinds = Counter(one.doing.split()[0] for one in event.workers)
        each = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"{counted(len(event.workers), 'worker')}{pace}: {each}"
