"""Fields are spelled as options that exist, and what is spelled with a value can be typed as it stands."""

from __future__ import annotations

import shlex

import click
import pytest

from promptlab.cli import promptlab as group
from promptlab.cli import spelling
from promptlab.cli.spelling import spell
from promptlab.specs.settings import SETTINGS

ALL_COMMANDS = [*group.commands.values(), *group.commands["db"].commands.values()]

OPTIONS = {
    option
    for command in ALL_COMMANDS
    for parameter in command.params
    if isinstance(parameter, click.Option)
    for option in (*parameter.opts, *parameter.secondary_opts)
}
"""Every option of every command."""

OF_RUN = {option: parameter.name for parameter in group.commands["run"].params for option in parameter.opts}
"""Every option of ``run``, with the parameter that it sets."""

SETTABLE = [setting for setting in SETTINGS.values() if setting.name != "prompts"]
"""Settings that are options; prompts are words without one."""


def typed(words):
    """Return what ``promptlab run`` reads from ``words``, by the names of its parameters."""
    return group.commands["run"].make_context("run", ["a fox", *words], **group.context_settings).params


@pytest.mark.parametrize("setting", SETTABLE, ids=lambda setting: setting.name)
def test_spell_each_setting_by_each_of_its_names_is_its_option(setting):
    """``num_inference_steps``, ``steps``: whichever name an error has, the option that it shows is that of the row."""
    for name in setting.names - {"seed"}:
        assert OF_RUN[spell(name, None)] == setting.name


@pytest.mark.parametrize("setting", SETTABLE, ids=lambda setting: setting.name)
def test_spell_each_setting_with_a_value_can_be_typed(setting):
    """A hint is typed as it stands, and sets that setting to that value."""
    words = shlex.split(spell(setting.sets[0] if len(setting.sets) == 1 else setting.name, setting.example))
    expected = True if setting.kind == "switch" else setting.example
    assert typed(words)[setting.name] == (expected,)


@pytest.mark.parametrize(
    "setting", [setting for setting in SETTABLE if setting.kind == "switch"], ids=lambda setting: setting.name
)
def test_spell_a_switch_that_is_off_can_be_typed(setting):
    """``compile=false`` is ``--no-compile``, never ``--compile false``."""
    assert typed(shlex.split(spell(setting.name, "false")))[setting.name] == (False,)


def test_spell_a_call_argument_can_be_typed():
    """Arguments of the call are named in one option."""
    assert typed(shlex.split(spell("arguments.eta", "0.5")))["arguments"] == (("eta", 0.5),)


@pytest.mark.parametrize("field", sorted(spelling._OPTIONS))
def test_spell_each_field_of_a_command_is_an_option(field):
    """A field that is no setting has an option of its name, or of the name that the table of spelling gives it."""
    assert spell(field, None) in OPTIONS


@pytest.mark.parametrize(("field", "word"), sorted(spelling._WORDS.items()))
def test_spell_each_word_is_an_option_or_a_placeholder_of_help(field, word):
    """What is typed without an option is named as the command's usage names it."""
    placeholders = " ".join(
        command.collect_usage_pieces(click.Context(command, **group.context_settings))[-1] for command in ALL_COMMANDS
    )
    assert word in OPTIONS or word in placeholders


@pytest.mark.parametrize(("field", "value", "text"), [("run", "3", "run=3"), ("picture", None, "picture")])
def test_spell_what_is_no_field_of_a_command_stays(field, value, text):
    """A run or a picture is no option: it is named as it is."""
    assert spell(field, value) == text


def test_spell_a_value_with_blanks_is_quoted():
    """A hint that a shell would split could not be typed."""
    assert shlex.split(spell("seeds", "1-10 (+3)")) == ["--seeds", "1-10 (+3)"]
