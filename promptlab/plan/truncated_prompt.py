"""Describes a prompt of which a text encoder would not see all."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TruncatedPrompt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedPrompt:
    """Tells which words of a prompt a text encoder would not get to see.

    Args:
        prompt: in full; a negative prompt likewise.
        encoder: the part that cuts, by its name in the pipeline, such as ``tokenizer_2``.
        words: what is cut off, as written in the prompt, from the first word that is not read whole.
    """

    prompt: str
    encoder: str
    words: str
