"""Loads a command when it is called: to list them all, or to complete a name, none is imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """Holds commands by where they are and what the list of commands says of them.

    Args:
        homes: by the name of the command, its ``module:function`` and its line in the list: what the first sentence of
            its docstring says, which a test holds it to.
    """

    def __init__(self, name: str | None = None, *, homes: Mapping[str, tuple[str, str]], **given: Any) -> None:
        super().__init__(name, _Commands({name: home for name, (home, _) in homes.items()}), **given)
        self._listed = {name: click.Command(name, help=line) for name, (_, line) in homes.items()}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands as click does, from the table alone."""
        click.Group(commands=dict(self._listed)).format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with what is typed so far."""
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=listed.get_short_help_str())
            for name, listed in sorted(self._listed.items())
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


class _Commands(MutableMapping[str, click.Command]):
    """Imports a command when it is looked up; its names are there before."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._commands: dict[str, str | click.Command] = dict(homes)

    def __getitem__(self, name: str) -> click.Command:
        found = self._commands[name]
        if isinstance(found, str):
            module, _, function = found.partition(":")
            found = self._commands[name] = getattr(import_module(module), function)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)
