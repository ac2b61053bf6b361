"""Says what became of workers, for whoever shows it. Pure."""

from __future__ import annotations

from promptlab.engine import DevicesDiffer, WorkerLost, WorkerRefused

__all__ = ["worker_sentence"]


def worker_sentence(event: WorkerLost | WorkerRefused | DevicesDiffer) -> str:
    """Return what is said of a worker that is gone or left out, or of workers that differ."""
    match event:
        case WorkerLost(worker=worker, reason=reason, images=images):
            left = f"its {images:,} pictures are made by others" if images > 1 else "its picture is made anew"
            return f"worker {worker} was lost ({reason}): {left if images else 'it had none under way'}"
        case WorkerRefused(worker=worker, reason=reason):
            return f"worker {worker} is left out: {reason}"
    return (
        f"made on different devices: {' and '.join(event.devices)}; each picture records its own, and verify goes by it"
        if len(set(event.devices)) > 1
        else f"made in different environments, all on {event.devices[0]}; each picture records its own"
    )
