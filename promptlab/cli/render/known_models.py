"""Renders what is known of the models that people run, with the command to begin with. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Final

from promptlab.models.known import UNKNOWN, KnownFamily
from promptlab.records import plain

__all__ = ["command_line", "first_command", "known_json", "known_lines"]

PROMPT: Final = "a fox in snow, morning light"


def first_command(one: KnownFamily) -> tuple[str, ...]:
    """Return what one types to begin with a model, word by word."""
    return ("promptlab", "run", PROMPT, "--model", one.model, *one.words, "--seeds", "0-3")


def command_line(one: KnownFamily) -> str:
    """Return :func:`first_command` as it is typed into a shell."""
    return " ".join(_quoted(word) for word in first_command(one))


def known_lines(one: KnownFamily) -> Iterator[str]:
    """Yield the name, the command and every fact; what is not known is said to be not known."""
    yield f"{one.title} · {one.pipeline}"
    yield f"    {command_line(one)}"
    for name, fact in one.facts():
        yield f"    {name:<12}{UNKNOWN if fact is None else fact.says}"


def known_json(one: KnownFamily) -> dict[str, Any]:
    """Return all of it, with the sources."""
    return {**plain(one), "command": command_line(one)}


def _quoted(word: str) -> str:
    if word.startswith("~"):
        return word
    return f'"{word}"' if " " in word else shlex.quote(word)
