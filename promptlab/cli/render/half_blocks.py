"""Draws pictures with half blocks: two pixels in each character, the lower one as its ground.

Several stand side by side, each with a line of text below it: letters drawn into a picture are a smear at this size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import RenderableType
    from rich.segment import Segment

__all__ = ["Places", "half_blocks", "placed"]

LEAST: Final = 20
"""Characters across, in which a face is still a face."""

_GAP: Final = 2

Places = tuple[int, int, int]
"""Says how many pictures stand side by side, in how many rows, and how many characters each is wide."""


def placed(count: int, shape: tuple[int, int], screen: tuple[int, int], *, across: int = 0) -> Places:
    """Return where pictures stand: as large as they can be where all fit on one screen.

    Args:
        count: of pictures, at least 1.
        shape: width and height of each, pixels: none is enlarged.
        screen: columns and rows of the terminal that are free.
        across: how many belong side by side; taken where they fit.
    """
    columns, rows = screen
    width, height = shape

    def wide(beside: int, down: int) -> int:
        high = max(1, rows // down - 1)  # one line for the words
        return max(1, min((columns + _GAP) // beside - _GAP, 2 * high * width // height, width))

    least = min(LEAST, width)
    if across and wide(across, -(-count // across)) >= least:
        return across, -(-count // across), wide(across, -(-count // across))
    ways = [(beside, -(-count // beside)) for beside in range(1, count + 1)]
    beside, down = max(ways, key=lambda way: (wide(*way), -way[0]))
    if wide(beside, down) >= least:
        return beside, down, wide(beside, down)
    beside = max(1, min(count, (columns + _GAP) // (least + _GAP)))  # not all fit: the first of them
    high = -(-least * height // width // 2) + 1
    down = max(1, min(-(-count // beside), rows // high))
    return beside, down, wide(beside, down)


def half_blocks(pictures: Sequence[Image], titles: Sequence[str], places: Places) -> RenderableType:
    """Return the pictures at their places, those that have one; below each its title, cut to its width."""
    from rich.segment import Segment, Segments

    across, down, width = places
    shown = [*zip(pictures, titles, strict=True)][: across * down]
    segments: list[Segment] = []
    for first in range(0, len(shown), across):
        row = shown[first : first + across]
        blocks = [list(_lines(picture, width)) for picture, _ in row]
        for line in range(max(map(len, blocks))):
            for at, block in enumerate(blocks):
                gap = [Segment(" " * _GAP)] if at else []
                segments += [*gap, *(block[line] if line < len(block) else [Segment(" " * width)])]
            segments.append(Segment.line())
        if any(title for _, title in row):
            words = (" " * _GAP).join(_cut(title, width) for _, title in row)
            segments += [Segment(words.rstrip()), Segment.line()]
    return Segments(segments)


def _cut(title: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    return set_cell_size(title, width) if cell_len(title) <= width else set_cell_size(title, max(0, width - 1)) + "…"


def _lines(picture: Image, width: int) -> Iterator[list[Segment]]:
    """Yield the picture, ``width`` characters wide, a line of characters at a time."""
    from PIL import Image
    from rich.color import Color
    from rich.segment import Segment
    from rich.style import Style

    height = max(2, round(picture.height * width / picture.width))
    small = picture.resize((width, height + height % 2), Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels, colours = small.load(), {}
    assert pixels is not None  # noqa: S101 - it was resized just now
    for row in range(0, small.height, 2):
        segments = []
        for column in range(width):
            pair = (pixels[column, row], pixels[column, row + 1])
            if pair not in colours:
                upper, lower = (Color.from_rgb(*colour) for colour in pair)  # type: ignore[misc]
                colours[pair] = Style(color=upper, bgcolor=lower)
            segments.append(Segment("▀", colours[pair]))
        yield segments
