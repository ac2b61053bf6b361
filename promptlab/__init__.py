"""Keeps a lab notebook of prompts for text-to-image diffusion models: images with all their settings.

Python begins with ``from promptlab import Lab``. What is imported from here is looked up when it is asked for, so that
``import promptlab`` itself costs nothing (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptlab.lab import Lab, PromptEdit
    from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant

__version__ = "0.1.0"
__all__ = ["CallSpec", "Lab", "PipelineSpec", "PromptEdit", "RunSpec", "SchedulerSpec", "Variant", "__version__"]

_ROOMS = {"Lab": "promptlab.lab", "PromptEdit": "promptlab.lab"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS.get(name, "promptlab.specs")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
