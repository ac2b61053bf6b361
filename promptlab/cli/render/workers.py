"""Renders what several workers are at, and what became of them. Pure."""

from __future__ import annotations

from collections import Counter

from promptlab.cli.render.layout import counted
from promptlab.engine import DevicesDiffer, WorkerLost, WorkerRefused, WorkersAtWork

__all__ = ["worker_sentence", "workers_text"]

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


def worker_sentence(event: WorkerLost | WorkerRefused | DevicesDiffer) -> str:
    """Return what is said of a worker that is gone or left out, or of workers that differ."""
    match event:
        case WorkerLost(worker=worker, reason=reason, images=images):
            left = f"its {counted(images, 'picture')} are made by others" if images > 1 else "its picture is made anew"
            return f"worker {worker} was lost ({reason}): {left if images else 'it had none under way'}"
        case WorkerRefused(worker=worker, reason=reason):
            return f"worker {worker} is left out: {reason}"
    return (
        f"made on different devices: {' and '.join(event.devices)}; each picture records its own, and verify goes by it"
        if len(set(event.devices)) > 1
        else f"made in different environments, all on {event.devices[0]}; each picture records its own"
    )
