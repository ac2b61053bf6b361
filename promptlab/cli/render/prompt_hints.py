"""Renders what is odd about the words that were typed, before anything is made of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from promptlab.errors import one_line
from promptlab.models import DEFAULT_MODEL
from promptlab.models.vocabulary import without_known_words
from promptlab.specs import RunSpec

__all__ = ["prompt_hints"]

_SHOWN: Final = 80


def prompt_hints(typed: Sequence[str], specs: Sequence[RunSpec]) -> Iterator[str]:
    """Yield a line for each thing that is probably not meant.

    Args:
        typed: the prompts as the shell handed them over.
        specs: what was understood.
    """
    if len(typed) > 1 and not any(" " in prompt.strip() for prompt in typed):
        sentence = one_line(" ".join(typed), limit=_SHOWN)
        yield f'{len(typed)} prompts of a word each; quotes make them one: promptlab run "{sentence}"'
        return  # what the words mean is asked once they are what was meant
    prompts = [variant.prompt for spec in specs if spec.pipeline.model == DEFAULT_MODEL for variant in spec.variants]
    strange = without_known_words(dict.fromkeys(prompts))
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        yield (
            f"the bundled model knows no word of '{one_line(strange[0], limit=_SHOWN)}'{more}: it draws portraits "
            "(a king, an old warrior chief, a pirate in red …); for anything else type: --model MODEL"
        )
