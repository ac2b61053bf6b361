"""Computes where everything of a grid goes, before a pixel is drawn.

Rows are variants and columns seeds, or the other way round, or both are values of a sweep's axes. Cells are as large as
the images, so that a grid shows the same pixels as its PNGs; labels take the room they need beside them. Many columns
are broken into bands, one under the other, and only what would not fit into one file at all is drawn smaller, by a
whole factor and saying so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from promptlab.images.label_text import INK, Label, font_size, small_style, wrap_head, wrap_headers, wrap_labels
from promptlab.images.text import Style, TextBlock, wrapped

__all__ = ["Box", "Layout", "Row", "lay_out"]

_SIDE_BY_SIDE: Final = 16
"""Seeds in a row that an eye still compares; more are broken into bands while there is height for it."""

_COMFORTABLE: Final = 8_192
"""Pixels of width that are gladly used before seeds are broken into bands."""

_LONGEST: Final = 16_000
"""Pixels of a side: browsers and viewers give up at 16,384."""

_LARGEST: Final = 80_000_000
"""Pixels in all: Pillow warns of a decompression bomb at 89 million, and our grids are opened with Pillow."""


_SMALLEST: Final = 48
"""Pixels of a cell's side below which nothing is made smaller: no one would recognise an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Describes a rectangle: pixels from the left and the top, width and height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Places one variant in one band: its label, and a cell a seed as ``(seed's place, box)``.

    In a layout that runs across, ``variant`` is a seed's place, and cells name variants.
    """

    variant: int
    top: int
    label: tuple[TextBlock, ...]
    cells: tuple[tuple[int, Box], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Places a stretch of seeds: where their headers end, or begin below their cells, and the rows."""

    header_top: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Describes a whole grid, ready to be drawn.

    Args:
        width, height: of the image, pixels.
        margin: pixels around everything.
        gap: pixels between cells.
        shrink: 1, or how many times smaller than the images the cells are.
        text, small: the styles of prompts and of everything beside them.
        head: lines above the grid, from ``margin`` down.
        rule_top: where the line under the head is drawn.
        headers: of the columns, one a seed, each ending just above its cells.
        foot, foot_top: a remark under the grid.
        bands: the seeds, in one stretch or several.
        across: whether rows are seeds and columns variants.
        captioned: whether headers stand below their cells: a single row of pictures, each with its words.
    """

    width: int
    height: int
    margin: int
    gap: int
    shrink: int
    text: Style
    small: Style
    head: tuple[TextBlock, ...]
    rule_top: int
    headers: tuple[TextBlock, ...]
    foot: TextBlock | None
    foot_top: int
    bands: tuple[Band, ...]
    across: bool = False
    captioned: bool = False

    def cell(self, variant: int, seed_place: int) -> Box:
        """Return where the image of a variant at a seed goes."""
        return next(box for at, box in self.cells() if at == (variant, seed_place))

    def cells(self) -> Iterator[tuple[tuple[int, int], Box]]:
        """Yield every cell, as ``((variant, seed's place), box)``."""
        for band in self.bands:
            for row in band.rows:
                for place, box in row.cells:
                    yield ((place, row.variant) if self.across else (row.variant, place)), box


def lay_out(
    *,
    title: str,
    facts: Sequence[str],
    labels: Sequence[Label],
    headers: Sequence[str],
    cell: tuple[int, int],
    marked: frozenset[int] = frozenset(),
    notes: Sequence[str] = (),
    foot: str | None = None,
    prompt: str = "",
    across: bool = False,
) -> Layout:
    """Find the best arrangement: full size, and as few bands as a comfortable width allows.

    Args:
        title: the first line, in bold.
        facts: short statements for the lines under it; a line is broken between them rather than inside one.
        labels: one a row.
        headers: of the columns, one a seed; line breaks in them stay.
        cell: width and height of the images, pixels.
        marked: rows with a mark under one of their cells.
        notes: the marks, where they may be wider than a cell: columns are at least as far apart as these are long.
        foot: a remark under the grid.
        prompt: words that all images share, for the head.
        across: whether rows are seeds and columns variants: headers are words of prompts then, and stand below their
            pictures where there is one row.
    """
    shrink = 1
    while True:
        small_cell = (math.ceil(cell[0] / shrink), math.ceil(cell[1] / shrink))
        narrow = font_size(small_cell[0])
        pitch = _pitch(wrap_headers(headers, small_cell[0], narrow, prominent=across), notes, small_cell[0], narrow)
        made = [
            _arranged(
                title=title,
                facts=(*facts, f"shown at 1/{shrink} of their size") if shrink > 1 else facts,
                labels=labels,
                columns=columns,
                headers=headers,
                notes=notes,
                cell=small_cell,
                shrink=shrink,
                marked=marked,
                foot=foot,
                prompt=prompt,
                across=across,
            )
            for columns in _column_counts(len(headers), pitch, small_cell[0])
        ]
        fitting = [one for one in made if max(one.width, one.height) <= _LONGEST]
        fitting = [one for one in fitting if one.width * one.height <= _LARGEST]
        if fitting:
            return fitting[0]
        if min(small_cell) <= _SMALLEST:  # thousands of rows: losing none matters more than a viewer's limits
            return made[0]
        shrink += 1


def _column_counts(seeds: int, pitch: int, cell_width: int) -> list[int]:
    """Return how many seeds may stand side by side, best first, all as even as can be.

    A comfortable number, then wider bands.
    """
    beside = 40 * font_size(cell_width)  # the widest that label column and margins get
    comfortable, most = (max(1, (limit - beside) // pitch) for limit in (_COMFORTABLE, _LONGEST))
    bands = (math.ceil(seeds / count) for count in (min(comfortable, _SIDE_BY_SIDE), comfortable, most))
    return list(dict.fromkeys(math.ceil(seeds / count) for count in bands))


def _arranged(
    *,
    title: str,
    facts: Sequence[str],
    labels: Sequence[Label],
    columns: int,
    headers: Sequence[str],
    notes: Sequence[str],
    cell: tuple[int, int],
    shrink: int,
    marked: frozenset[int],
    foot: str | None,
    prompt: str,
    across: bool,
) -> Layout:
    """Arrange ``columns`` seeds side by side."""
    size, gap = font_size(cell[0], columns), _gap(cell[0])
    text, small = Style(size=size, colour=INK), small_style(size)
    blocks = wrap_headers(headers, cell[0], size, prominent=across)
    pitch = _pitch(blocks, notes, cell[0], size)
    seeds, margin, captioned = len(headers), 2 * size, across and len(labels) == 1
    rows_of_labels, label_width = wrap_labels(labels, text, small, cell[1])
    cells_left = margin + label_width + (round(1.5 * size) if label_width else 0)
    cells_width = columns * pitch - gap
    width = cells_left + cells_width + margin
    head = wrap_head(title, facts, prompt, text, small, width - 2 * margin)
    top = margin + sum(block.height for block in head) + size // 2
    rule_top, top = top, top + size
    bands: list[Band] = []
    for first in range(0, seeds, columns):
        tallest = max(header.height for header in blocks[first : first + columns])
        over, under = (0, tallest + size) if captioned else (tallest + size // 2, 0)
        boxes = _cell_boxes(range(first, min(first + columns, seeds)), cells_left, pitch, cell)
        rows, below = _rows(rows_of_labels, boxes, top + over, marked, small.line_height, gap, size)
        bands.append(Band(header_top=below if captioned else top + tallest, rows=rows))
        top = below + under + size
    remark = wrapped(foot, small, width - 2 * margin) if foot else None
    return Layout(
        width=width,
        height=top - gap + (remark.height if remark else 0) + margin - size,
        margin=margin,
        gap=gap,
        shrink=shrink,
        text=text,
        small=small,
        head=head,
        rule_top=rule_top,
        headers=blocks,
        foot=remark,
        foot_top=top - gap,
        bands=tuple(bands),
        across=across,
        captioned=captioned,
    )


def _pitch(headers: Sequence[TextBlock], notes: Sequence[str], cell_width: int, size: int) -> int:
    """Return pixels from one column to the next: the widest of cell, header and note, and the gap."""
    style, gap = small_style(size), _gap(cell_width)
    words = max((*(block.width for block in headers), *(style.width(note) for note in set(notes))), default=0)
    return max(cell_width, math.ceil(words) + (gap if words > cell_width else 0)) + gap


def _gap(cell_width: int) -> int:
    return max(6, round(cell_width / 48))


def _rows(
    labels: Sequence[tuple[TextBlock, ...]], cells: Sequence[tuple[int, Box]], top: int, marked: frozenset[int],
    mark_height: int, gap: int, size: int,
) -> tuple[tuple[Row, ...], int]:  # fmt: skip
    """Place a row for each label, the first one's top at ``top``, and return where the next thing goes."""
    rows: list[Row] = []
    for variant, label in enumerate(labels):
        placed = tuple((place, replace(box, y=top)) for place, box in cells)
        rows.append(Row(variant=variant, top=top, label=label, cells=placed))
        under = mark_height + gap if variant in marked else gap
        top += max(cells[0][1].height + under, sum(block.height for block in label) + size)
    return tuple(rows), top


def _cell_boxes(places: range, left: int, pitch: int, cell: tuple[int, int]) -> list[tuple[int, Box]]:
    """Return the boxes of one row's cells, at the top of the grid, by the seeds' places."""
    return [(place, Box(x=left + at * pitch, y=0, width=cell[0], height=cell[1])) for at, place in enumerate(places)]
