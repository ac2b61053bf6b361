"""Renders what is odd about the words that were typed, before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from promptlab.errors import one_line
from promptlab.expand.seeds import shortened_line
from promptlab.lab.word_hints import word_hints
from promptlab.specs import RunSpec

__all__ = ["prompt_hints"]


def prompt_hints(typed: Sequence[str], specs: Sequence[RunSpec], shortened: Mapping[int, int]) -> Iterator[str]:
    """Yield a line for each thing that is probably not meant.

    Args:
        typed: the prompts as the shell handed them over.
        specs: what was understood.
        shortened: seeds of more than 32 bits, as they were typed → as they are used.
    """
    for pair in shortened.items():
        yield shortened_line(*pair)
    if len(typed) > 1 and not any(" " in prompt.strip() for prompt in typed):
        sentence = one_line(" ".join(typed), limit=80)
        yield f'{len(typed)} prompts of a word each; quotes make them one: promptlab run "{sentence}"'
        return  # what the words mean is asked once they are what was meant
    yield from word_hints(specs)
