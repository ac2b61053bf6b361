"""Offers :class:`Lab`, which carries out specs, and what one passes to it; on demand (PEP 562)."""

from typing import TYPE_CHECKING, Final

from promptlab._lazy import imported_from

if TYPE_CHECKING:
    from promptlab.lab.history.prompt_edit import PromptEdit
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.lab.lab import Lab
    from promptlab.lab.line_of_work import DEFAULT_EXPERIMENT

__all__ = ["DEFAULT_EXPERIMENT", "Lab", "PromptEdit", "RunOrImage"]

_HOMES: Final = {
    "lab": ("Lab",),
    "line_of_work": ("DEFAULT_EXPERIMENT",),
    "history.prompt_edit": ("PromptEdit",),
    "history.rerun": ("RunOrImage",),
}
__getattr__ = imported_from(__name__, _HOMES)
