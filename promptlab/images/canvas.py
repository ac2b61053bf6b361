"""Draws a grid or an overview: words, images and empty places at the boxes of a layout.

Marks stand beside images, never on them, and nothing reaches out of its box into a neighbour's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, NotFound, one_line
from promptlab.images.fonts import legible
from promptlab.images.label_text import MUTED
from promptlab.images.layout import Box, Layout
from promptlab.images.png import read_pixels
from promptlab.images.text import Style, wrapped
from promptlab.records import ImageRecord, ImageStatus
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["Canvas"]

_PAPER: Final = "#fcfcfb"
_RULE: Final = "#e3e4e6"
_EMPTY: Final = "#f3f3f1"
_AMBER: Final = "#b76e00"


class Canvas:
    """Holds an RGB image of the layout's size while it is filled.

    :attr:`image` is what is drawn so far.
    """

    def __init__(self, layout: Layout) -> None:
        from PIL import Image, ImageDraw

        self.layout = layout
        self.image: Image.Image = Image.new("RGB", (layout.width, layout.height), _PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def write_words(self) -> None:
        """Draw the head, the headers of columns, the labels of rows and the remark at the foot."""
        layout, draw = self.layout, self._draw
        top = layout.margin
        for block in layout.head:
            block.draw(draw, layout.margin, top)
            top += block.height
        draw.line((layout.margin, layout.rule_top, layout.width - layout.margin - 1, layout.rule_top), fill=_RULE)
        for band in layout.bands:
            for place, box in band.rows[0].cells:
                header = layout.headers[place]
                header.draw(draw, box.x, band.header_top - (0 if layout.captioned else header.height))
            for row in band.rows:
                top = row.top
                for block in row.label:
                    block.draw(draw, layout.margin, top)
                    top += block.height
        if layout.foot is not None:
            layout.foot.draw(draw, layout.margin, layout.foot_top)

    def put(self, box: Box, image: ImageRecord | None, workspace: Workspace) -> None:
        """Draw ``image`` at the upper left corner of ``box``, with a frame around it when it is flagged.

        An image that is owed, failed, gone or damaged leaves an empty place that says so.
        """
        if image is None or image.status is ImageStatus.OWED:
            self.leave_empty(box, "not made yet")
        elif image.status is ImageStatus.FAILED:
            self.leave_empty(box, "failed", one_line(image.error or "", limit=120))
        elif image.path is None:
            self.leave_empty(box, "no file recorded")
        else:
            self._put_file(box, image.path, workspace)
        if image is not None and image.flag:
            frame = (box.x - 3, box.y - 3, box.x + box.width + 2, box.y + box.height + 2)
            self._draw.rectangle(frame, outline=_AMBER, width=2)

    def put_pixels(self, box: Box, pixels: NDArray[np.uint8]) -> None:
        """Draw pixels at the upper left corner of ``box``, averaged down where the layout is."""
        from PIL import Image

        image, shrink = Image.fromarray(pixels), self.layout.shrink
        self.image.paste(image.reduce(shrink) if shrink > 1 else image, (box.x, box.y))

    def write_note(self, box: Box, text: str, *, warning: bool = False) -> None:
        """Write a line under ``box``: in amber and bold when it is a ``warning``."""
        small = self.layout.small
        style = Style(size=small.size, colour=_AMBER, bold=True) if warning else small
        style.draw(self._draw, box.x, box.y + box.height + 3, legible(text))

    def leave_empty(self, box: Box, word: str, why: str = "") -> None:
        """Draw an empty place with a word in its middle and, where there is room, the reason under it."""
        from PIL import Image, ImageDraw

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
        self.image.paste(place, (box.x, box.y))

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
