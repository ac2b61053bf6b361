"""Draws a grid or an overview: words, images and empty places at the boxes of a layout.

Marks stand beside images, never on them, and nothing reaches out of its box into a neighbour's. What is written to a
file is drawn in stripes, a row of images or a few at a time: how many images there are does not change how much memory
it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, NotFound, one_line
from promptlab.images.fonts import legible
from promptlab.images.label_text import MUTED
from promptlab.images.layout import Box, Layout
from promptlab.images.png import read_pixels, write_png_rows
from promptlab.images.text import Style, TextBlock, wrapped
from promptlab.records import ImageRecord, ImageStatus
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["Canvas", "save_drawing"]

_PAPER: Final = "#fcfcfb"
_RULE: Final = "#e3e4e6"
_EMPTY: Final = "#f3f3f1"
_AMBER: Final = "#b76e00"

_STRIPE: Final = 1024
"""Pixels that a stripe is high at least; it ends above the next row of images."""

_FRAME: Final = 3
"""Pixels by which the frame of a flagged image is larger than the image."""

_ENCODED: Final = 256
"""Rows of pixels that are encoded at a time."""


class Canvas:
    """Holds an RGB image of the layout, or of a stripe of it, while it is filled.

    :attr:`image` is what is drawn so far. What lies outside the stripe is not drawn.

    Args:
        top, height: of the stripe; all of the layout without them.
    """

    def __init__(self, layout: Layout, *, top: int = 0, height: int | None = None) -> None:
        from PIL import Image, ImageDraw

        self.layout, self._top = layout, top
        self._height = layout.height - top if height is None else height
        self.image: Image.Image = Image.new("RGB", (layout.width, self._height), _PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def shows(self, top: int, height: int) -> bool:
        """Return whether anything of these rows of the layout lies in the stripe."""
        return top < self._top + self._height and top + height > self._top

    def write_words(self) -> None:
        """Draw the head, the headers of columns, the labels of rows and the remark at the foot."""
        layout = self.layout
        top = layout.margin
        for block in layout.head:
            self._write(block, layout.margin, top)
            top += block.height
        rule = layout.rule_top - self._top
        self._draw.line((layout.margin, rule, layout.width - layout.margin - 1, rule), fill=_RULE)
        for band in layout.bands:
            for place, box in band.rows[0].cells:
                header = layout.headers[place]
                self._write(header, box.x, band.header_top - (0 if layout.captioned else header.height))
            for row in band.rows:
                top = row.top
                for block in row.label:
                    self._write(block, layout.margin, top)
                    top += block.height
        if layout.foot is not None:
            self._write(layout.foot, layout.margin, layout.foot_top)

    def _write(self, block: TextBlock, x: int, top: int) -> None:
        if self.shows(top - block.style.line_height, block.height + 2 * block.style.line_height):  # letters reach out
            block.draw(self._draw, x, top - self._top)

    def put(self, box: Box, image: ImageRecord | None, workspace: Workspace) -> None:
        """Draw ``image`` at the upper left corner of ``box``, with a frame around it when it is flagged.

        An image that is owed, failed, gone or damaged leaves an empty place that says so.
        """
        if not self.shows(box.y - _FRAME, box.height + 2 * _FRAME):
            return
        if image is None or image.status is ImageStatus.OWED:
            self.leave_empty(box, "not made yet")
        elif image.status is ImageStatus.FAILED:
            self.leave_empty(box, "failed", one_line(image.error or "", limit=120))
        elif image.path is None:
            self.leave_empty(box, "no file recorded")
        else:
            self._put_file(box, image.path, workspace)
        if image is not None and image.flag:
            top, left = box.y - self._top - _FRAME, box.x - _FRAME
            frame = (left, top, left + box.width + 2 * _FRAME - 1, top + box.height + 2 * _FRAME - 1)
            self._draw.rectangle(frame, outline=_AMBER, width=2)

    def put_pixels(self, box: Box, pixels: NDArray[np.uint8]) -> None:
        """Draw pixels at the upper left corner of ``box``, averaged down where the layout is."""
        from PIL import Image

        image, shrink = Image.fromarray(pixels), self.layout.shrink
        self.image.paste(image.reduce(shrink) if shrink > 1 else image, (box.x, box.y - self._top))

    def write_note(self, box: Box, text: str, *, warning: bool = False) -> None:
        """Write a line under ``box``: in amber and bold when it is a ``warning``."""
        small, top = self.layout.small, box.y + box.height + _FRAME
        style = Style(size=small.size, colour=_AMBER, bold=True) if warning else small
        if self.shows(top - style.line_height, 3 * style.line_height):
            style.draw(self._draw, box.x, top - self._top, legible(text))

    def leave_empty(self, box: Box, word: str, why: str = "") -> None:
        """Draw an empty place with a word in its middle and, where there is room, the reason under it."""
        from PIL import Image, ImageDraw

        if not self.shows(box.y, box.height):
            return
        place = Image.new("RGB", (box.width, box.height), _EMPTY)  # its own image: no word reaches into a neighbour
        draw = ImageDraw.Draw(place)
        draw.rectangle((0, 0, box.width - 1, box.height - 1), outline=_RULE)
        inner = box.width - self.layout.text.size
        blocks = [wrapped(word, Style(size=self.layout.text.size, colour=MUTED), inner)]
        reason = wrapped(why, Style(size=self.layout.small.size, colour=MUTED), inner)
        if why and blocks[0].height + reason.height <= box.height:
            blocks.append(reason)
        top = (box.height - sum(block.height for block in blocks)) // 2
        for block in blocks:
            for line in block.lines:
                block.style.draw(draw, (box.width - block.style.width(line)) / 2, top, line)
                top += block.style.line_height
        self.image.paste(place, (box.x, box.y - self._top))

    def rows(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the pixels, a few hundred rows at a time: uint8, ``[rows, width, 3]``."""
        import numpy as np

        for top in range(0, self._height, _ENCODED):
            part = self.image.crop((0, top, self.layout.width, min(top + _ENCODED, self._height)))
            yield np.asarray(part)

    def _put_file(self, box: Box, path: str, workspace: Workspace) -> None:
        try:
            pixels = read_pixels(workspace.root / path)
        except NotFound:
            self.leave_empty(box, "file is gone")
            return
        except InputError:
            self.leave_empty(box, "file is damaged")
            return
        self.put_pixels(box, pixels)


def save_drawing(path: Path, layout: Layout, draw: Callable[[Canvas], None], text: Mapping[str, str]) -> None:
    """Draw a layout stripe by stripe into a PNG file, whole or not at all.

    Args:
        draw: draws everything on the canvas that it is given; called for every stripe.
        text: chunks by keyword.

    Raises:
        StoreError: when it cannot be written.
    """

    def drawn() -> Iterator[NDArray[np.uint8]]:
        for top, end in _stripes(layout):
            canvas = Canvas(layout, top=top, height=end - top)
            canvas.write_words()
            draw(canvas)
            yield from canvas.rows()

    write_png_rows(path, (layout.width, layout.height), drawn(), text)


def _stripes(layout: Layout) -> Iterator[tuple[int, int]]:
    """Yield where stripes begin and end: no image of one reaches into another, but where rows overlap."""
    begin = 0
    for band in layout.bands:
        for row in band.rows:
            top = row.cells[0][1].y - _FRAME
            if top - begin >= _STRIPE:
                yield begin, top
                begin = top
    yield begin, layout.height
