"""A run at a glance: its pictures in rows of variants and columns of seeds, with every word that made them.

The grid is made from the records, never from what a process remembers, so it can be drawn again at any time; a picture
that is owed, failed or gone has its place in it and says so. Marks stand beside pictures, never on them: each cell
holds the very pixels of its PNG.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, NotFound, one_line
from promptlab.images.fonts import legible, scripts_without_font
from promptlab.images.infotext import display_name
from promptlab.images.layout import MUTED, Box, Label, Layout, lay_out
from promptlab.images.metadata import describe_grid
from promptlab.images.png import encode_png, read_pixels, write_atomically
from promptlab.images.text import Style, wrapped
from promptlab.records import ImageRecord, ImageStatus, RunRecord, RunStatus
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = ["draw_grid", "grid_layout", "save_grid", "thumbnail"]

_PAPER: Final = "#fcfcfb"
_RULE: Final = "#e3e4e6"
_EMPTY: Final = "#f3f3f1"
_AMBER: Final = "#b76e00"
_UNKNOWN_SIZE: Final = 256
_UNREAD: Final = (
    "No font on this machine has {} characters, so they are counted in brackets here. "
    "The prompts themselves are whole; with a font such as Noto Sans CJK installed the grid shows them."
)


def draw_grid(run: RunRecord, workspace: Workspace) -> Image:
    """The labelled grid of a run, RGB.

    Rows are variants, columns seeds; each cell has the pixels of its PNG. Only where these would not fit into one
    picture of 16,000 pixels a side and 80 million in all are they averaged down by a whole factor; the head says so.
    """
    from PIL import Image, ImageDraw

    layout = grid_layout(run)
    sheet = Image.new("RGB", (layout.width, layout.height), _PAPER)
    canvas = ImageDraw.Draw(sheet)
    _draw_words(canvas, layout)
    by_place = {(image.variant, image.seed): image for image in run.images}
    for band in layout.bands:
        for row in band.rows:
            for place, box in row.cells:
                image = by_place.get((row.variant, run.spec.seeds[place]))
                _draw_cell(sheet, canvas, layout, box, image, workspace)
    return sheet


def save_grid(run: RunRecord, workspace: Workspace) -> Path:
    """Draw the grid and put it in its place, in one step; a reader sees the old one or the new one.

    Returns:
        ``workspace.grid(run.id)``; its ``promptlab`` chunk names the run.

    Raises:
        StoreError: when it cannot be written.
    """
    import numpy as np

    path = workspace.grid(run.id)
    with suppress(OSError):  # a run that failed before its first picture has no folder yet; writing says what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, encode_png(np.asarray(draw_grid(run, workspace)), describe_grid(run)))
    return path


def thumbnail(picture: Image | Path, max_width: int = 640) -> bytes:
    """A PNG of at most ``max_width`` pixels across, for places that show pictures unscaled. Never enlarged.

    Raises:
        NotFound, InputError: when ``picture`` is a path and no whole PNG lies there.
    """
    from PIL import Image

    shown = Image.fromarray(read_pixels(picture)) if isinstance(picture, Path) else picture.convert("RGB")
    if shown.width > max_width:
        height = max(1, round(shown.height * max_width / shown.width))
        shown = shown.resize((max_width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    into = io.BytesIO()
    shown.save(into, "PNG", optimize=True)
    return into.getvalue()


def grid_layout(run: RunRecord) -> Layout:
    """Where the cells and words of a run's grid go."""
    negatives = {record.variant.negative_prompt for record in run.variants}
    shared = negatives.pop() if len(negatives) == 1 and len(run.variants) > 1 else ""  # said once, in the head
    labels = []
    for record in run.variants:
        variant = record.variant
        title = variant.label if variant.label.strip() != variant.prompt.strip() else ""
        negative = "" if shared else variant.negative_prompt
        labels.append(Label(title=title.strip(), prompt=variant.prompt.strip(), negative=negative.strip()))
    unread = scripts_without_font(
        "".join((shared, *(f"{label.title}{label.prompt}{label.negative}" for label in labels)))
    )
    return lay_out(
        title=" · ".join(part for part in (f"Run {run.id}", run.name, run.experiment) if part),
        facts=[*_facts(run), *([f"negative: {shared}"] if shared.strip() else [])],
        labels=labels,
        headers=[f"seed {seed}" for seed in run.spec.seeds],
        cell=_cell_size(run),
        marked=frozenset(image.variant for image in run.images if image.flag),
        foot=_UNREAD.format(", ".join(unread)) if unread else None,
    )


