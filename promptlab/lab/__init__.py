"""Offers the public Python API: :class:`Lab`, and what one passes to it; imported on demand (PEP 562)."""

from typing import TYPE_CHECKING, Final

from promptlab._lazy import imported_from

if TYPE_CHECKING:
    from promptlab.lab.history.rerun import PromptEdit, RunOrImage
    from promptlab.lab.lab import DEFAULT_EXPERIMENT, Lab

__all__ = ["DEFAULT_EXPERIMENT", "Lab", "PromptEdit", "RunOrImage"]

_HOMES: Final = {
    "lab": ("DEFAULT_EXPERIMENT", "Lab"),
    "history.rerun": ("PromptEdit", "RunOrImage"),
}
__getattr__ = imported_from(__name__, _HOMES)
