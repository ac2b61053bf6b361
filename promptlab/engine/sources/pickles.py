"""Reads pickled weights, where these are allowed, with a reader that makes tensors and nothing else.

Invariant: nothing in a pickle is run. torch's ``weights_only`` reader knows tensors, numbers, texts, lists and
mappings; whatever else a pickle asks for is refused. They must be allowed all the same because such a reader is a
fence, where safetensors has nothing to fence in. diffusers and transformers load with the same reader.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from promptlab.errors import InputError, one_line, ref_value

__all__ = ["pickled_header"]

_NAMES: Final = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}


def pickled_header(path: Path, field: str) -> dict[str, dict[str, Any]]:
    """List the tensors of a pickled checkpoint as safetensors would: ``dtype`` and ``shape`` by name.

    Raises:
        InputError: when it holds anything else than weights, or is no checkpoint.
    """
    import torch

    try:
        state = torch.load(path, map_location="meta", weights_only=True)
        while isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
            state = state["state_dict"]
        return {
            str(name): {"dtype": _dtype(tensor), "shape": list(tensor.shape)}
            for name, tensor in state.items()
            if isinstance(tensor, torch.Tensor)
        }
    except Exception as error:
        raise InputError(
            field, str(path), problem=f"is no checkpoint of weights alone: {one_line(_reason(error), limit=120)}",
            allowed="weights, pickled or as safetensors", hint=ref_value(field, "FILE.safetensors"),
        ) from error  # fmt: skip


def _dtype(tensor: Any) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    return _NAMES.get(name, name.upper())


def _reason(error: Exception) -> str:
    """Return what torch says, less its advice to load the file without a fence."""
    text = str(error)
    _, marked, reason = text.partition("WeightsUnpickler error: ")
    return reason.split("\n")[0] if marked and reason.strip() else text.strip() or type(error).__name__
