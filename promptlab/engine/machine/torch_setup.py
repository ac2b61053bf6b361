"""Sets up torch, diffusers and transformers: before their import, and while a forward runs.

Invariants: environment variables are only ever set where they are unset; flags of torch hold exactly while a forward
runs and are as they were afterwards, so that a program that uses PromptLab as a library keeps its own; only warnings
known by their words are dropped: any other still reaches the user, and fails the tests.

Sources: PyTorch's notes on reproducibility (``docs/source/notes/randomness.md``) and on TF32 (``notes/cuda.md``).
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from promptlab.engine.machine.openmp import choose_wait_policy

__all__ = ["IGNORED", "deterministic", "half_on_cpu", "prepare", "quietly", "warned"]

_BEFORE_IMPORT: Final = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS may pick another algorithm from call to call
    "DIFFUSERS_VERBOSITY": "error",  # theirs are log lines; ours are errors and progress bars
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",  # it warns after a fork, and a prompt is too short to split
    "TRANSFORMERS_VERBOSITY": "error",
}

_TALKATIVE: Final = ("torchao", "torch.utils._pytree")
"""Loggers that say, when torchao is imported, which kernels of other GPUs it has not, and what torch will drop."""

_KNOWN_WARNINGS: Final = (
    "__array__ implementation doesn't accept a copy keyword",  # torch's tensors under numpy 2, in most schedulers
    "__array_wrap__ must accept context and return_scalar",  # likewise; 12,000 times to build one KDPM2Discrete
    "Should have t[ab]<?>?=t[01] but got",  # torchsde's rounding at the ends of DPMSolverSDE's interval
    r"`algorithm_types[ =]dpmsolver.*` is deprecated",  # whoever asks for it by name knows it
    ".* does not have a deterministic implementation",  # see deterministic
    "`callback_steps` is deprecated",  # Kandinsky 2.2's combined pipeline hands its own default on
    "`FluxPosEmbed` is deprecated",  # Chroma's transformer still takes it from there
    r"`torch\.jit\.\w+` is (deprecated|not supported)",  # torch's own, when torch.compile is imported
    r"(?s).*Triggered internally at \S*sdp_utils",  # why torch takes no other kernel than the one that was asked for
)


IGNORED: Final = re.compile(
    r"filter(ing)? out|unexpected|not used when|were ignored|will be ignored|missing|newly initialized|not compatible",
    re.IGNORECASE,
)
"""Matches a library's warning that weights of a file were left out, or others made up."""


def prepare() -> None:
    """Set what the libraries read only once, when they are imported. Call it before importing any of them."""
    wanted = _BEFORE_IMPORT if "torch" in sys.modules else {**_BEFORE_IMPORT, **choose_wait_policy()}
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def quietly() -> Iterator[None]:
    """Run the block without the warnings that are for the libraries' developers only."""
    with warnings.catch_warnings():
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


@contextmanager
def warned() -> Iterator[list[str]]:
    """Run the block and collect the warnings that diffusers, transformers and peft log.

    They are not shown otherwise. Some say that weights were left out, and those are never to be swallowed.
    """
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers", "peft")]
    before = [(each, each.level, each.handlers, each.propagate) for each in loggers]
    try:
        for each in loggers:
            each.handlers, each.propagate = [Collect(level=logging.WARNING)], False
            each.setLevel(logging.WARNING)
        yield said
    finally:
        for each, level, handlers, propagate in before:
            each.setLevel(level)
            each.handlers, each.propagate = handlers, propagate


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


def half_on_cpu(device: str, dtype: str | None) -> AbstractContextManager[Any]:
    """Return a context that computes float16 on a CPU in float32 where that counts; else a null one.

    Few processors compute in float16, and PyTorch then goes number by number. Computing convolutions and linear layers
    in float32 and rounding is what hardware that has float16 does with every sum; a convolution of the bundled model
    takes 9 ms so, instead of 320. Every tensor between two layers is still float16, and no other operation is touched.
    """
    if device != "cpu" or dtype != "float16":
        return nullcontext()
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    widened = frozenset({functional.linear, torch.conv2d, functional.conv2d})

    class Widen(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func not in widened or not args or args[0].dtype is not torch.float16:
                return func(*args, **kwargs)
            wide = [each.float() if isinstance(each, torch.Tensor) else each for each in args]
            named = {key: each.float() if isinstance(each, torch.Tensor) else each for key, each in kwargs.items()}
            return func(*wide, **named).to(torch.float16)

    return Widen()
