"""Chooses how many images share a forward where nobody names a number.

A forward is shared so that a device has enough to do. Where one image is enough, sharing gains nothing: the first
picture comes later, and every byte depends on a batch size. It is told by the configuration, so that a plan knows it.
"""

from __future__ import annotations

from typing import Final

from promptlab.engine.sources.configuration import Configuration
from promptlab.plan import DEFAULT_BATCH_SIZE
from promptlab.specs import CallSpec

__all__ = ["default_batch_size"]

_FULL: Final = 4096
"""Counts the tokens of an image that fill a GPU: those of one megapixel in patches of 16 × 16 pixels."""


def default_batch_size(config: Configuration, call: CallSpec, device: str) -> int:
    """Return the batch size of runs that name none.

    It is 1 on CUDA for transformers whose every layer has thousands of tokens of one image to multiply, and for
    denoisers whose images cannot share a forward at all; four everywhere else, UNets with their narrow inner layers
    among them. By the arithmetic of their layers a batch of one costs such transformers 0 to 3 percent of their speed.

    Args:
        config: the model's.
        call: resolved; one without a size has the pipeline's own, which is not known.
        device: such as ``cuda:0``.
    """
    if config.routes_to_experts:
        return 1
    if not device.startswith("cuda") or config.denoiser_part != "transformer":
        return DEFAULT_BATCH_SIZE
    height, width = call.height, call.width
    tokens = height * width // config.side_multiple() ** 2 if height and width else 0
    return 1 if tokens >= _FULL else DEFAULT_BATCH_SIZE
