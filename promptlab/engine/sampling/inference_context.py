"""Sets torch up for making images.

Invariant: settings hold within the block only; a program that uses PromptLab as a library keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from promptlab.engine.machine.torch_setup import deterministic, half_on_cpu, quietly

__all__ = ["inference_context"]


@contextmanager
def inference_context(device: str, dtype: str | None) -> Iterator[None]:
    """Compute without gradients, by deterministic kernels, without the libraries' warnings, in the block.

    Args:
        device: where the pipeline lies.
        dtype: of its weights: float16 is computed in float32 on a CPU.
    """
    import torch

    with quietly(), deterministic(), torch.inference_mode(), half_on_cpu(device, dtype):
        yield
