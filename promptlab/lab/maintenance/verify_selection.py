"""Selects the images to verify: each once, and files of others distinguished from ours.

A file is taken for the picture it was made as only while its pixels are that one's.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import NotFound
from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab.history.refs import find_run_or_image, find_sweep, find_sweep_runs
from promptlab.lab.history.rerun import RunOrImage
from promptlab.records import ImageRecord

if TYPE_CHECKING:
    from promptlab.lab.context import LabContext

__all__ = ["PHOTOS", "sampled", "wanted"]

PHOTOS = ("PNG", "JPEG", "WEBP")
"""The formats in which pictures say of themselves how they were made."""


def sampled(images: Sequence[ImageRecord], count: int | None) -> list[ImageRecord]:
    """Pick ``count`` of ``images`` at random, in their order; all, where it is None or there are no more."""
    if count is None or count >= len(images):
        return list(images)
    picked = sorted(random.sample(range(len(images)), count))
    return [images[place] for place in picked]


def wanted(refs: Sequence[str], context: LabContext, *, everything: bool) -> tuple[list[ImageRecord], list[Path]]:
    """Return the images of this workspace that ``refs`` name, each once, and the files of others.

    A file is taken for the picture it was made as only while its pixels are that one's.

    Args:
        everything: all pictures that were made here, too.

    Raises:
        NotFound: for what is not there, or was not made.
        InputError: for what names no picture.
    """
    ours: dict[str, ImageRecord] = {}
    files: list[Path] = []
    for ref in refs:
        path, sweep_id = Path(ref), find_sweep(ref, context)
        if sweep_id is not None:
            for run in context.notebook.runs([one.run_id for one in find_sweep_runs(sweep_id, context).runs]):
                ours |= {image.ref: image for image in run.made}
        elif path.is_file() and _is_foreign(path, context):
            files.append(path)
        else:
            ours |= {image.ref: image for image in _picked(find_run_or_image(ref, context))}
    if everything and context.database.is_begun:
        ours |= {image.ref: image for image in context.notebook.made_images()}
    return list(ours.values()), files


def _is_foreign(path: Path, context: LabContext) -> bool:
    """Say whether a file is no image of this workspace, or not any more."""
    from promptlab.images.metadata import self_description

    metadata = self_description(path)
    if metadata is None or not context.database.is_begun:
        return metadata is not None
    run = context.notebook.run_by_uid(metadata.run_uid)
    if run is None or metadata.position >= len(run.images):
        return True
    return run.images[metadata.position].pixel_sha256 != pixel_sha256(read_pixels(path, formats=PHOTOS))


def _picked(source: RunOrImage) -> tuple[ImageRecord, ...]:
    run, position = source.run, source.position
    images = run.made if position is None else tuple(image for image in run.made if image.position == position)
    if not images:
        ref = str(run.id) if position is None else f"{run.id}/{position}"
        raise NotFound("picture", ref, allowed="one that was made", hint=f"promptlab resume {run.id}")
    return images
