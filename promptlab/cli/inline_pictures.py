"""Shows a picture inside the terminal: by Kitty's protocol, as sixels, else as half blocks.

``textual-image`` speaks both protocols (iTerm2, WezTerm, Konsole and foot take sixels) and finds out which one fits by
asking the terminal when it is imported. So it is imported only where question and answer can pass: input and output are
both terminals. Half blocks, two pixels to a character, are our own few lines: they ask nothing.

Invariant: a picture is a courtesy. Nothing that goes wrong here is said, and nothing here can fail a run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console, RenderableType

__all__ = ["show_option", "show_picture", "wanted"]

Command = TypeVar("Command", bound=Callable[..., Any])


def show_option(command: Command) -> Command:
    """Add ``--show/--no-show``; without either, :func:`wanted` decides."""
    return click.option(
        "--show/--no-show", default=None,
        help="Show the picture in the terminal. [default: where it is one that shows colours]",
    )(command)  # fmt: skip


def wanted(typed: bool | None = None) -> bool:
    """Say whether pictures go to standard output: never into a pipe, nor to a terminal of letters only.

    Args:
        typed: ``--show`` or ``--no-show``. What was typed goes before ``NO_COLOR``, as https://no-color.org has it.
    """
    if typed is False or not sys.stdout.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    return bool(typed) or not os.environ.get("NO_COLOR")


def show_picture(path: Path, typed: bool | None = None) -> None:
    """Show the picture at ``path``, at most as wide as the terminal and never enlarged; or do nothing."""
    if not wanted(typed) or not path.is_file():
        return
    with suppress(Exception):
        from PIL import Image
        from rich.console import Console

        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        console = Console(no_color=False)
        console.print(_protocol(picture, console) or _half_blocks(picture, console.width))


def _protocol(picture: Image, console: Console) -> RenderableType | None:
    """Return the picture in its own pixels, if this terminal says that it takes them.

    No taller than the screen either: both protocols draw from where the cursor can go back to.
    """
    if not (sys.stdin.isatty() and _owned(sys.__stdin__) and _owned(sys.__stdout__)):
        return None
    import logging

    logging.getLogger("textual_image").setLevel(logging.ERROR)  # it warns of what it then does without
    with suppress(Exception):
        from textual_image._terminal import get_cell_size
        from textual_image.renderable import Image, SixelImage, TGPImage

        if Image not in (SixelImage, TGPImage):
            return None
        cell = get_cell_size()
        most = min(console.width, picture.width // cell.width)
        rows = console.height - 2
        columns = max(1, min(most, int(picture.width / picture.height * rows * cell.height / cell.width)))
        return Image(picture, width=columns, height="auto")
    return None


def _owned(stream: object) -> bool:
    """Say whether we are in the terminal's foreground: whoever asks from the background is stopped."""
    with suppress(Exception):
        number: int = stream.fileno()  # type: ignore[attr-defined]
        return os.isatty(number) and (not hasattr(os, "tcgetpgrp") or os.tcgetpgrp(number) == os.getpgrp())
    return False


def _half_blocks(picture: Image, columns: int) -> RenderableType:
    """Return two pixels in each character: the upper half in its colour, the lower half as its ground."""
    from PIL import Image
    from rich.color import Color
    from rich.segment import Segment, Segments
    from rich.style import Style

    width = max(1, min(columns, picture.width))
    height = max(2, round(picture.height * width / picture.width))
    small = picture.resize((width, height + height % 2), Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels, colours = small.load(), {}
    assert pixels is not None  # noqa: S101 - it was resized just now
    segments = []
    for row in range(0, small.height, 2):
        for column in range(width):
            pair = (pixels[column, row], pixels[column, row + 1])
            if pair not in colours:
                upper, lower = (Color.from_rgb(*colour) for colour in pair)  # type: ignore[misc]
                colours[pair] = Style(color=upper, bgcolor=lower)
            segments.append(Segment("▀", colours[pair]))
        segments.append(Segment.line())
    return Segments(segments)
