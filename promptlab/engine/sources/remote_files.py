"""Asks the Hub about files that are not here, without downloading them: tensors and sizes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from promptlab.engine.sources.finder import ModelSource
from promptlab.engine.sources.hub import cache_home, translate_download_errors
from promptlab.errors import InputError, PromptLabError

__all__ = ["check_room", "file_sizes", "free_disk", "read_header_there"]


def read_header_there(name: str, commit: str, file: str) -> dict[str, dict[str, Any]]:
    """Read the tensors of a safetensors file on the Hub, each with ``dtype`` and ``shape``.

    Raises:
        InputError: when the model is gated.
        EngineError: when they cannot be had.
    """
    from huggingface_hub import HfApi

    with translate_download_errors(name):
        about = HfApi().parse_safetensors_file_metadata(name, file, revision=commit)
        return {name: {"dtype": each.dtype, "shape": list(each.shape)} for name, each in about.tensors.items()}


def file_sizes(name: str, commit: str, files: Sequence[str]) -> dict[str, int]:
    """Return the bytes that each of these files of one commit has on the Hub.

    Raises:
        InputError: when the model is gated.
        EngineError: when they cannot be had.
    """
    from huggingface_hub import HfApi

    with translate_download_errors(name):
        found = HfApi().get_paths_info(name, list(files), revision=commit)
        return {each.path: int(getattr(each, "size", 0) or 0) for each in found}


def free_disk() -> int | None:
    """Return the bytes that are free where the Hub's cache is, or would be; ``None`` where nobody knows."""
    place = cache_home()
    with suppress(OSError, StopIteration):
        return shutil.disk_usage(next(each for each in (place, *place.parents) if each.exists())).free
    return None


def check_room(source: ModelSource) -> None:
    """Refuse a model whose weights are still to be downloaded and would not fit on the disk.

    Says nothing where the Hub does not answer: the download will.

    Raises:
        InputError: with both sizes.
    """
    free = free_disk()
    for each in (source, *([] if source.prior is None else [source.prior])):
        wanted = _size_of_absent(each)
        if free is not None and wanted > free:
            sizes = f"takes {wanted / 1e9:,.1f} GB more, and {free / 1e9:,.1f} GB are free"
            raise InputError(
                "model", each.name, problem=f"{sizes} where the Hub's cache is",
                allowed="a smaller model, or a cache on another disk", hint="HF_HUB_CACHE=FOLDER promptlab …",
            )  # fmt: skip


def _size_of_absent(source: ModelSource) -> int:
    if source.absent and source.revision is not None:
        with suppress(PromptLabError):
            return sum(file_sizes(source.name, source.revision, source.absent).values())
    return 0
