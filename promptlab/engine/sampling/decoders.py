"""Decodes latents to bytes, a fixed number of images at a time; on CUDA beside the denoiser.

The numbers are those of the pipelines themselves: what comes after the loop of ``__call__`` of diffusers'
StableDiffusionPipeline and StableDiffusionXLPipeline, then ``VaeImageProcessor.numpy_to_pil`` (times 255, rounded),
done where the image is: a quarter of the bytes has to travel, and float32 rounds alike everywhere. It is done here and
not by diffusers because numbers that are none (NaN) can be seen only before it.

Invariant: an image is taken off a device only when its copy is complete, and latents are kept until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptlab.engine.sampling.fp32_fallback import BLACK

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["DecodedImage", "LatentBatch", "decoded_images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage:
    """Holds an image as bytes.

    Args:
        pixels: uint8, ``[height, width, 3]``, C-contiguous; what was no number is black.
        flag: see :class:`promptlab.engine.events.ImageDone`.
    """

    pixels: NDArray[np.uint8]
    flag: str | None


def decoded_images(images: torch.Tensor, unsafe: Sequence[bool]) -> list[DecodedImage]:
    """Return images as bytes, each with what makes one look at it twice.

    Args:
        images: 0 … 1, ``[rows, 3, height, width]``, on any device.
        unsafe: of each row, whether the model's own checker blacked it out.
    """
    pixels, finite = _as_bytes(images)
    return _flagged(pixels.cpu(), finite.cpu(), unsafe)


def _as_bytes(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return uint8 ``[rows, height, width, 3]``, and of each row whether all its numbers are numbers."""
    import torch

    finite = torch.isfinite(images).flatten(1).all(dim=1)
    pixels = (torch.nan_to_num(images.float()) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return pixels.contiguous(), finite


def _flagged(pixels: torch.Tensor, finite: torch.Tensor, unsafe: Sequence[bool]) -> list[DecodedImage]:
    made = []
    for row, image in enumerate(pixels.numpy()):
        flag = "nan" if not finite[row] else "unsafe" if unsafe[row] else "black" if image.max() <= BLACK else None
        made.append(DecodedImage(pixels=image.copy(), flag=flag))
    return made


class LatentBatch:
    """Decodes latents; :attr:`ready` says when the images can be taken without waiting.

    Args:
        pipeline: StableDiffusionPipeline or StableDiffusionXLPipeline.
        latents: of each row, ``[1, channels, height, width]``; the shape is the same each time, fillers included.
        beside: the stream of a CUDA device that decodes while the denoiser goes on; ``None`` where there is none.
    """

    def __init__(self, pipeline: Any, latents: Sequence[torch.Tensor], beside: Any = None) -> None:
        import torch

        if beside is not None:
            beside.wait_stream(torch.cuda.current_stream(latents[0].device))
        with nullcontext() if beside is None else torch.cuda.stream(beside):
            self._kept = torch.cat(list(latents))
            image, self._unsafe = _decoded(pipeline, self._kept)
            self._pixels, self._finite = (_fetched(each, beside) for each in _as_bytes(image))
            self._copied = None if beside is None else beside.record_event()

    @property
    def ready(self) -> bool:
        """Say whether :meth:`images` need not wait."""
        return self._copied is None or bool(self._copied.query())

    def images(self) -> list[DecodedImage]:
        """Return an image for each row. Waits for the device."""
        if self._copied is not None:
            self._copied.synchronize()
        return _flagged(self._pixels, self._finite, self._unsafe)


def _fetched(tensor: torch.Tensor, beside: Any) -> torch.Tensor:
    """Copy to the CPU, or begin to: into pinned memory, which a device writes to without anybody waiting."""
    import torch

    if beside is None:
        return tensor.cpu()
    there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return there.copy_(tensor, non_blocking=True)


def _decoded(pipeline: Any, latents: torch.Tensor) -> tuple[torch.Tensor, list[bool]]:
    """Return images of 0 … 1, ``[rows, 3, height, width]``, and whether each was blacked out."""
    if type(pipeline).__name__ == "StableDiffusionXLPipeline":
        return _decoded_xl(pipeline, latents), [False] * len(latents)
    vae, processor = pipeline.vae, pipeline.image_processor
    image = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
    image, unsafe = pipeline.run_safety_checker(image, latents.device, latents.dtype)
    if unsafe is None:
        return processor.postprocess(image, output_type="pt"), [False] * len(latents)
    unsafe = [bool(each) for each in unsafe]
    return processor.postprocess(image, output_type="pt", do_denormalize=[not each for each in unsafe]), unsafe


def _decoded_xl(pipeline: Any, latents: torch.Tensor) -> torch.Tensor:
    import torch

    vae = pipeline.vae
    narrow = vae.dtype is torch.float16 and vae.config.force_upcast
    if narrow:
        vae.to(dtype=torch.float32)
        latents = latents.to(next(iter(vae.post_quant_conv.parameters())).dtype)
    mean, std = (getattr(vae.config, name, None) for name in ("latents_mean", "latents_std"))
    if mean is not None and std is not None:
        mean, std = (torch.tensor(each).view(1, 4, 1, 1).to(latents.device, latents.dtype) for each in (mean, std))
        latents = latents * std / vae.config.scaling_factor + mean
    else:
        latents = latents / vae.config.scaling_factor
    image = vae.decode(latents, return_dict=False)[0]
    if narrow:
        vae.to(dtype=torch.float16)
    if pipeline.watermark is not None:
        image = pipeline.watermark.apply_watermark(image)
    found: torch.Tensor = pipeline.image_processor.postprocess(image, output_type="pt")
    return found
