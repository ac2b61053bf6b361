"""Renders which image files were imported as runs, and what was lost on the way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from promptlab.cli.paths import elsewhere
from promptlab.cli.render.layout import counted
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.lab.maintenance.scan import ImportResult
    from promptlab.records import ImportGap

__all__ = ["import_lines", "origin_lines"]


def origin_lines(what: str, program: str, lost: Iterable[ImportGap]) -> Iterator[str]:
    """Yield who made a picture, and a line for each thing that could not be carried over."""
    yield f"{what}, made by {program}"
    yield from (f"  not carried over: {loss}" for loss in lost)


def import_lines(taken: Sequence[ImportResult], workspace: Workspace) -> Iterator[str]:
    """Yield a line or more for each run or file, then what to type with images of another program."""
    for one in taken:
        run = one.run
        if run is None:
            yield f"{one.file}: {one.problem}"
        elif not one.files and not one.new:
            yield f"run {run.id}: " + ("is here already" if not run.owed else "its pictures can be made again")
        elif run.origin is None or run.origin.program == "PromptLab":
            yield f"run {run.id}: {counted(one.files, 'picture')} taken in ({run.experiment})"
        else:
            yield from origin_lines(f"run {run.id}: {run.origin.file}", run.origin.program, run.origin.lost)
        if run is not None and run.owed:
            yield f"  {counted(len(run.owed), 'picture')} owed; type: promptlab resume {run.id}{elsewhere(workspace)}"
    foreign = [one.run for one in taken if one.run and one.run.origin and one.run.origin.program != "PromptLab"]
    if foreign:
        yield f"next: promptlab rerun {foreign[-1].id} --model MODEL{elsewhere(workspace)}"
