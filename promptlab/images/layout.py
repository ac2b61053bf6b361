"""Computes where everything of a grid goes, before a pixel is drawn.

Rows are variants and columns seeds, or both are values of a sweep's axes. Cells are as large as the pictures, so that a
grid shows the same pixels as its PNGs; labels take the room they need beside them, in full. Many columns are broken
into bands, one under the other, and only what would not fit into one file at all is drawn smaller, by a whole factor
and saying so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from promptlab.images.text import Style, TextBlock, wrapped

__all__ = ["Box", "Label", "Layout", "Row", "lay_out"]

INK: Final = "#1f2328"
MUTED: Final = "#6a737d"

_SIDE_BY_SIDE: Final = 16
"""Seeds in a row that an eye still compares; more are broken into bands while there is height for it."""

_COMFORTABLE: Final = 8_192
"""Pixels of width that are gladly used before seeds are broken into bands."""

_LONGEST: Final = 16_000
"""Pixels of a side: browsers and viewers give up at 16,384."""

_LARGEST: Final = 80_000_000
"""Pixels in all: Pillow warns of a decompression bomb at 89 million, and our grids are opened with Pillow."""


_SMALLEST: Final = 48
"""Pixels of a cell's side below which nothing is made smaller: no one would recognise a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Holds the words of one row: a short name where it says more than the prompt, and the prompts.

    What is empty takes no room.
    """

    title: str
    prompt: str = ""
    negative: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Describes a rectangle: pixels from the left and the top, width and height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Places one variant in one band: its label, and a cell a seed as ``(seed's place, box)``."""

    variant: int
    top: int
    label: tuple[TextBlock, ...]
    cells: tuple[tuple[int, Box], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Places a stretch of seeds: where the last lines of their headers stand, and the rows."""

    header_top: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Describes a whole grid, ready to be drawn.

    Args:
        width, height: of the picture, pixels.
        margin: pixels around everything.
        gap: pixels between cells.
        shrink: 1, or how many times smaller than the pictures the cells are.
        text, small: the styles of prompts and of everything beside them.
        head: lines above the grid, from ``margin`` down.
        rule_top: where the line under the head is drawn.
        headers: of the columns, one a seed, each ending just above its cells.
        foot, foot_top: a remark under the grid.
        bands: the seeds, in one stretch or several.
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

    def cell(self, variant: int, seed_place: int) -> Box:
        """Return where the image of a variant at a seed goes."""
        return next(
            box
            for band in self.bands
            for row in band.rows
            if row.variant == variant
            for place, box in row.cells
            if place == seed_place
        )


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
) -> Layout:
    """Find the best arrangement: full size, and as few bands as a comfortable width allows.

    Args:
        title: the first line, in bold.
        facts: short statements for the lines under it; a line is broken between them rather than inside one.
        labels: one a row.
        headers: of the columns, one a seed; line breaks in them stay.
        cell: width and height of the pictures, pixels.
        marked: rows with a mark under one of their cells.
        notes: the marks, where they may be wider than a cell: columns are at least as far apart as these are long.
        foot: a remark under the grid.
    """
    shrink = 1
    while True:
        small_cell = (math.ceil(cell[0] / shrink), math.ceil(cell[1] / shrink))
        blocks = _headers(headers, small_cell[0])
        pitch = _pitch(blocks, notes, small_cell[0])
        made = [
            _arranged(
                title=title,
                facts=(*facts, f"shown at 1/{shrink} of their size") if shrink > 1 else facts,
                labels=labels,
                columns=columns,
                headers=blocks,
                pitch=pitch,
                cell=small_cell,
                shrink=shrink,
                marked=marked,
                foot=foot,
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
    beside = 40 * _font_size(cell_width)  # the widest that label column and margins get
    comfortable, most = (max(1, (limit - beside) // pitch) for limit in (_COMFORTABLE, _LONGEST))
    bands = (math.ceil(seeds / count) for count in (min(comfortable, _SIDE_BY_SIDE), comfortable, most))
    return list(dict.fromkeys(math.ceil(seeds / count) for count in bands))


def _arranged(
    *,
    title: str,
    facts: Sequence[str],
    labels: Sequence[Label],
    columns: int,
    headers: Sequence[TextBlock],
    pitch: int,
    cell: tuple[int, int],
    shrink: int,
    marked: frozenset[int],
    foot: str | None,
) -> Layout:
    """Arrange ``columns`` seeds side by side."""
    size, gap = _font_size(cell[0]), _gap(cell[0])
    text, small = Style(size=size, colour=INK), _small(size)
    seeds, margin = len(headers), 2 * size
    rows_of_labels, label_width = _labels(labels, text, small, cell[1])
    cells_left = margin + label_width + (round(1.5 * size) if label_width else 0)
    cells_width = columns * pitch - gap
    width = cells_left + cells_width + margin
    head = _head(title, facts, text, small, width - 2 * margin)
    top = margin + sum(block.height for block in head) + size // 2
    rule_top, top = top, top + size
    bands: list[Band] = []
    for first in range(0, seeds, columns):
        lines = max(header.height for header in headers[first : first + columns]) - small.line_height
        header_top, top = top, top + lines + text.line_height + size // 3
        rows: list[Row] = []
        for variant, label in enumerate(rows_of_labels):
            boxes = tuple(
                (place, Box(x=cells_left + (place - first) * pitch, y=top, width=cell[0], height=cell[1]))
                for place in range(first, min(first + columns, seeds))
            )
            rows.append(Row(variant=variant, top=top, label=label, cells=boxes))
            under = small.line_height + gap if variant in marked else gap
            top += max(cell[1] + under, sum(block.height for block in label) + size)
        bands.append(Band(header_top=header_top + lines, rows=tuple(rows)))
        top += size
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
        headers=tuple(headers),
        foot=remark,
        foot_top=top - gap,
        bands=tuple(bands),
    )


def _font_size(cell_width: int) -> int:
    """Return pixels to the em: 13 beside 128-pixel images, 20 beside 512, 30 beside 1024."""
    return max(13, min(30, round(10 + cell_width / 51)))


def _small(size: int) -> Style:
    """Return the style of all beside prompts, where these have ``size`` pixels to the em."""
    return Style(size=max(12, round(size * 0.85)), colour=MUTED)


def _headers(headers: Sequence[str], cell_width: int) -> tuple[TextBlock, ...]:
    """Wrap the headers about as wide as a cell, or as a short line of text above a narrow one."""
    style = _small(_font_size(cell_width))
    return tuple(wrapped(header, style, max(cell_width, 14 * style.size)) for header in headers)


def _pitch(headers: Sequence[TextBlock], notes: Sequence[str], cell_width: int) -> int:
    """Return pixels from one column to the next: the widest of cell, header and note, and the gap."""
    style, gap = _small(_font_size(cell_width)), _gap(cell_width)
    words = max((*(block.width for block in headers), *(style.width(note) for note in set(notes))), default=0)
    return max(cell_width, math.ceil(words) + (gap if words > cell_width else 0)) + gap


def _gap(cell_width: int) -> int:
    return max(6, round(cell_width / 48))


def _labels(
    labels: Sequence[Label], text: Style, small: Style, cell_height: int
) -> tuple[list[tuple[TextBlock, ...]], int]:
    """Wrap the labels in the narrowest column in which none is taller than a cell; return its width too.

    Where even the widest column makes a label taller than its cell, the row grows.
    """
    blocks: list[tuple[TextBlock, ...]] = []
    limit = 0
    for ems in (20, 24, 28, 32):
        limit = ems * text.size
        blocks = [_label(label, text, small, limit) for label in labels]
        if all(sum(block.height for block in label) <= cell_height for label in blocks):
            break
    widest = max((block.width for label in blocks for block in label), default=0)
    return blocks, min(limit, max(10 * text.size, math.ceil(widest))) if widest else 0


def _label(label: Label, text: Style, small: Style, width: int) -> tuple[TextBlock, ...]:
    blocks = []
    if label.title:
        blocks.append(wrapped(label.title, Style(size=text.size, colour=INK, bold=True), width))
    if label.prompt:
        blocks.append(wrapped(label.prompt, text, width))
    if label.negative:
        blocks.append(wrapped(f"negative: {label.negative}", small, width))
    return tuple(blocks)


def _head(title: str, facts: Sequence[str], text: Style, small: Style, width: int) -> tuple[TextBlock, ...]:
    """Wrap the title, then the facts in as few lines as they fit in, broken between two facts."""
    lines: list[str] = []
    for fact in facts:
        joined = f"{lines[-1]}  ·  {fact}" if lines else fact
        if lines and small.width(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(fact)
    heading = wrapped(title, Style(size=round(text.size * 1.25), colour=INK, bold=True), width)
    return (heading, *(wrapped(line, small, width) for line in lines))
