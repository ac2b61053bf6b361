"""Offers the public Python API: :class:`Lab`, and what one passes to it; imported on demand (PEP 562)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptlab.lab.history.rerun import PromptEdit, RunOrImage
    from promptlab.lab.lab import DEFAULT_EXPERIMENT, Lab

__all__ = ["DEFAULT_EXPERIMENT", "Lab", "PromptEdit", "RunOrImage"]

_HOMES = {"DEFAULT_EXPERIMENT": "lab", "Lab": "lab", "RunOrImage": "history.rerun", "PromptEdit": "history.rerun"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
