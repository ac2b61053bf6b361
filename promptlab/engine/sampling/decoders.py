"""From latents to bytes, a fixed number of images at a time; on CUDA beside the denoiser, copied while it goes on.

The numbers are those of the pipelines themselves: what comes after the loop of ``__call__`` of diffusers'
StableDiffusionPipeline and StableDiffusionXLPipeline, then ``VaeImageProcessor.numpy_to_pil`` (times 255, rounded),
done where the picture is: a quarter of the bytes has to travel, and float32 rounds alike everywhere.

Invariant: a picture is taken off a device only when its copy is complete, and latents are kept until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["DecodedImages", "LatentBatch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImages:
    """One picture.

    Args:
        pixels: uint8, ``[height, width, 3]``; what was no number is black.
        finite: whether all were numbers.
        unsafe: whether the model's own checker blacked it out.
    """

    pixels: NDArray[np.uint8]
    finite: bool
    unsafe: bool


class LatentBatch:
    """Latents that are being decoded: :attr:`ready` when their pictures can be taken without waiting.

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
            finite = torch.isfinite(image).flatten(1).all(dim=1)
            pixels = (torch.nan_to_num(image.float()) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
            self._pixels, self._finite = (_fetched(each, beside) for each in (pixels.contiguous(), finite))
            self._copied = None if beside is None else beside.record_event()

    @property
    def ready(self) -> bool:
        """Whether :meth:`pictures` need not wait."""
        return self._copied is None or bool(self._copied.query())

    def pictures(self) -> list[DecodedImages]:
        """A picture for each row. Waits for the device."""
        if self._copied is not None:
            self._copied.synchronize()
        pixels = self._pixels.numpy()
        return [
            DecodedImages(pixels=pixels[row].copy(), finite=bool(self._finite[row]), unsafe=self._unsafe[row])
            for row in range(len(pixels))
        ]


def _fetched(tensor: torch.Tensor, beside: Any) -> torch.Tensor:
    """On the CPU, or on its way there: into pinned memory, which a device writes to without anybody waiting."""
    import torch

    if beside is None:
        return tensor.cpu()
    there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return there.copy_(tensor, non_blocking=True)


def _decoded(pipeline: Any, latents: torch.Tensor) -> tuple[torch.Tensor, list[bool]]:
    """0 … 1, ``[rows, 3, height, width]``, and whether each was blacked out."""
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