def _facts(run: RunRecord) -> Iterator[str]:
    """What decided these pictures, in the order people ask for it."""
    pipeline, call = run.spec.pipeline, run.spec.call
    yield display_name(pipeline.model)
    if pipeline.scheduler is not None:
        yield str(pipeline.scheduler).replace("Scheduler", "", 1).replace(":", " ", 1)
    if call.num_inference_steps is not None:
        yield f"{call.num_inference_steps} steps"
    if call.guidance_scale is not None:
        yield f"guidance {call.guidance_scale:g}"
    width, height = _cell_size(run)
    yield f"{width} × {height}"
    if pipeline.dtype is not None:
        yield pipeline.dtype
    if pipeline.vae is not None:
        yield f"VAE {display_name(pipeline.vae)}"
    if run.seconds_per_image is not None:
        yield f"{_seconds(run.seconds_per_image)} an image"
    if run.status is not RunStatus.FINISHED:
        yield f"{run.status.lower()}: {len(run.made)} of {len(run.images)} pictures made"


def _seconds(seconds: float) -> str:
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def _cell_size(run: RunRecord) -> tuple[int, int]:
    """Width and height that hold every picture of the run, pixels."""
    sizes = [(image.width, image.height) for image in run.images if image.width and image.height]
    if not sizes:
        return run.spec.call.width or _UNKNOWN_SIZE, run.spec.call.height or _UNKNOWN_SIZE
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _draw_words(canvas: ImageDraw, layout: Layout) -> None:
    top = layout.margin
    for block in layout.head:
        block.draw(canvas, layout.margin, top)
        top += block.height
    canvas.line((layout.margin, layout.rule_top, layout.width - layout.margin - 1, layout.rule_top), fill=_RULE)
    for band in layout.bands:
        for place, box in band.rows[0].cells:
            layout.small.draw(canvas, box.x, band.header_top, layout.headers[place])
        for row in band.rows:
            top = row.top
            for block in row.label:
                block.draw(canvas, layout.margin, top)
                top += block.height
    if layout.foot is not None:
        layout.foot.draw(canvas, layout.margin, layout.foot_top)


def _draw_cell(
    sheet: Image, canvas: ImageDraw, layout: Layout, box: Box, image: ImageRecord | None, workspace: Workspace
) -> None:
    from PIL import Image

    if image is None or image.status is ImageStatus.OWED:
        _draw_placeholder(sheet, layout, box, "not made yet")
    elif image.status is ImageStatus.FAILED:
        _draw_placeholder(sheet, layout, box, "failed", one_line(image.error or "", limit=120))
    elif image.path is None:
        _draw_placeholder(sheet, layout, box, "no file recorded")
    else:
        try:
            picture = Image.fromarray(read_pixels(workspace.root / image.path))
        except NotFound:
            _draw_placeholder(sheet, layout, box, "file is gone")
            return
        except InputError:
            _draw_placeholder(sheet, layout, box, "file is damaged")
            return
        sheet.paste(picture.reduce(layout.shrink) if layout.shrink > 1 else picture, (box.x, box.y))
    if image is not None and image.flag:
        frame = (box.x - 3, box.y - 3, box.x + box.width + 2, box.y + box.height + 2)
        canvas.rectangle(frame, outline=_AMBER, width=2)
        mark = Style(size=layout.small.size, colour=_AMBER, bold=True)
        mark.draw(canvas, box.x, box.y + box.height + 3, legible(image.flag))


def _draw_placeholder(sheet: Image, layout: Layout, box: Box, word: str, why: str = "") -> None:
    """A calm empty place with a word in its middle, and under it, where there is room, the reason."""
    from PIL import Image, ImageDraw

    place = Image.new("RGB", (box.width, box.height), _EMPTY)  # its own picture: no word reaches into a neighbour
    canvas = ImageDraw.Draw(place)
    canvas.rectangle((0, 0, box.width - 1, box.height - 1), outline=_RULE)
    inner = box.width - layout.text.size
    blocks = [wrapped(word, Style(size=layout.text.size, colour=MUTED), inner)]
    reason = wrapped(why, Style(size=layout.small.size, colour=MUTED), inner)
    if why and blocks[0].height + reason.height <= box.height:
        blocks.append(reason)
    top = (box.height - sum(block.height for block in blocks)) // 2
    for block in blocks:
        for line in block.lines:
            block.style.draw(canvas, (box.width - block.style.width(line)) / 2, top, line)
            top += block.style.line_height
    sheet.paste(place, (box.x, box.y))
