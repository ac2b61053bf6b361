"""Draws a run's images in rows of variants and columns of seeds, with the words that made them.

Where there are more wordings than seeds, and they differ in a few words, these stand side by side, as one compares
them: the common words once in the head, and at each picture the words that are its own.

The grid is made from the records, never from what a process remembers, so it can be drawn again at any time; an image
that is owed, failed or gone has its place in it and says so. Marks stand beside images, never on them: each cell
holds the very pixels of its PNG.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.images.canvas import Canvas, save_drawing
from promptlab.images.captions import cell_size, seconds_text, setting_captions
from promptlab.images.font_packages import install_command
from promptlab.images.fonts import scripts_without_font
from promptlab.images.grid_metadata import describe_grid
from promptlab.images.label_text import Label
from promptlab.images.layout import Layout, lay_out
from promptlab.images.png import encode_png, opened_image
from promptlab.images.shared_words import shared_words
from promptlab.records import RunRecord, RunStatus
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["draw_grid", "grid_layout", "save_grid", "thumbnail"]

_UNREAD: Final = (
    "No font on this machine has {} characters, so they are named in brackets here. "
    "The prompts themselves are whole; a grid drawn when there is one shows them{}."
)


def draw_grid(run: RunRecord, workspace: Workspace) -> Image:
    """Draw the labelled grid of a run, RGB.

    Rows are variants, columns seeds; each cell has the pixels of its PNG. Only where these would not fit into one
    image of 16,000 pixels a side and 80 million in all are they averaged down by a whole factor; the head says so.
    """
    canvas = Canvas(grid_layout(run))
    canvas.write_words()
    _images_of(run, workspace)(canvas)
    return canvas.image


def _images_of(run: RunRecord, workspace: Workspace) -> Callable[[Canvas], None]:
    """Return what draws the images of a run, as far as they lie on the canvas."""
    by_place = {(image.variant, image.seed): image for image in run.images}

    def draw(canvas: Canvas) -> None:
        for (variant, place), box in canvas.layout.cells():
            image = by_place.get((variant, run.spec.seeds[place]))
            canvas.put(box, image, workspace)
            if image is not None and image.flag:
                canvas.write_note(box, image.flag, warning=True)

    return draw


def save_grid(run: RunRecord, workspace: Workspace, *, uids: Mapping[int, str] | None = None) -> Path:
    """Draw the grid and put it in its place, in one step; a reader sees the old one or the new one.

    Args:
        uids: of the runs that this one names as parent or as the source of linked images, by number.

    Returns:
        ``workspace.grid(run.id)``; its ``promptlab`` chunk tells the whole run.

    Raises:
        StoreError: when it cannot be written.
    """
    path = workspace.grid(run.id)
    with suppress(OSError):  # a run that failed before its first image has no folder yet; writing says what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    save_drawing(path, grid_layout(run), _images_of(run, workspace), describe_grid(run, uids or {}))
    return path


def thumbnail(image: Image | Path, max_width: int = 640) -> bytes:
    """Return a PNG of at most ``max_width`` pixels across. Never enlarged.

    For places that show images unscaled.

    Raises:
        NotFound, InputError: when ``image`` is a path and no whole PNG lies there.
    """
    if isinstance(image, Path):
        with opened_image(image) as opened:
            return _narrow(opened, max_width)
    return _narrow(image, max_width)


def _narrow(image: Image, max_width: int) -> bytes:
    import numpy as np
    from PIL import Image

    shown = image if image.mode == "RGB" else image.convert("RGB")  # a large grid is in memory once
    if shown.width > max_width:
        height = max(1, round(shown.height * max_width / shown.width))
        shown = shown.resize((max_width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return encode_png(np.asarray(shown))  # Pillow's best is a sixth smaller, and takes sixty times as long


def grid_layout(run: RunRecord) -> Layout:
    """Lay out a run's grid: the longer of wordings and seeds across, where the words are short."""
    variants, seeds = run.spec.variants, run.spec.seeds
    apart = shared_words(variants) if len(variants) > len(seeds) else None
    flagged = [image for image in run.images if image.flag]
    if apart is not None:
        negative = variants[0].negative_prompt.strip()
        said = [*([f"seed {seeds[0]}"] if len(seeds) == 1 else []), *([f"negative: {negative}"] if negative else [])]
        return _lay_out(
            run, said, [Label(title=f"seed {seed}" if len(seeds) > 1 else "") for seed in seeds], apart.captions,
            frozenset(seeds.index(image.seed) for image in flagged), prompt=apart.prompt, across=True,
        )  # fmt: skip
    negatives = {variant.negative_prompt for variant in variants}
    shared = negatives.pop() if len(negatives) == 1 and len(variants) > 1 else ""  # said once, in the head
    labels = [
        Label(
            title=(variant.label if variant.label.strip() != variant.prompt.strip() else "").strip(),
            prompt=variant.prompt.strip() or "(empty prompt)",
            negative="" if shared else variant.negative_prompt.strip(),
        )
        for variant in variants
    ]
    return _lay_out(
        run, [f"negative: {shared}"] if shared.strip() else [], labels, [f"seed {seed}" for seed in seeds],
        frozenset(image.variant for image in flagged),
    )  # fmt: skip


def _lay_out(
    run: RunRecord, said: Sequence[str], labels: Sequence[Label], headers: Sequence[str], marked: frozenset[int],
    *, prompt: str = "", across: bool = False,
) -> Layout:  # fmt: skip
    words = (prompt, *said, *headers, *(f"{label.title}{label.prompt}{label.negative}" for label in labels))
    unread = scripts_without_font("".join(words))
    command = install_command(unread)
    return lay_out(
        title=" · ".join(part for part in (f"Run {run.id}", run.name, run.experiment) if part),
        facts=[*setting_captions(run), *_came_of(run), *said],
        labels=labels,
        headers=headers,
        cell=cell_size(run),
        marked=marked,
        foot=_UNREAD.format(", ".join(unread), f" ({command})" if command else "") if unread else None,
        prompt=prompt,
        across=across,
    )


def _came_of(run: RunRecord) -> Iterator[str]:
    """Yield what the run took, and how far it came."""
    if run.seconds_per_image is not None:
        yield f"{seconds_text(run.seconds_per_image)} an image"
    if run.status is not RunStatus.FINISHED:
        yield f"{run.status.lower()}: {len(run.made)} of {len(run.images)} pictures made"
