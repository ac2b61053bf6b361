"""Keeps a lab notebook of prompts for text-to-image diffusion models: images with all their settings.

Python begins with ``from promptlab import Lab``. What is imported from here is looked up when it is asked for, so that
``import promptlab`` itself costs nothing (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptlab.api import PythonLab as Lab
    from promptlab.lab import PromptEdit
    from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant

__version__ = "0.1.0"
__all__ = ["CallSpec", "Lab", "PipelineSpec", "PromptEdit", "RunSpec", "SchedulerSpec", "Variant", "__version__"]

_HOMES = {"Lab": ("promptlab.api", "PythonLab"), "PromptEdit": ("promptlab.lab", "PromptEdit")}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room, own_name = _HOMES.get(name, ("promptlab.specs", name))
    return getattr(import_module(room), own_name)


def __dir__() -> list[str]:
    return sorted(__all__)
