"""Spells a command as one types it: the line that a page shows for what it does."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from promptlab.cli.spelling import option_of, option_off
from promptlab.expand.values import read_value
from promptlab.page.typed_command import TypedCommand
from promptlab.page.typed_settings import ARGUMENT
from promptlab.specs.settings import SETTINGS

__all__ = ["command_line", "command_words"]


def command_line(command: TypedCommand, there: str = "") -> str:
    """Return ``command`` for a shell.

    Args:
        there: the options that find the workspace, as :func:`promptlab.cli.paths.elsewhere` gives them.
    """
    words = [*map(_quoted, ("promptlab", *command_words(command)))]
    end = words.index("--") if "--" in words else len(words)  # what begins with a dash stands behind every option
    return " ".join([*words[:end], *there.split(maxsplit=0), *words[end:]])


def command_words(command: TypedCommand) -> tuple[str, ...]:
    """Return the words of ``command`` behind ``promptlab``, as a shell would hand them over."""
    return tuple(_words(command))


def _words(command: TypedCommand) -> Iterator[str]:
    yield command.verb
    positional = command.prompts if command.verb == "run" else ()
    if command.parent is not None:
        yield command.parent
    yield from (text for text in positional if not text.startswith("-"))
    if command.verb == "rerun":
        for text in command.prompts:
            yield from ("--prompt", text)
    if command.like is not None:
        yield from ("--like", command.like)
    if command.seeds:
        yield from ("--seeds", command.seeds)
    for text in command.negatives or ():
        yield from (option_of(SETTINGS["negative"]), text)
    for name, texts in command.settings:
        for text in texts:
            yield from _setting(name, text)
    if command.experiment is not None:
        yield from ("--experiment", command.experiment)
    if command.again:
        yield "--again"
    if dashed := [text for text in positional if text.startswith("-")]:
        yield from ("--", *dashed)


def _setting(name: str, text: str) -> Iterator[str]:
    if name.startswith(ARGUMENT):
        yield from ("--set", f"{name.removeprefix(ARGUMENT)}={text}")
        return
    row = SETTINGS[name]
    if row.kind == "switch":
        yield option_of(row) if read_value(row, text, what=row.field) else option_off(row)
    else:
        yield from (option_of(row), text)


def _quoted(word: str) -> str:
    """Quote a word for a shell: with double quotes where that is enough, which people read more easily."""
    quoted = shlex.quote(word)
    if quoted == word:
        return word
    return quoted if any(sign in word for sign in '"$`\\!\n') else f'"{word}"'
