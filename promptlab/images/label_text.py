"""Wraps the words of a grid: head, headers of columns, labels of rows.

Invariant: letters grow with the cells, and labels take the room they need, in full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from promptlab.images.text import Style, TextBlock, wrapped

__all__ = ["INK", "MUTED", "Label", "font_size", "small_style", "wrap_head", "wrap_headers", "wrap_labels"]

INK: Final = "#1f2328"
MUTED: Final = "#6a737d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Holds the words of one row: a short name where it says more than the prompt, and the prompts.

    What is empty takes no room.
    """

    title: str
    prompt: str = ""
    negative: str = ""


def font_size(cell_width: int) -> int:
    """Return pixels to the em: 13 beside 128-pixel images, 20 beside 512, 30 beside 1024."""
    return max(13, min(30, round(10 + cell_width / 51)))


def small_style(size: int) -> Style:
    """Return the style of all beside prompts, where these have ``size`` pixels to the em."""
    return Style(size=max(12, round(size * 0.85)), colour=MUTED)


def wrap_headers(headers: Sequence[str], cell_width: int) -> tuple[TextBlock, ...]:
    """Wrap the headers about as wide as a cell, or as a short line of text above a narrow one."""
    style = small_style(font_size(cell_width))
    return tuple(wrapped(header, style, max(cell_width, 14 * style.size)) for header in headers)


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


def wrap_head(title: str, facts: Sequence[str], text: Style, small: Style, width: int) -> tuple[TextBlock, ...]:
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
