"""The public Python API: :class:`Lab`, and what one passes to it. Looked up when asked for (PEP 562)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptlab.lab.lab import DEFAULT_EXPERIMENT, Lab
    from promptlab.lab.variation import Source, Wording

__all__ = ["DEFAULT_EXPERIMENT", "Lab", "Source", "Wording"]

_HOMES = {"DEFAULT_EXPERIMENT": "lab", "Lab": "lab", "Source": "variation", "Wording": "variation"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
