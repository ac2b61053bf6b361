"""Draws how much each wording changes the image, as bars against what another seed does.

Drawn with the fonts of grids, so that prompts in any script are read here as well. No bar is cut: the scale goes as far
as the longest interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab import __version__
from promptlab.images.label_text import INK, MUTED
from promptlab.images.png import encode_png, write_atomically
from promptlab.images.text import Style, TextBlock, wrapped

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = ["Bar", "Bars", "draw_effect", "save_effect"]

_PAPER: Final = "#fcfcfb"
_RULE: Final = "#d5d7da"
_COLOURS: Final = ("#3b6ea8", "#c2702e")
_MARGIN: Final = 32
_LABEL: Final = 340
_AREA: Final = 420
_TEXT_WIDTH: Final = 400
_BAR: Final = 14
_TEXT: Final = Style(size=15, colour=INK)
_BOLD: Final = Style(size=15, colour=INK, bold=True)
_SMALL: Final = Style(size=13, colour=MUTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Describes one effect: its length, the interval around it, and the text beside it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Holds a label with a bar for each kind of distance; one without bars is a heading."""

    label: str
    bars: tuple[Bar, ...] = ()


def draw_effect(*, title: str, facts: Sequence[str], kinds: Sequence[str], rows: Sequence[Bars]) -> Image:
    """Draw the plot, RGB.

    Args:
        title, facts: for the head.
        kinds: names of the kinds of distance, one a colour: two at most.
        rows: from the top down.
    """
    from PIL import Image, ImageDraw

    width = 3 * _MARGIN + _LABEL + _AREA + _TEXT_WIDTH
    head = [wrapped(title, Style(size=19, colour=INK, bold=True), width - 2 * _MARGIN)]
    head += [wrapped(fact, _SMALL, width - 2 * _MARGIN) for fact in facts]
    labels = [wrapped(row.label, _TEXT if row.bars else _BOLD, _LABEL if row.bars else width // 2) for row in rows]
    heights = [_height(row, label) for row, label in zip(rows, labels, strict=True)]
    top = _MARGIN + sum(block.height for block in head) + 3 * _SMALL.line_height
    image = Image.new("RGB", (width, top + sum(heights) + _MARGIN), _PAPER)
    canvas = ImageDraw.Draw(image)
    at = _MARGIN
    for block in head:
        block.draw(canvas, _MARGIN, at)
        at += block.height
    _legend(canvas, kinds, at + _SMALL.line_height // 2)
    longest = max((end or 0 for row in rows for bar in row.bars for end in (bar.value, bar.high)), default=0)
    scale = _AREA / max(1.2, longest * 1.02)
    _axis(canvas, scale, top, image.height - _MARGIN)
    for row, label, height in zip(rows, labels, heights, strict=True):
        _row(canvas, row, label, top, scale)
        top += height
    return image


def save_effect(image: Image, path: Path) -> None:
    """Put the plot in its place, in one step.

    Raises:
        StoreError: when it cannot be written.
    """
    import numpy as np

    write_atomically(path, encode_png(np.asarray(image), {"Software": f"PromptLab {__version__}"}))


def _height(row: Bars, label: TextBlock) -> int:
    said = sum(max(_BAR, wrapped(bar.text, _SMALL, _TEXT_WIDTH).height) + 4 for bar in row.bars)
    return max(label.height, said) + 12


def _legend(canvas: ImageDraw, kinds: Sequence[str], top: int) -> None:
    x: float = _MARGIN
    for kind, colour in zip(kinds, _COLOURS, strict=False):
        canvas.rectangle((x, top + 4, x + 11, top + 14), fill=colour)
        _SMALL.draw(canvas, x + 18, top, kind)
        x += 18 + _SMALL.width(kind) + 24


def _axis(canvas: ImageDraw, scale: float, top: int, bottom: int) -> None:
    left = 2 * _MARGIN + _LABEL - _MARGIN // 2
    for value, colour, said in ((0.0, _RULE, "nothing"), (1.0, INK, "another seed")):
        x = left + value * scale
        canvas.line((x, top - 4, x, bottom), fill=colour)
        _SMALL.draw(canvas, x - _SMALL.width(said) / 2, top - _SMALL.line_height - 6, said)


def _row(canvas: ImageDraw, row: Bars, label: TextBlock, top: int, scale: float) -> None:
    label.draw(canvas, _MARGIN, top + 4)
    left = 2 * _MARGIN + _LABEL - _MARGIN // 2
    at = top + 6
    for bar, colour in zip(row.bars, _COLOURS, strict=False):
        middle = at + _BAR // 2
        if bar.value is not None:
            canvas.rectangle((left, at, left + max(1, bar.value * scale), at + _BAR), fill=colour)
        if bar.low is not None and bar.high is not None:
            low, high = left + bar.low * scale, left + bar.high * scale
            canvas.line((low, middle, high, middle), fill=INK, width=2)
            for end in (low, high):
                canvas.line((end, middle - 4, end, middle + 4), fill=INK, width=2)
        said = wrapped(bar.text, _SMALL, _TEXT_WIDTH)
        said.draw(canvas, left + _AREA + _MARGIN // 2, at - 2)
        at += max(_BAR, said.height) + 4
