"""Translates what torch, diffusers, transformers and the system raise into errors of one line.

Foreign exceptions are told apart here and nowhere else: too little memory, which has many wordings and no one class,
and a Python package that is missing, which often surfaces as the name of something nobody has heard of.

Invariant: no foreign exception leaves a block of :func:`translate_errors`, and an interrupt always does: it is no
error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from promptlab.errors import EngineError, MissingPackage, PromptLabError, one_line, ref_value

__all__ = ["is_installed", "is_out_of_memory", "missing_package", "translate_errors"]

_OUT_OF_MEMORY: Final = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|_ALLOC_FAILED"
    r"|could not create a memory|failed to allocate",
    re.IGNORECASE,
)
"""Words of those whose errors have no class of their own: the CPU's allocator, oneDNN, cuBLAS, cuDNN, MPS."""

_MISSING_PACKAGE: Final = re.compile(r"requires the (\S+) library|`?pip install ([\w-]+)")


@contextmanager
def translate_errors(what: str, model: str | None = None) -> Iterator[None]:
    """Turn whatever torch, diffusers or the system raise in the block into an :class:`EngineError`.

    Args:
        what: could not be done, as the beginning of the sentence.
        model: whose code runs in the block; where that needs a package that is not there, it is named.

    Raises:
        MissingPackage: when the code of ``model`` needs a package that is not installed.
        EngineError: for anything else that is no error of PromptLab's already.
    """
    try:
        yield
    except PromptLabError:
        raise
    except Exception as error:
        package = None if model is None else missing_package(error)
        if model is not None and package is not None:
            raise MissingPackage(model, package) from error
        if is_out_of_memory(error):
            advice = (
                f"{ref_value('dtype', 'float16')}, or on an accelerator {ref_value('offload', 'model')} or sequential"
            )
            raise EngineError(f"{what}: out of memory; end what else takes it, or type: {advice}") from error
        raise EngineError(f"{what}: {one_line(error) or type(error).__name__}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether ``error`` says that there was too little memory; torch has several ways to say so."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None


def missing_package(error: BaseException) -> str | None:
    """Return the missing package that caused ``error``, or ``None``."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name.partition(".")[0]
    if isinstance(error, NameError) and error.name and not is_installed(error.name):
        return error.name
    found = _MISSING_PACKAGE.search(str(error)) if isinstance(error, ImportError) else None
    return None if found is None else (found[1] or found[2]).lower()


def is_installed(package: str) -> bool:
    """Tell whether diffusers has ``package``; one that it does not know of counts as installed."""
    import diffusers

    available = getattr(diffusers.utils, f"is_{package}_available", None)
    return available is None or bool(available())
