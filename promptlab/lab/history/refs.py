"""Finds runs, images and sweeps by ``last``, ``3``, ``3/12``, ``3@seed:1``, ``sweep:3`` or a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, NotFound, ref_value
from promptlab.expand.seeds import lower_bits, show_seeds
from promptlab.lab.history.rerun import RunOrImage

if TYPE_CHECKING:
    from promptlab.images.foreign import ForeignMetadata
    from promptlab.lab.context import LabContext
    from promptlab.records import RunRecord, SweepRecord
    from promptlab.store.notebook import Notebook

__all__ = ["find_run_or_image", "find_sweep", "find_sweep_runs", "read_picture"]

_NAMED: Final = re.compile(r"(?P<run>last|\d{1,9})(?:/(?P<position>\d{1,9})|@seed:(?P<seed>\d{1,20}))?")
_SHOWN: Final = 4


def find_run_or_image(ref: str, context: LabContext) -> RunOrImage:
    """Find the run or image that ``ref`` names. Opens no database where there is none.

    Args:
        ref: ``last`` or a run's number, an image of it as ``RUN/POSITION`` or, where the run has one image of that
            seed, as ``RUN@seed:SEED``; or the path of an image that was made here, which may have been copied
            elsewhere; a grid names its whole run.

    Raises:
        NotFound: naming what exists.
        InputError: when ``ref`` is none of these.
    """
    named = _NAMED.fullmatch(ref)
    picture = named is None and (ref.lower().endswith(".png") or Path(ref).is_file())
    if named is None and not picture:
        raise InputError(
            "ref", ref, problem="names no run and no image",
            allowed="a run's number, an image as RUN/POSITION or RUN@seed:SEED, last, or the path of a PNG",
            hint="promptlab list",
        )  # fmt: skip
    if picture and not Path(ref).is_file():
        raise NotFound("image", ref, hint="promptlab show last")
    if not context.database.is_begun:
        if picture:
            raise _not_from_here(ref)
        raise _no_runs(named["run"] if named else ref)
    if named is None:
        return _image_of_file(ref, context.notebook)
    run = context.notebook.run(_run_id(named["run"], context.notebook))
    if named["position"] is not None:
        return _at_position(run, int(named["position"]), ref)
    return RunOrImage(run=run) if named["seed"] is None else _at_seed(run, lower_bits(int(named["seed"])), ref)


def _run_id(name: str, notebook: Notebook) -> int:
    if name != "last":
        return int(name)
    last = notebook.last_run_id()
    if last is None:
        raise _no_runs(name)
    return last


def _at_position(run: RunRecord, position: int, ref: str) -> RunOrImage:
    if not 0 <= position < len(run.images):  # a file says of itself what it likes
        raise NotFound(
            "image", ref, allowed=f"{run.id}/0 to {run.id}/{len(run.images) - 1}", hint=f"promptlab show {run.id}"
        )
    return RunOrImage(run=run, position=position)


def _at_seed(run: RunRecord, seed: int, ref: str) -> RunOrImage:
    """Find the image of a seed, which has to be the only one of its run."""
    found = [image for image in run.images if image.seed == seed]
    if len(found) == 1:
        return RunOrImage(run=run, position=found[0].position)
    hint = f"promptlab show {run.id}"
    if not found:
        raise NotFound("image", ref, allowed=f"seed {show_seeds(run.spec.seeds)}", hint=hint)
    places = " or ".join(f"{run.id}/{image.position}" for image in found[:_SHOWN])
    raise InputError(
        "ref", ref, problem=f"names {len(found)} images, one a wording", allowed=f"one of them: {places}", hint=hint
    )


def _no_runs(name: str) -> NotFound:
    return NotFound(
        "run", int(name) if name.isdigit() else name, allowed="none yet in this workspace", hint='promptlab run "…"'
    )


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


def find_sweep_runs(sweep_id: int, context: LabContext) -> SweepRecord:
    """Return the record of a sweep that has runs, to do something with them.

    Raises:
        NotFound: naming the sweeps that are there.
        InputError: when it has none: an earlier PromptLab was stopped before it wrote the first.
    """
    sweep = context.notebook.sweep(sweep_id)
    if not sweep.runs:
        raise InputError(
            "sweep", sweep_id, problem="has no runs: it was stopped while it was begun",
            hint="the command that began it, once more",
        )  # fmt: skip
    return sweep


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
    if described is None:
        return RunOrImage(run=run)
    return _at_position(run, described.position, f"{run.id}/{described.position}")


def _not_from_here(ref: str) -> InputError:
    """Return the error for an image of another workspace."""
    return InputError(
        "image", ref, problem="was not made in this workspace", allowed="a picture made by a run here",
        hint=f"promptlab list, or {ref_value('workspace', 'FOLDER')}",
    )  # fmt: skip
