"""Writes settings and measures of a run in the few words of an image's head and labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from promptlab.expand.settings_text import conditioning_text
from promptlab.images.infotext import display_name
from promptlab.records import RunRecord
from promptlab.specs.settings import setting_named

__all__ = ["UNKNOWN_SIZE", "cell_size", "seconds_text", "setting_captions", "setting_label", "short_name"]

UNKNOWN_SIZE: Final = 256


def setting_captions(run: RunRecord) -> Iterator[str]:
    """Yield the settings that decided the images, in the order people ask for them."""
    pipeline, call = run.spec.pipeline, run.spec.call
    yield display_name(pipeline.model)
    if pipeline.scheduler is not None:
        yield str(pipeline.scheduler).replace("Scheduler", "", 1).replace(":", " ", 1)
    if call.num_inference_steps is not None:
        yield f"{call.num_inference_steps} steps"
    if call.guidance_scale is not None:
        yield f"guidance {call.guidance_scale:g}"
    yield from (f"{name.replace('_', ' ')} {value}" for name, value in conditioning_text(run.spec))
    width, height = cell_size(run)
    yield f"{width} × {height}"
    if pipeline.dtype is not None:
        yield pipeline.dtype
    if pipeline.vae is not None:
        yield f"VAE {display_name(pipeline.vae)}"


def seconds_text(seconds: float) -> str:
    """Return seconds as long as they are precise: ``40 ms``, ``0.25 s``, ``12 s``."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def cell_size(run: RunRecord) -> tuple[int, int]:
    """Return the width and height that hold every image of the run, pixels."""
    sizes = [(image.width, image.height) for image in run.images if image.width and image.height]
    if not sizes:
        return run.spec.call.width or UNKNOWN_SIZE, run.spec.call.height or UNKNOWN_SIZE
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def setting_label(field: str, value: str) -> str:
    """Return a setting as labels show it: ``steps 20``, ``scheduler euler use_karras_sigmas=true``."""
    return f"{short_name(field)} {value.replace(':', ' ', 1) if field == 'scheduler' else value}"


def short_name(field: str) -> str:
    """Return the name that people type for a setting of the call: ``steps`` for ``num_inference_steps``."""
    row = setting_named(field)
    return row.name if row is not None and row.part == "call" else field
