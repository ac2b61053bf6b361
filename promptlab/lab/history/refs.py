"""Finds runs, images and sweeps by ``last``, ``3``, ``3/12``, ``sweep:3`` or the path of an image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import InputError, NotFound, ref_value
from promptlab.lab.history.rerun import RunOrImage

if TYPE_CHECKING:
    from promptlab.images.foreign import ForeignMetadata
    from promptlab.lab.context import LabContext
    from promptlab.store.notebook import Notebook

__all__ = ["find_run_or_image", "find_sweep", "read_picture"]


def find_run_or_image(ref: str, context: LabContext) -> RunOrImage:
    """Find the run or image that ``ref`` names. Opens no database where there is none.

    Args:
        ref: ``last``, a run's number, an image as ``RUN/POSITION``, or the path of an image that was made here, which
            may have been copied elsewhere; a grid names its whole run.

    Raises:
        NotFound: naming what exists.
        InputError: when ``ref`` is none of these.
    """
    number = re.fullmatch(r"(\d{1,9})(?:/(\d{1,9}))?", ref)
    picture = number is None and (ref.lower().endswith(".png") or Path(ref).is_file())
    if number is None and ref != "last" and not picture:
        raise InputError(
            "ref", ref, problem="names no run and no image",
            allowed="a run's number, an image as RUN/POSITION, last, or the path of a PNG", hint="promptlab list",
        )  # fmt: skip
    if picture and not Path(ref).is_file():
        raise NotFound("image", ref, hint="promptlab show last")
    if not context.database.is_begun:
        if picture:
            raise _not_from_here(ref)
        raise NotFound(
            "run", ref if number is None else int(number[1]), allowed="none yet in this workspace",
            hint='promptlab run "…"',
        )  # fmt: skip
    notebook = context.notebook
    if picture:
        return _image_of_file(ref, notebook)
    if number is None:
        last = notebook.last_run_id()
        if last is None:
            raise NotFound("run", ref, allowed="none yet in this workspace", hint='promptlab run "…"')
        return RunOrImage(run=notebook.run(last))
    run = notebook.run(int(number[1]))
    if number[2] is None:
        return RunOrImage(run=run)
    position = int(number[2])
    if position >= len(run.images):
        raise NotFound(
            "image", ref, allowed=f"{run.id}/0 to {run.id}/{len(run.images) - 1}", hint=f"promptlab show {run.id}"
        )
    return RunOrImage(run=run, position=position)


def find_sweep(ref: str, context: LabContext) -> int | None:
    """Return the number of the sweep that ``ref`` names, or ``None`` if it names none.

    Args:
        ref: ``sweep:3``, or the path of a page of its overview.

    Raises:
        InputError: when it is the overview of another workspace's sweep.
    """
    if found := re.fullmatch(r"sweep:(\d{1,9})", ref):
        return int(found[1])
    if not (ref.lower().endswith(".png") and Path(ref).is_file()):
        return None
    from promptlab.images.grid_metadata import read_grid_owner

    kind, uid = read_grid_owner(Path(ref)) or ("", "")
    if kind != "sweep":
        return None
    sweep_id = context.notebook.sweep_by_uid(uid) if context.database.is_begun else None
    if sweep_id is None:
        raise _not_from_here(ref)
    return sweep_id


def read_picture(picture: Path) -> ForeignMetadata:
    """Read what one image says of itself: a spec of one image, and what the spec cannot say.

    PromptLab's own metadata goes before that of other programs.

    Raises:
        NotFound: when there is no such file.
        InputError: when its metadata is missing or not understood, or does not name its model.
    """
    from promptlab.images.foreign import PROGRAMS, ForeignMetadata, read_foreign, why_unread
    from promptlab.images.metadata import self_description

    own = self_description(picture)
    if own is not None:
        return ForeignMetadata(program="PromptLab", spec=own.spec)
    foreign = read_foreign(picture)
    if foreign is None:
        raise InputError(
            "picture", str(picture), problem=why_unread(picture),
            allowed=f"a picture of PromptLab, {', '.join(PROGRAMS[:-1])} or {PROGRAMS[-1]}",
        )  # fmt: skip
    return foreign


def _image_of_file(ref: str, notebook: Notebook) -> RunOrImage:
    """Find the image that a file's own metadata names; the whole run, where the file is a grid."""
    from promptlab.images.grid_metadata import read_grid_owner
    from promptlab.images.metadata import self_description

    described = self_description(Path(ref))
    what, uid = (read_grid_owner(Path(ref)) or ("", "")) if described is None else ("run", described.run_uid)
    run = notebook.run_by_uid(uid) if what == "run" else None
    if run is None:
        raise _not_from_here(ref)
    return RunOrImage(run=run, position=None if described is None else described.position)


def _not_from_here(ref: str) -> InputError:
    """Return the error for an image of another workspace."""
    return InputError(
        "image", ref, problem="was not made in this workspace", allowed="a picture made by a run here",
        hint=f"promptlab list, or {ref_value('workspace', 'FOLDER')}",
    )  # fmt: skip
