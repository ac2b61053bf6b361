"""Shows a picture inside the terminal: by Kitty's protocol, as sixels, else as half blocks.

``textual-image`` speaks both protocols (iTerm2, WezTerm, Konsole and foot take sixels) and finds out which one fits by
asking the terminal when it is imported. So it is imported only where question and answer can pass: input and output are
both terminals. Half blocks, two pixels to a character, are our own few lines: they ask nothing. In them a whole sheet
would be a smear with unreadable words, so the pictures of a run are drawn, with their words as text below them.

Invariant: a picture is a courtesy. Nothing that goes wrong here is said, and nothing here can fail a run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console, RenderableType

    from promptlab.lab import Lab
    from promptlab.records import RunRecord
    from promptlab.serving.remote_lab import RemoteLab
    from promptlab.workspace import Workspace

__all__ = ["show_option", "show_picture", "show_run", "show_sweep", "wanted"]

Command = TypeVar("Command", bound=Callable[..., Any])

_MOST: Final = 64
"""Runs of a sweep that are read for their pictures: more do not fit on any screen."""


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
    """Show the picture at ``path``, at most as large as the terminal and never enlarged; or do nothing."""
    _show(path, typed, lambda: [(path, "")])


def show_run(run: RunRecord, workspace: Workspace, typed: bool | None = None) -> None:
    """Show the grid of a run, or as half blocks its pictures, each with its own words; or do nothing."""
    _show(
        workspace.grid(run.id), typed, lambda: _titled(run, workspace), f"promptlab open {run.id}",
        across=len(run.spec.seeds) if len(run.variants) > 1 else 0,
    )  # fmt: skip


def show_sweep(
    lab: Lab | RemoteLab, sweep_id: int, run_ids: Sequence[int], workspace: Workspace, typed: bool | None = None
) -> None:
    """Show the overview of a sweep, or as half blocks the first picture of each run; or do nothing."""

    def first_of_each() -> Iterator[tuple[Path, str]]:
        for run_id in run_ids[:_MOST]:
            run = lab.history.find(str(run_id)).run
            for path, _ in list(_titled(run, workspace))[:1]:
                yield path, " · ".join(value for _, value in run.sweep_values)

    _show(
        workspace.sweep_grid(sweep_id, 1), typed, first_of_each, f"promptlab open sweep:{sweep_id}",
        left_out=len(run_ids[_MOST:]),
    )  # fmt: skip


def _titled(run: RunRecord, workspace: Workspace) -> Iterator[tuple[Path, str]]:
    """Yield the pictures that are there, each with the words and the seed that others do not have."""
    from promptlab.images.shared_words import shared_words

    variants = [record.variant for record in run.variants]
    apart = shared_words(variants)
    words = apart.captions if apart else [variant.label or variant.prompt for variant in variants]
    for image in run.made:
        path = None if image.path is None else workspace.root / image.path
        if path is not None and path.is_file():
            seed = [f"seed {image.seed}"] if len(run.spec.seeds) > 1 else []
            yield path, " · ".join([*seed, *([words[image.variant]] if len(variants) > 1 else [])])


def _show(
    sheet: Path,
    typed: bool | None,
    pictures: Callable[[], Iterable[tuple[Path, str]]],
    rest: str = "",
    *,
    across: int = 0,
    left_out: int = 0,
) -> None:
    """Show ``sheet`` in its own pixels, else ``pictures`` as half blocks, as many as fit.

    Args:
        sheet: of all pictures.
        pictures: yields each with its words.
        rest: what to type.
        across: how many belong side by side.
        left_out: how many more pictures there are.
    """
    if not wanted(typed):
        return
    with suppress(Exception):
        from rich.console import Console

        console = Console(no_color=False)
        if not (sheet.is_file() and (shown := _protocol(_opened(sheet), console)) is not None):
            shown = _as_half_blocks([*pictures()], console, rest, across, left_out)
        if shown is not None:
            console.print(shown)


def _opened(path: Path) -> Image:
    from PIL import Image

    with Image.open(path) as opened:
        return opened.convert("RGB")


def _as_half_blocks(
    pictures: Sequence[tuple[Path, str]], console: Console, rest: str, across: int, left_out: int
) -> RenderableType | None:
    from rich.console import Group
    from rich.text import Text

    from promptlab.cli.output import visible
    from promptlab.cli.render.half_blocks import half_blocks, placed
    from promptlab.errors import one_line

    if not pictures:
        return None
    first = _opened(pictures[0][0])
    places = placed(len(pictures), first.size, (console.width, console.height - 3), across=across)
    fitting = pictures[: places[0] * places[1]]
    drawn = half_blocks(
        [first, *(_opened(path) for path, _ in fitting[1:])], [visible(one_line(title)) for _, title in fitting], places
    )
    count = len(pictures) + left_out
    if len(fitting) == count:
        return drawn
    return Group(drawn, Text(f"{len(fitting)} of {count} pictures; all of them: {rest}"))


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
