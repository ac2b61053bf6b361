"""Reads prompts of a file: texts, or mappings with a negative prompt and a label of their own.

Invariant: a template is told apart from words that are taken to the letter by its key (``prompt``, ``text``), never by
what is in it.
"""

from __future__ import annotations

from typing import Any

from promptlab.errors import InputError
from promptlab.expand.fields import where_typed
from promptlab.expand.located_yaml import LocatedList, LocatedStr
from promptlab.expand.prompt_steps import Entry
from promptlab.expand.ranges import parse_whole
from promptlab.specs import MAX_SEED, Variant

__all__ = ["entries_of", "entry_of", "plain_text", "words_of"]


def plain_text(word: LocatedStr | None) -> str | None:
    """Return the text alone, without its place."""
    return None if word is None else str(word)


def words_of(item: Any, what: str) -> tuple[LocatedStr, ...]:
    """Return one text or a list of them as texts.

    Raises:
        InputError: for anything else.
    """
    words = tuple(item) if isinstance(item, LocatedList) else (item,)
    if not words or not all(isinstance(word, LocatedStr) for word in words):
        raise InputError(what, problem="holds nothing", allowed="a text, or a list of texts")
    return words


def entries_of(item: Any, what: str) -> tuple[Entry, ...]:
    """Return the prompts that are one value of an axis: one text or a list of them."""
    return tuple(Entry(text=word) for word in words_of(item, what))


def entry_of(prompt: Any) -> Entry:
    """Return one of ``prompts``: a text, or the shape of a mapping.

    Raises:
        InputError: for a mapping without words, with two kinds of them, or with a record of no run.
    """
    if isinstance(prompt, LocatedStr):
        return Entry(text=prompt)
    recorded = {key: getattr(prompt, key) for key in ("template", "replacement", "source")}
    said = [
        word
        for word in (prompt.text, prompt.prompt, prompt.label, prompt.negative, *recorded.values())
        if word is not None
    ]
    place = said[0].where if said else "prompts"
    if (prompt.prompt is None) == (prompt.text is None):
        problem = "has no words" if prompt.prompt is None else "says prompt beside text"
        raise InputError(
            f"{place}: prompts", problem=problem, allowed="prompt for a template, text for words to the letter"
        )
    if prompt.text is None:
        odd = next((key for key, value in recorded.items() if value is not None), None)
        if odd is not None:
            raise InputError(
                f"{recorded[odd].where}: {odd}", problem="goes with text only", allowed="text in place of prompt"
            )
        return Entry(text=prompt.prompt, negative=prompt.negative, label=prompt.label)
    source = recorded["source"]
    return Entry(
        text=prompt.text,
        negative=prompt.negative,
        label=prompt.label,
        recorded=Variant(
            prompt=str(prompt.text),
            template=plain_text(recorded["template"]),
            replacement=plain_text(recorded["replacement"]),
            source=None if source is None else parse_whole(source, 0, MAX_SEED, what=where_typed(source, "source")),
        ),
    )
