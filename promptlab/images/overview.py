"""Draws a sweep: every run's images on the crossing of its values.

One dimension is a strip, broken into lines, or, of a few runs of several images, has a row for each value; two have
rows and columns; of more, the first ones make pages and the last two remain. Like a grid it is made from the records
alone, and says in words what is missing. Pages are split once more rather than let cells become too small to be
recognised.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from promptlab.images.canvas import Canvas, save_drawing
from promptlab.images.captions import seconds_text, setting_captions, setting_label
from promptlab.images.grid_metadata import describe_sweep
from promptlab.images.label_text import Label
from promptlab.images.layout import Box, Layout, lay_out
from promptlab.images.run_block import RunBlock
from promptlab.records import ImageRecord, RunRecord, SweepRecord
from promptlab.workspace import Workspace

__all__ = ["overview_pages", "save_overview"]

_RECOGNISABLE: Final = 160
"""Pixels of an image's shorter side down to which a page is drawn smaller; below, it becomes two pages."""

_ROWS: Final = 16
"""Values up to which one dimension has a row each."""

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """Names what one cell shows: a run's block of images, or one of them (its place in the block)."""

    run: RunRecord | None
    only: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Describes one image of the overview, ready to be drawn: ``cells`` by row, then column."""

    layout: Layout
    block: RunBlock
    cells: tuple[tuple[_Cell, ...], ...]


def save_overview(sweep: SweepRecord, runs: Sequence[RunRecord], workspace: Workspace) -> tuple[Path, ...]:
    """Draw the overview and put its pages in their places, each in one step; pages of an earlier one go.

    Args:
        sweep: with the places and values of its runs.
        runs: their records, as far as they are there; a run of the sweep that is not among them is shown as not made.

    Returns:
        ``workspace.sweep_grid(sweep.id, 1)`` and so on; the ``promptlab`` chunk of each tells it.

    Raises:
        StoreError: when a page cannot be written.
    """
    paths, uids = [], {run.id: run.uid for run in runs}
    with suppress(OSError):  # writing says what is wrong
        workspace.sweep_folder(sweep.id).mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(overview_pages(sweep, runs), 1):
        path = workspace.sweep_grid(sweep.id, number)
        save_drawing(path, page.layout, _images_of(page, workspace), describe_sweep(sweep, uids, page=number))
        paths.append(path)
    with suppress(OSError):
        for old in workspace.sweep_folder(sweep.id).glob("grid-*.png"):
            if old not in paths and re.fullmatch(r"grid-\d+\.png", old.name):
                old.unlink()
    return tuple(paths)


def _images_of(page: Page, workspace: Workspace) -> Callable[[Canvas], None]:
    """Return what draws the images of a page, averaged down by a whole factor where the head says so."""

    def draw(canvas: Canvas) -> None:
        for band in page.layout.bands:
            for row in band.rows:
                for place, box in row.cells:
                    _draw_cell(canvas, box, page.cells[row.variant][place], page.block, workspace)

    return draw


def overview_pages(sweep: SweepRecord, runs: Sequence[RunRecord]) -> Iterator[Page]:
    """Yield the pages, the first dimensions' values changing slowest; at least one, without runs too."""
    records = {run.id: run for run in runs}
    at = {each.place: records.get(each.run_id) for each in sweep.runs}
    names = [_names(sweep, dimension) for dimension in range(len(sweep.dimensions))]
    block = RunBlock.of([record for record in at.values() if record is not None])
    outer = len(sweep.dimensions) - 2
    stacks = {place[:outer] for place in at} if outer > 0 and at else {()}
    tables: list[tuple[str, list[str], list[str], list[list[_Cell]]]] = []
    for stack in sorted(stacks):
        heading = "  ·  ".join(names[dimension][value].replace("\n", ", ") for dimension, value in enumerate(stack))
        rows, columns, cells = _table(at, stack, names[max(outer, 0) :], block)
        tables.append((heading, rows, columns, cells))
    facts = list(_facts(sweep, runs, block))
    parts = [
        (heading, rows[some], columns, cells[some])
        for heading, rows, columns, cells in tables
        for some in _readable(rows, columns, cells, block)
    ]
    for number, (heading, rows, columns, cells) in enumerate(parts, 1):
        title = " · ".join(part for part in (f"Sweep {sweep.id}", sweep.name, sweep.experiment) if part)
        shown = [heading] if heading else []
        shown += [f"page {number} of {len(parts)}"] if len(parts) > 1 else []
        yield Page(
            layout=_laid_out("  ·  ".join((title, *shown)), facts, rows, columns, cells, block),
            block=block,
            cells=tuple(map(tuple, cells)),
        )


