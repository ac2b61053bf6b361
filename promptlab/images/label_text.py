"""Wraps the words of a grid: head, headers of columns, labels of rows.

Invariant: letters grow with the cells and with the sheet, and a label has the room that it needs up to ``LINES`` lines;
a longer one ends in ``…`` (the report has all of it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from promptlab.images.text import Style, TextBlock, wrapped

__all__ = ["INK", "LINES", "MUTED", "Label", "font_size", "small_style", "wrap_head", "wrap_headers", "wrap_labels"]

INK: Final = "#1f2328"
MUTED: Final = "#6a737d"

LINES: Final = 14
"""Lines of a prompt beside a row whose pictures are no higher than that."""

_HEADER_LINES: Final = 4
_SHEET_EMS: Final = 110
"""Ems across a sheet that fills a screen: letters of 13 pixels on one of 1,440."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Holds the words of one row: a short name where it says more than the prompt, and the prompts.

    What is empty takes no room.
    """

    title: str
    prompt: str = ""
    negative: str = ""


def font_size(cell_width: int, columns: int = 1) -> int:
    """Return pixels to the em: 13 beside 128-pixel images, 20 beside 512, more on a wide sheet.

    A sheet of many large images is looked at as a whole: its words are read at the size that a screen leaves them.
    """
    beside = max(13, min(30, round(10 + cell_width / 51)))
    return max(beside, min(96, round(cell_width * columns / _SHEET_EMS)))


def small_style(size: int) -> Style:
    """Return the style of all beside prompts, where these have ``size`` pixels to the em."""
    return Style(size=max(12, round(size * 0.85)), colour=MUTED)


def wrap_headers(
    headers: Sequence[str], cell_width: int, size: int, *, prominent: bool = False
) -> tuple[TextBlock, ...]:
    """Wrap the headers about as wide as a cell, or as a short line of text above a narrow one.

    Args:
        size: pixels to the em of the sheet's prompts.
        prominent: whether they are words of prompts, which are read first, rather than seeds or values.
    """
    style = Style(size=size, colour=INK, bold=True) if prominent else small_style(size)
    width = max(cell_width, 14 * style.size)
    return tuple(wrapped(header, style, width, lines=_HEADER_LINES) for header in headers)


def wrap_labels(
    labels: Sequence[Label], text: Style, small: Style, cell_height: int
) -> tuple[list[tuple[TextBlock, ...]], int]:
    """Wrap the labels in the narrowest column in which none is taller than a cell; return its width too.

    Where even the widest column makes a label taller than its cell, the row grows.
    """
    blocks: list[tuple[TextBlock, ...]] = []
    limit = 0
    for ems in (20, 24, 28, 32):
        limit = ems * text.size
        lines = max(LINES, cell_height // text.line_height)
        blocks = [_label(label, text, small, limit, lines) for label in labels]
        if all(sum(block.height for block in label) <= cell_height for label in blocks):
            break
    widest = max((block.width for label in blocks for block in label), default=0)
    return blocks, min(limit, max(10 * text.size, math.ceil(widest))) if widest else 0


def _label(label: Label, text: Style, small: Style, width: int, lines: int) -> tuple[TextBlock, ...]:
    blocks = []
    if label.title:
        blocks.append(wrapped(label.title, Style(size=text.size, colour=INK, bold=True), width, lines=lines))
    if label.prompt:
        blocks.append(wrapped(label.prompt, text, width, lines=lines))
    if label.negative:
        blocks.append(wrapped(f"negative: {label.negative}", small, width, lines=lines))
    return tuple(blocks)


def wrap_head(
    title: str, facts: Sequence[str], prompt: str, text: Style, small: Style, width: int
) -> tuple[TextBlock, ...]:
    """Wrap the title, the facts in few lines, broken between two of them, and the common prompt."""
    lines: list[str] = []
    for fact in facts:
        joined = f"{lines[-1]}  ·  {fact}" if lines else fact
        if lines and small.width(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(fact)
    heading = wrapped(title, Style(size=round(text.size * 1.25), colour=INK, bold=True), width, lines=LINES)
    common = (wrapped(prompt, text, width, lines=LINES),) if prompt else ()
    return (heading, *(wrapped(line, small, width, lines=LINES) for line in lines), *common)
