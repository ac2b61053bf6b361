"""Batches that did not fit are made smaller: the images they were to make have another recipe then, and rows say so.

A batch of another size gives other bytes, so an image keeps two recipe keys: the one that was asked for, by which the
same run is found again, and the one that it is made by, by which it is verified, resumed and linked. Rows are written
before anything is made: whoever takes the run up goes on with the smaller batches.

Invariant: the recipe key of a row follows from its run's setting at the row's own batch size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from promptlab.errors import EngineError, OutOfMemory
from promptlab.plan import ImageRequest, ResolvedSpec, requests_of
from promptlab.records import ImageRecord

__all__ = ["smaller_keys", "smaller_size", "tasks_for"]


def tasks_for(resolved: ResolvedSpec, images: Iterable[ImageRecord]) -> list[ImageRequest]:
    """The tasks of ``images``, each at the batch size that its row tells."""
    at: dict[int | None, Sequence[ImageRequest]] = {}
    tasks = []
    for image in images:
        if image.batch_size not in at:
            at[image.batch_size] = requests_of(resolved.at(image.batch_size))
        tasks.append(at[image.batch_size][image.position])
    return tasks


def smaller_size(error: OutOfMemory, *, exact: bool) -> int:
    """The batch size to go on with: half of the rows that did not fit.

    Raises:
        EngineError: when there was one row, or nothing may differ from what was asked for.
    """
    if exact:
        half = f"--batch-size {error.rows // 2}, another recipe, or " if error.rows > 1 else ""
        raise EngineError(
            f"out of memory at {error.rows} images in one forward, and --exact makes no smaller ones; type: {half}"
            "--vae-slicing, --attention-slicing, or the command with --no-exact"
        )
    if error.rows < 2:
        raise error
    return error.rows // 2


def smaller_keys(resolved: ResolvedSpec, tasks: Iterable[ImageRequest], batch_size: int) -> Mapping[int, str]:
    """The recipe keys, by place, of those of ``tasks`` that are of larger batches, at the smaller size."""
    smaller = requests_of(resolved.at(batch_size))
    return {task.position: smaller[task.position].recipe_key for task in tasks if task.batch_size > batch_size}
