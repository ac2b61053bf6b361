"""Draws two runs side by side: a row a pair of images, and what differs as a third column.

As in a grid, cells hold the very pixels of the PNGs and all words stand beside them. Differences are often too faint to
be seen; each is made brighter by a whole factor, which stands under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab import __version__
from promptlab.errors import InputError
from promptlab.images.canvas import Canvas
from promptlab.images.difference import PixelDifference, difference, difference_image, visible_gain
from promptlab.images.label_text import Label
from promptlab.images.layout import Box, lay_out
from promptlab.images.png import encode_png, read_pixels, write_atomically
from promptlab.records import ImageRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["MAX_ROWS", "ComparedRow", "compare_images", "draw_comparison", "save_comparison"]

MAX_ROWS: Final = 64
"""Rows of one image; more are given in numbers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """Compares two images.

    Args:
        difference: ``None`` when there is none to be measured.
        problem: why there is none, in a few words.
    """

    before: ImageRecord
    after: ImageRecord
    difference: PixelDifference | None = None
    problem: str | None = None


def compare_images(before: ImageRecord, after: ImageRecord, workspace: Workspace) -> ComparedRow:
    """Compare the files of two images. One that is owed, gone or damaged is a ``problem``, not an error."""
    found = None
    problem = None
    try:
        found = difference(_pixels(before, workspace), _pixels(after, workspace))
    except InputError as error:
        problem = f"{error.value} {error.problem}"
    if found is None and problem is None:
        problem = f"sizes differ: {before.width}x{before.height} and {after.width}x{after.height}"
    return ComparedRow(before=before, after=after, difference=found, problem=problem)


def save_comparison(image: Image, path: Path) -> None:
    """Put a drawn comparison in its place, in one step.

    Raises:
        StoreError: when it cannot be written.
    """
    import numpy as np

    with suppress(OSError):  # writing says what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, encode_png(np.asarray(image), {"Software": f"PromptLab {__version__}"}))


def draw_comparison(
    rows: Sequence[tuple[Label, ComparedRow]],
    workspace: Workspace,
    *,
    title: str,
    facts: Sequence[str],
    headers: tuple[str, str],
) -> Image:
    """Draw the first :data:`MAX_ROWS` of ``rows`` as RGB: before | after | difference.

    The third column is left out where there is nothing to be seen in it at all.

    Args:
        title, facts: for the head.
        headers: of the first two columns.
    """
    shown = rows[:MAX_ROWS]
    if len(rows) > len(shown):
        facts = (*facts, f"the first {len(shown)} of {len(rows)} pairs")
    third = any(pair.difference is not None for _, pair in shown)
    gains = [_gain(pair, workspace) for _, pair in shown]
    notes = [_note(pair, gain) for (_, pair), gain in zip(shown, gains, strict=True)]
    sides = [side for _, pair in shown for side in (pair.before, pair.after)]
    layout = lay_out(
        title=title,
        facts=facts,
        labels=[label for label, _ in shown],
        headers=[*headers, "difference"] if third else [*headers],
        cell=(max(side.width or 1 for side in sides), max(side.height or 1 for side in sides)),
        marked=frozenset(range(len(shown))),
        notes=notes,
    )
    canvas = Canvas(layout)
    canvas.write_words()
    for band in layout.bands:
        for row in band.rows:
            pair, gain, note = shown[row.variant][1], gains[row.variant], notes[row.variant]
            for place, box in row.cells:
                _draw_cell(canvas, box, place, pair, gain, note, workspace)
    return canvas.image


def _draw_cell(
    canvas: Canvas, box: Box, place: int, pair: ComparedRow, gain: int, note: str, workspace: Workspace
) -> None:
    if place < 2:
        side = (pair.before, pair.after)[place]
        canvas.put(box, side, workspace)
        canvas.write_note(box, f"{side.ref} · {side.flag}" if side.flag else side.ref, warning=side.flag is not None)
    elif pair.difference is None:
        canvas.leave_empty(box, "no difference shown", pair.problem or "")
    else:
        before, after = _pixels(pair.before, workspace), _pixels(pair.after, workspace)
        canvas.put_pixels(box, difference_image(before, after, gain=gain))
        canvas.write_note(box, note)


def _gain(pair: ComparedRow, workspace: Workspace) -> int:
    if pair.difference is None or pair.difference.identical:
        return 1
    return visible_gain(_pixels(pair.before, workspace), _pixels(pair.after, workspace))


def _note(pair: ComparedRow, gain: int) -> str:
    """Return what stands under the image of a difference."""
    found = pair.difference
    if found is None:
        return ""
    if found.psnr is None:
        return "identical"
    return f"×{gain} · PSNR {found.psnr:.1f} dB"


def _pixels(image: ImageRecord, workspace: Workspace) -> NDArray[np.uint8]:
    if image.path is None:
        raise InputError("picture", image.ref, problem="is not made yet")
    return read_pixels(workspace.root / image.path)
