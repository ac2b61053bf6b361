"""Carries out ``promptlab completion``: a shell completes commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from promptlab.cli.output import echo
from promptlab.errors import UnknownValue

__all__ = ["completion"]

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", metavar="bash|zsh|fish")
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  promptlab completion bash >> ~/.bashrc
    zsh:   promptlab completion zsh >> ~/.zshrc
    fish:  promptlab completion fish > ~/.config/fish/completions/promptlab.fish
    """
    found = get_completion_class(shell) if shell in _SHELLS else None
    if found is None:
        raise UnknownValue("SHELL", shell, _SHELLS, hint="promptlab completion bash")
    command = click.get_current_context().find_root().command
    echo(found(command, {}, "promptlab", "_PROMPTLAB_COMPLETE").source())
