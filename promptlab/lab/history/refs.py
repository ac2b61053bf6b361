"""What a person means by ``last``, ``3``, ``3/12`` or the path of a picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import InputError, NotFound
from promptlab.lab.history.rerun import RunOrImage
from promptlab.specs import RunSpec
from promptlab.store.database import Database

if TYPE_CHECKING:
    from promptlab.store.notebook import Notebook

__all__ = ["find", "stranger", "told_by"]


def find(ref: str, database: Database, notebook: Callable[[], Notebook]) -> RunOrImage:
    """The run or image that ``ref`` names.

    Args:
        ref: ``last``, a run's number, an image as ``RUN/POSITION``, or the path of a picture that was made here, which
            may have been copied elsewhere; a grid names its whole run.
        notebook: opens the workspace's; not called where there is no database.

    Raises:
        NotFound: naming what is there.
        InputError: when ``ref`` is none of these.
    """
    number = re.fullmatch(r"(\d{1,9})(?:/(\d{1,9}))?", ref)
    picture = number is None and (ref.lower().endswith(".png") or Path(ref).is_file())
    if number is None and ref != "last" and not picture:
        raise InputError(
            "RUN", ref, problem="names no run and no image",
            allowed="a run's number, an image as RUN/POSITION, last, or the path of a PNG", hint="promptlab list",
        )  # fmt: skip
    if picture and not Path(ref).is_file():
        raise NotFound("image", ref, hint="promptlab show last")
    if not database.is_begun:
        if picture:
            raise stranger(ref)
        raise NotFound(
            "run", ref if number is None else int(number[1]), allowed="none yet in this workspace",
            hint='promptlab run "…"',
        )  # fmt: skip
    book = notebook()
    if picture:
        return _picture(ref, book)
    if number is None:
        last = book.last_run_id()
        if last is None:
            raise NotFound("run", ref, allowed="none yet in this workspace", hint='promptlab run "…"')
        return RunOrImage(run=book.run(last))
    run = book.run(int(number[1]))
    if number[2] is None:
        return RunOrImage(run=run)
    position = int(number[2])
    if position >= len(run.images):
        raise NotFound(
            "image", ref, allowed=f"{run.id}/0 to {run.id}/{len(run.images) - 1}", hint=f"promptlab show {run.id}"
        )
    return RunOrImage(run=run, position=position)


def told_by(picture: Path) -> RunSpec:
    """What a picture's file says it was made from: one variant, one seed. PromptLab's own word goes before others'.

    Raises:
        NotFound: when there is no such file.
        InputError: when it says nothing that is understood, or does not name its model.
    """
    from promptlab.images.foreign import read_foreign
    from promptlab.images.metadata import self_description

    own = self_description(picture)
    if own is not None:
        return own.spec
    foreign = read_foreign(picture)
    if foreign is None:
        raise InputError(
            "picture", str(picture), problem="does not say how it was made",
            allowed="a picture of PromptLab, AUTOMATIC1111, InvokeAI, ComfyUI, Fooocus or dgenerate",
        )  # fmt: skip
    return foreign.spec


def _picture(ref: str, notebook: Notebook) -> RunOrImage:
    """The image that a picture's own metadata names; the whole run, where the picture is a grid."""
    from promptlab.images.grid_metadata import named_by
    from promptlab.images.metadata import self_description

    described = self_description(Path(ref))
    what, uid = (named_by(Path(ref)) or ("", "")) if described is None else ("run", described.run_uid)
    run = notebook.run_by_uid(uid) if what == "run" else None
    if run is None:
        raise stranger(ref)
    return RunOrImage(run=run, position=None if described is None else described.position)


def stranger(ref: str) -> InputError:
    """The error for a picture of another workspace."""
    return InputError(
        "image", ref, problem="was not made in this workspace", allowed="a picture made by a run here",
        hint="promptlab list, or --workspace FOLDER",
    )  # fmt: skip
