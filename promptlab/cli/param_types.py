"""Provides click parameter types whose errors are PromptLab's sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from promptlab.errors import InputError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["ParsedType", "integer"]


class ParsedType(click.ParamType[Any]):
    """Makes a click parameter type of a function, so that errors are PromptLab's own sentences.

    Args:
        name: what click calls the type.
        parse: reads what was typed.
        choices: returns the values that shell completion offers; called when somebody presses the tab key.
    """

    def __init__(self, name: str, parse: Callable[[str], Any], choices: Callable[[], list[str]] = list) -> None:
        self.name, self._parse, self._choices = name, parse, choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002 - click's signature
        """Return the value of what was typed; a default is one already."""
        return self._parse(value) if isinstance(value, str) else value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """Return the choices that begin with what is typed so far."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(choice) for choice in self._choices() if choice.startswith(incomplete)]


def integer(option: str, example: str) -> ParsedType:
    """Return a type that reads whole numbers; their range is checked by whoever takes them.

    Args:
        option: as it is typed, for errors.
        example: a value, for the hint.
    """

    def parse(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise InputError(
                option, text, problem="is not a whole number", allowed="1 or more", hint=f"{option} {example}"
            ) from None

    return ParsedType("integer", parse)
