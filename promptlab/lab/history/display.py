"""Displays runs and images in Jupyter, or wherever else ``_repr_html_`` or ``_repr_png_`` is called.

A record is a value: it can be pickled, compared and taken elsewhere, so it knows no folder and cannot open its own
image. This pair of a record and its workspace can; ``lab.history.show`` makes it. Nothing is read before it is shown.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab.errors import InputError
from promptlab.expand.settings_text import CONDITIONING, conditioning_text
from promptlab.records import ImageRecord, RunRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageDisplay", "RunDisplay", "img_tag", "sheet_png", "table_columns", "table_rows"]

_MAX_WIDTH: Final = 1600
"""Pixels of a grid in a notebook: otherwise the .ipynb file holds every image again in full size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDisplay:
    """Displays one image of a run, with its prompt and seed beside it."""

    run: RunRecord
    record: ImageRecord
    workspace: Workspace

    @property
    def path(self) -> Path:
        """Return the path of the PNG.

        Raises:
            InputError: when it is not made yet.
        """
        if self.record.path is None:
            raise InputError(
                "image", self.record.ref, problem="is not made yet", hint=f"promptlab resume {self.run.id}"
            )
        return self.workspace.root / self.record.path

    @property
    def prompt(self) -> str:
        """Return the prompt that the image was made from."""
        return self.run.variants[self.record.variant].variant.prompt

    def open(self) -> Image:
        """Open the image with Pillow, as RGB.

        Raises:
            InputError: when it is not made yet, or its file is gone or damaged.
        """
        from PIL import Image

        from promptlab.images.png import read_pixels

        return Image.fromarray(read_pixels(self.path))

    def __repr__(self) -> str:
        return f"<image {self.record.ref}, seed {self.record.seed}: {self.prompt}>"

    def _repr_png_(self) -> bytes | None:
        return self.path.read_bytes() if self.record.path is not None and self.path.is_file() else None

    def _repr_html_(self) -> str:
        shown = img_tag(self._repr_png_(), alt=f"image {self.record.ref}") or "<i>not made yet</i>"
        caption = f"<code>{escape(self.record.ref)}</code> seed {self.record.seed}: {escape(self.prompt)}"
        return f"<figure style='margin:0'>{shown}<figcaption>{caption}</figcaption></figure>"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDisplay:
    """Displays a run by its grid, which names all prompts and settings. ``display[3]`` is one image of it."""

    record: RunRecord
    workspace: Workspace

    @property
    def path(self) -> Path:
        """Return the path of the grid's PNG."""
        return self.workspace.grid(self.record.id)

    def __len__(self) -> int:
        return len(self.record.images)

    def __getitem__(self, position: int) -> ImageDisplay:
        return ImageDisplay(run=self.record, record=self.record.images[position], workspace=self.workspace)

    def __iter__(self) -> Iterator[ImageDisplay]:
        return (self[position] for position in range(len(self)))

    def __repr__(self) -> str:
        run = self.record
        return f"<run {run.id}, {run.status.lower()}: {len(run.made)} of {len(run.images)} images>"

    def _repr_png_(self) -> bytes | None:
        return sheet_png(self.path)

    def _repr_html_(self) -> str:
        shown = img_tag(self._repr_png_(), alt=f"grid of run {self.record.id}")
        return shown or f"<p>{escape(repr(self))}</p>"


def sheet_png(path: Path) -> bytes | None:
    """Return a grid or an overview as a notebook shows it; None where it is not drawn."""
    from promptlab.images.grid import thumbnail

    return thumbnail(path, _MAX_WIDTH) if path.is_file() else None


def img_tag(png: bytes | None, *, alt: str) -> str:
    """Return a PNG as HTML that needs no file beside it; nothing without one."""
    if png is None:
        return ""
    return f"<img alt='{escape(alt)}' style='max-width:100%' src='data:image/png;base64,{b64encode(png).decode()}'>"


def table_rows(runs: Iterable[RunRecord]) -> Iterator[dict[str, Any]]:
    """Yield a flat row for each image, made or owed, ready to be filtered, grouped and joined."""
    for run in runs:
        pipeline, call, conditioning = run.spec.pipeline, run.spec.call, dict(conditioning_text(run.spec))
        for image in run.images:
            variant = run.variants[image.variant].variant
            yield {
                "run": run.id, "position": image.position, "experiment": run.experiment, "name": run.name,
                "variant": image.variant, "label": variant.label, "prompt": variant.prompt,
                "negative_prompt": variant.negative_prompt, "seed": image.seed, "status": str(image.status),
                "model": pipeline.model, "vae": pipeline.vae, "dtype": pipeline.dtype,
                "scheduler": None if pipeline.scheduler is None else pipeline.scheduler.name,
                "num_inference_steps": call.num_inference_steps, "guidance_scale": call.guidance_scale,
                **{name: conditioning.get(name) for name in CONDITIONING},
                "width": image.width, "height": image.height, "seconds": image.seconds,
                "batch_size": image.batch_size or run.spec.batch_size, "decoded_in": image.decoded_in,
                "batch": image.batch, "slot": image.slot, "made_at": image.made_at, "flag": image.flag,
                "verified": None if image.verified is None else str(image.verified.outcome),
                "parent": _ref(image.parent), "linked": _ref(image.linked), "path": image.path,
                "pixel_sha256": image.pixel_sha256, "recipe_key": image.recipe_key,
            }  # fmt: skip


def table_columns() -> Sequence[str]:
    """Return the names of a row's fields, so that a table without rows has its columns."""
    return (
        "run", "position", "experiment", "name", "variant", "label", "prompt", "negative_prompt", "seed", "status",
        "model", "vae", "dtype", "scheduler", "num_inference_steps", "guidance_scale", *CONDITIONING,
        "width", "height", "seconds", "batch_size", "decoded_in", "batch", "slot", "made_at", "flag", "verified",
        "parent", "linked", "path", "pixel_sha256", "recipe_key",
    )  # fmt: skip


def _ref(place: tuple[int, int] | None) -> str | None:
    return None if place is None else f"{place[0]}/{place[1]}"
