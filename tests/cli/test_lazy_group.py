"""Commands are imported when they are called; what lists them says the same."""

import click
import pytest

from promptlab.cli.commands import COMMANDS
from promptlab.cli.lazy_group import LazyGroup


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_commands_line_is_the_first_sentence_of_the_command_itself(name):
    """The list of commands is written by hand, so that nothing is imported for it: it says what each docstring says."""
    home, line = COMMANDS[name]
    group = LazyGroup("promptlab", homes={name: (home, line)})
    command = group.get_command(click.Context(group), name)
    assert command.name == name
    assert line == command.get_short_help_str(limit=1000)


def group_of_nothing():
    """A group of two commands, of which neither could be imported."""
    homes = {"tone": ("nowhere.at:all", "Warm it. Or not."), "turn": ("nowhere:either", "Turn it.")}
    return LazyGroup("promptlab", homes=homes, context_settings={"help_option_names": ["--help"]})


def test_lazy_group_help_and_completion_import_no_command():
    """Help lists them, a shell completes their names, and a wrong one is told the nearest: from the table alone."""
    group = group_of_nothing()
    context = click.Context(group, info_name="promptlab")
    assert "  tone  Warm it.\n  turn  Turn it." in group.get_help(context)
    assert [(item.value, item.help) for item in group.shell_complete(context, "to")] == [("tone", "Warm it.")]
    assert [item.value for item in group.shell_complete(context, "--h")] == ["--help"]
    with pytest.raises(click.UsageError) as refused:
        group.resolve_command(context, ["tona"])
    assert "tone" in refused.value.format_message()


def test_lazy_group_command_that_is_called_is_imported():
    """Only then, and it is the module's own."""
    group = group_of_nothing()
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        group.get_command(click.Context(group), "turn")
    real = LazyGroup("promptlab", homes={"schema": COMMANDS["schema"]})
    assert real.get_command(click.Context(real), "schema").callback.__module__ == "promptlab.cli.catalog"
