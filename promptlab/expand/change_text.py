"""A setting that changed, in the few words that people use for it. Pure."""

from __future__ import annotations

from typing import Any, Final

from promptlab.expand.seeds import show_seeds
from promptlab.expand.settings_text import TOGETHER, short_part
from promptlab.specs import Change

__all__ = ["change_text"]

_PARTS: Final = ("lora", "textual_inversion")
_SHORT: Final = {"num_inference_steps": "steps", "guidance_scale": "guidance"}


def change_text(change: Change) -> str:
    """``steps: 20 → 25``, ``seeds: 0-7 → 1``; for all fields of a spec but the prompts."""
    name = _SHORT.get(change.field, change.field)
    return f"{name}: {_value(change.field, change.before)} → {_value(change.field, change.after)}"


def _value(field: str, value: Any) -> str:
    if field == "seeds":
        return show_seeds(value)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "default"
    if isinstance(value, float):
        return f"{value:g}"
    if field in _PARTS:
        return f" {TOGETHER} ".join(map(short_part, str(value).split(f" {TOGETHER} ")))
    return str(value).removesuffix("Scheduler") if field == "scheduler" else str(value)
