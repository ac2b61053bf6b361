"""Checks whether an image file is the image of a run that it says it is.

An editor keeps the text chunks of a picture that it changes, and a chunk can be copied into any other. So a file is
believed where three things agree: its words and settings with the recipe key that it names, that key with the row's,
and its pixels with those that were made. What is not believed is a picture of its own, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from promptlab.images.foreign import ForeignMetadata
from promptlab.images.metadata import ImageMetadata
from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.plan import ResolvedSpec
from promptlab.records import ImageRecord, ImportGap, RunRecord

__all__ = ["EDITED", "Claim"]

EDITED: Final = "PromptLab (edited)"
"""The program of pictures that are not the images that they say they are."""

_OTHER_PIXELS: Final = "its pixels are not those that were made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Holds what an image file says it is, and its pixels.

    Args:
        metadata: what it says.
        path: the file.
        pixels: the hash of its pixels; ``None`` for a JPEG or WebP, which never has those that were made.
        size: width and height of a PNG.
    """

    metadata: ImageMetadata
    path: Path
    pixels: str | None = None
    size: tuple[int, int] | None = None

    @classmethod
    def read(cls, metadata: ImageMetadata, path: Path) -> Claim:
        """Read the pixels of the file at ``path``, which says ``metadata``.

        Raises:
            InputError: when it is damaged.
        """
        if path.suffix.lower() != ".png":
            return cls(metadata=metadata, path=path)
        pixels = read_pixels(path)
        height, width, _ = pixels.shape
        return cls(metadata=metadata, path=path, pixels=pixel_sha256(pixels), size=(width, height))

    def doubt(self) -> str | None:
        """Return why what the file says cannot be, whatever is recorded; None where it can."""
        told, call = self.metadata, self.metadata.spec.call
        resolved = ResolvedSpec(
            spec=told.spec, device=told.device, model_identity=told.model_identity, vae_identity=told.vae_identity
        )
        if resolved.key(told.spec.variants[0], told.spec.seeds[0]) != told.recipe_key:
            return "its words and settings are not those of its recipe key"
        if self.pixels is None:
            return None
        if told.pixel_sha256 is not None:
            return None if told.pixel_sha256 == self.pixels else _OTHER_PIXELS
        asked = (call.width, call.height)
        return None if None in asked or asked == self.size else _OTHER_PIXELS

    def doubt_beside(self, run: RunRecord) -> str | None:
        """Return why the file is not the image of ``run`` that it says it is; None where it is."""
        row = self.row_in(run)
        if row is None:
            return "there is no such picture in its run"
        same_pixels = self.pixels is not None and self.pixels == row.pixel_sha256
        if self.pixels is not None and row.pixel_sha256 is not None and not same_pixels:
            return _OTHER_PIXELS
        if row.recipe_key != self.metadata.recipe_key and (not same_pixels or _is_intact(run, row)):
            return "it was made by another recipe"
        return None

    def row_in(self, run: RunRecord) -> ImageRecord | None:
        """Return the row of the image: that of its recipe key, or of its place where there is none."""
        own = [image for image in run.images if image.linked is None]
        same = next((image for image in own if image.recipe_key == self.metadata.recipe_key), None)
        if same is not None:
            return same
        there = next((image for image in own if image.position == self.metadata.position), None)
        return there if there is not None and there.seed == self.metadata.spec.seeds[0] else None

    def as_foreign(self, why: str) -> ForeignMetadata:
        """Return what the file says as that of another program: words and settings to go on from."""
        told = self.metadata
        gap = ImportGap(
            name="promptlab", value=f"image {told.run_id}/{told.position} of run {told.run_uid[:8]}", why=why
        )
        return ForeignMetadata(program=EDITED, spec=told.spec, lost=(gap,))


def _is_intact(run: RunRecord, row: ImageRecord) -> bool:
    """Return whether a row's recipe key follows from it: nobody edited it."""
    resolved = ResolvedSpec(
        spec=run.spec, device=run.device, model_identity=run.model_identity, vae_identity=run.vae_identity
    ).at(row.batch_size)
    return resolved.key(run.spec.variants[row.variant], row.seed) == row.recipe_key
