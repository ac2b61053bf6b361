"""Renders what came out otherwise than asked: flagged, decoded again, in smaller batches. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from promptlab.cli.render.layout import counted
from promptlab.records import ImageRecord, RunRecord

__all__ = ["cut_short_line", "flag_text", "reduced_batch_line", "warning_lines"]

_MOST: Final = 12
"""Images that are named before the rest is counted."""


def warning_lines(run: RunRecord) -> list[str]:
    """Return a line for each thing, with its images; none where all is as asked."""
    lines = []
    for flag in sorted({image.flag for image in run.made if image.flag}):
        those = [image for image in run.made if image.flag == flag]
        again = sorted({image.decoded_in for image in those if image.decoded_in})
        too = f", decoded again in {again[0]} too" if again else ""
        lines.append(f"look again: {_named(those)} {flag_text(flag, many=len(those) > 1)}{too}")
    saved = [image for image in run.made if image.decoded_in and not image.flag]
    if saved:
        dtype = run.spec.pipeline.dtype
        lines.append(f"decoded again in {saved[0].decoded_in}, for in {dtype} nothing was to be seen: {_named(saved)}")
    for size, images in run.made_smaller.items():
        lines.append(f"made in batches of {size} instead of {run.spec.batch_size}, out of memory: {_named(images)}")
    return lines


def flag_text(flag: str, *, many: bool = False) -> str:
    """Say what a flag means, behind the images that have it; an unknown one is shown as it is."""
    were = "were" if many else "was"
    return {
        "nan": "came out black: what the VAE gave are no numbers (nan)",
        "unsafe": f"{were} made black by the model's own safety checker",
    }.get(flag, f"came out {flag}")


def reduced_batch_line(rows: int, batch_size: int, images: int) -> str:
    """Say that memory ran out and in which batches it goes on."""
    them = "the image that is left is" if images == 1 else f"the {images} images that are left are"
    return (
        f"out of memory at {rows} images in one forward: {them} made in batches of {batch_size}, and recorded so "
        "(other bytes than a batch that fits would give; --exact refuses instead)"
    )


def cut_short_line(sweep_id: int, runs: int) -> str:
    """Say that a sweep lacks runs, and how it gets them."""
    return (
        f"sweep {sweep_id} was cut short while it was begun, with {counted(runs, 'run')} of those it was to have; "
        "the command that began it, typed once more, completes it"
    )


def _named(images: Iterable[ImageRecord]) -> str:
    refs = [image.ref for image in images]
    return ", ".join(refs[:_MOST]) + (f" and {len(refs) - _MOST} more" if len(refs) > _MOST else "")
