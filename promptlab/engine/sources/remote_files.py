"""Asks the Hub about files that are not here, without downloading them: their tensors, their sizes."""

from __future__ import annotations

from typing import Any

from promptlab.engine.sources.hub import translate_download_errors

__all__ = ["read_header_there"]


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