def _names(sweep: SweepRecord, dimension: int) -> Mapping[int, str]:
    """Map each place on a dimension that some run has to its values in full, one line a field."""
    fields = sweep.dimensions[dimension]
    found: dict[int, str] = {}
    for run in sorted(sweep.runs, key=lambda run: run.place[dimension]):
        values = dict(run.values)
        found.setdefault(
            run.place[dimension], "\n".join(setting_label(field, values[field]) for field in fields if field in values)
        )
    return found


def _table(
    at: Mapping[Place, RunRecord | None], stack: Place, names: Sequence[Mapping[int, str]], block: RunBlock
) -> tuple[list[str], list[str], list[list[_Cell]]]:
    """Names of the rows and of the columns, and the cells, of one value on each of the first dimensions."""
    if not at:
        return [""], [""], [[_Cell(run=None)]]
    if len(names) > 1:
        down = [value for value in names[0] if any(place[:-1] == (*stack, value) for place in at)]
        cells = [[_Cell(run=at.get((*stack, row, column))) for column in names[1]] for row in down]
        return [names[0][row] for row in down], list(names[1].values()), cells
    places = list(names[0])
    if block.count > 1 and len(places) <= _ROWS:
        cells = [[_Cell(run=at.get((place,)), only=at_image) for at_image in range(block.count)] for place in places]
        return list(names[0].values()), block.headers(), cells
    return (
        [""],
        [names[0][place] for place in places],
        [[_Cell(run=at.get((place,))) for place in places]],
    )


def _readable(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[_Cell]], block: RunBlock
) -> Iterable[slice]:
    """Split the rows in as few parts as keep the images recognisable, all as even as can be."""
    least = min(block.side, _RECOGNISABLE)
    for parts in range(1, len(rows) + 1):
        count = math.ceil(len(rows) / parts)
        slices = [slice(first, first + count) for first in range(0, len(rows), count)]
        first = slices[0]
        if block.side / _laid_out("", [], rows[first], columns, cells[first], block).shrink >= least:
            return slices
    return [slice(at, at + 1) for at in range(len(rows))]


def _laid_out(
    title: str,
    facts: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[_Cell]],
    block: RunBlock,
) -> Layout:
    single = all(cell.only is not None for row in cells for cell in row)
    return lay_out(
        title=title,
        facts=facts,
        labels=[Label(title=name) for name in rows],
        headers=columns,
        cell=(block.cell if single else block.size),
        marked=frozenset(range(len(rows))),
        notes=[_note(cell, block)[0] for row in cells for cell in row],
    )


def _facts(sweep: SweepRecord, runs: Sequence[RunRecord], block: RunBlock) -> Iterator[str]:
    """Yield what all runs share, what the cells show, and how far the sweep has come."""
    settings = [list(setting_captions(run)) for run in runs]
    yield from (fact for fact in (settings[0] if settings else []) if all(fact in others for others in settings))
    yield f"{len(sweep.runs)} runs"
    made, asked = sum(len(run.made) for run in runs), sum(len(run.images) for run in runs)
    yield f"{asked} pictures" if made == asked else f"{made} of {asked} pictures made"
    yield from block.facts(in_cells=len(sweep.dimensions) > 1)
    if any(run.seconds_per_image is not None for run in runs):
        yield "below each: seconds an image"


def _draw_cell(canvas: Canvas, box: Box, cell: _Cell, block: RunBlock, workspace: Workspace) -> None:
    if cell.run is None:
        canvas.leave_empty(box, "no run")
        return
    if cell.only is not None:
        canvas.put(box, block.images(cell.run)[cell.only], workspace)
    else:
        images = block.images(cell.run)
        for place, part in enumerate(block.boxes(box, canvas.layout.shrink)):
            if images[place] is not None:
                canvas.put(part, images[place], workspace)
    note, warning = _note(cell, block)
    canvas.write_note(box, note, warning=warning)


def _note(cell: _Cell, block: RunBlock) -> tuple[str, bool]:
    """Return what stands under a cell, and whether it is a warning."""
    if cell.run is None:
        return "", False
    shown = block.images(cell.run) if cell.only is None else [block.images(cell.run)[cell.only]]
    there = [image for image in shown if image is not None]
    flags = [image.flag for image in there if image.flag]
    parts = [", ".join(dict.fromkeys(flags))] if flags else []
    parts += _pace(cell.run if cell.only is None else None, there)
    if cell.only is None and cell.run.owed and len(cell.run.images) > 1:
        parts.append(f"{len(cell.run.made)} of {len(cell.run.images)} made")
    return " · ".join(parts), bool(flags)


def _pace(run: RunRecord | None, images: Sequence[ImageRecord]) -> Iterator[str]:
    made = [image for image in images if image.path is not None]
    taken = run.seconds_per_image if run else next((image.seconds for image in made if image.linked is None), None)
    if taken is not None:
        yield seconds_text(taken)
    elif made and all(image.linked for image in made):
        yield f"linked from {made[0].linked[0] if made[0].linked else ''}"
