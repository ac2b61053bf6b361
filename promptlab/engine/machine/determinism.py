"""The same bytes every time: which kernels may run while an image is made.

Invariant: settings hold exactly while a forward runs and are as they were afterwards, so that a program that uses
PromptLab as a library keeps its own.

Sources: PyTorch's note on reproducibility (``docs/source/notes/randomness.md``) and on TF32 (``notes/cuda.md``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["deterministic"]


@contextmanager
def deterministic() -> Iterator[None]:
    """Run the block with deterministic kernels only, at full float32 precision, without autotuning.

    An operation that has no deterministic kernel still runs: an image that may differ in its last bit is worth more
    than none, and ``promptlab verify`` says when it does.
    """
    import torch

    was_on, was_warn = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    flags: list[tuple[object, str, object]] = [
        (
            torch.utils.deterministic,
            "fill_uninitialized_memory",
            False,
        ),  # a debugging aid; it writes every buffer twice
        (torch.backends.cudnn, "benchmark", False),
        (torch.backends.cudnn, "deterministic", True),
        (torch.backends.cuda.matmul, "fp32_precision", "ieee"),
        (torch.backends.cudnn.conv, "fp32_precision", "ieee"),  # type: ignore[attr-defined]
        (torch.backends.cudnn.rnn, "fp32_precision", "ieee"),
        (torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", False),
        (torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in flags]
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        for owner, name, value in flags:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        torch.use_deterministic_algorithms(was_on, warn_only=was_warn)
