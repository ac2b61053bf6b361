"""Renders the words that text encoders do not see: before a run, in a plan, and of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from promptlab.errors import one_line
from promptlab.plan import TruncatedPrompt
from promptlab.records import TruncatedText

__all__ = ["truncation_lines"]

_MOST: Final = 40
"""Prompts that are named; the others are counted."""


def truncation_lines(prompts: Sequence[TruncatedPrompt | TruncatedText]) -> list[str]:
    """Return the words that are not seen, prompt by prompt and encoder by encoder."""
    if not prompts:
        return []
    lines = ["too long: the text encoder does not see the last words of"]
    for cut in prompts[:_MOST]:
        lines.append(f"  {one_line(cut.prompt, limit=60)}")
        lines.append(f"    cut by {cut.encoder}: {one_line(cut.words)}")
    return [*lines, f"    … {len(prompts) - _MOST:,} more"] if len(prompts) > _MOST else lines
