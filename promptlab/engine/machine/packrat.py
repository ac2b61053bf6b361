"""Keeps what pyparsing has tried, by which compel reads prompts, so that nothing is tried twice.

compel's grammar tries each bracket in several ways, and all that follows anew in each: six brackets in a row take four
seconds, eight take minutes. Remembered ("packrat"), an attempt is made once for each place of a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["remembering"]


@contextmanager
def remembering() -> Iterator[None]:
    """Keep attempts of pyparsing in the block; whoever had them kept already is left alone."""
    from pyparsing import ParserElement

    if getattr(ParserElement, "_packratEnabled", False):
        yield
        return
    ParserElement.enable_packrat(None)
    try:
        yield
    finally:
        ParserElement.disable_memoization()
