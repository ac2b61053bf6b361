"""Reads what an image file says of itself where its run is not in the workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from promptlab.images.foreign import ForeignMetadata, read_foreign
from promptlab.images.grid_metadata import read_grid_metadata
from promptlab.images.metadata import self_description
from promptlab.lab.context import LabContext
from promptlab.lab.history.rerun import RunOrImage
from promptlab.lab.maintenance.rebuild import rebuild_run
from promptlab.records import ImageStatus, SweepRecord

__all__ = ["read_file"]


def read_file(path: Path, context: LabContext) -> RunOrImage | SweepRecord | ForeignMetadata | None:
    """Read the file at ``path``; return None where its run or sweep is here, or where it says nothing.

    Raises:
        InputError: when it is no image, or a damaged one.
    """
    described = self_description(path)
    if described is not None:
        if _is_here(described.run_uid, context):
            return None
        run, _ = rebuild_run([described])
        place = next((image.position for image in run.images if image.recipe_key == described.recipe_key), 0)
        images = [replace(image, status=ImageStatus.MADE) if image.position == place else image for image in run.images]
        return RunOrImage(run=replace(run, images=tuple(images)), position=place)
    grid = read_grid_metadata(path)
    if grid is not None:
        record = grid.record
        if isinstance(record, SweepRecord):
            here = context.database.is_begun and context.notebook.sweep_by_uid(record.uid) is not None
            return None if here else record
        return None if _is_here(record.uid, context) else RunOrImage(run=record)
    return read_foreign(path)


def _is_here(uid: str, context: LabContext) -> bool:
    return context.database.is_begun and context.notebook.run_by_uid(uid) is not None
