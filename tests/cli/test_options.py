"""Options are made from the table of settings: a new row is a new option, and help lists them in one order."""

from __future__ import annotations

from types import MappingProxyType

import click
import pytest
from click.testing import CliRunner

from promptlab.cli import options
from promptlab.cli import promptlab as group
from promptlab.cli.parse import RunOptions, takes_run_options
from promptlab.specs import settings
from promptlab.specs.settings import SETTINGS, Setting


def option_named(command, name):
    """Return the parameter of ``command`` that is called ``name``."""
    return next(parameter for parameter in command.params if parameter.name == name)


@pytest.mark.parametrize("command", ["run", "plan", "rerun", "probe"])
def test_options_of_each_setting_are_on_every_command_that_makes_images(command):
    """What one of them takes, all take; words and seeds are each command's own."""
    taken = {parameter.name for parameter in group.commands[command].params}
    assert set(SETTINGS) - {"prompts", "seeds"} <= taken


def test_options_of_run_are_listed_from_the_image_to_the_machine():
    """The negative prompt first, then what the image is of, where it is made, how many at once, and the machine."""
    names = [parameter.name for parameter in group.commands["run"].params]
    milestones = ["seeds", "negative", "model", "steps", "width", "dtype", "device", "arguments", "batch_size",
                  "attention_slicing", "exact"]  # fmt: skip
    assert sorted(milestones, key=names.index) == milestones


def test_options_of_a_new_row_have_its_names_help_and_choices(monkeypatch):
    """Nothing but the table is touched for a new setting's option."""
    row = Setting(
        name="tone", kind="text", part="call", sets=("tone_name",), help="Tone.", option_help="Tone of the image.",
        metavar="TONE", example="warm", option_names=("tone_name",), choices=("warm", "cold"),
    )  # fmt: skip
    table = MappingProxyType({**SETTINGS, "tone": row})
    for module in (options, settings):
        monkeypatch.setattr(module, "SETTINGS", table)
    monkeypatch.setattr("promptlab.cli.parse.SETTINGS", table)
    read: list[RunOptions] = []
    command = click.command()(options.setting_options(takes_run_options(read.append)))
    tone = option_named(command, "tone")
    assert tone.opts == ["--tone", "--tone-name"]
    assert (tone.metavar, tone.help) == ("TONE", "Tone of the image.")
    assert [item.value for item in tone.shell_complete(click.Context(command), "w")] == ["warm"]
    assert CliRunner().invoke(command, ["--tone", "warm", "--tone-name", "cold"]).exit_code == 0
    assert dict(read[0].settings) == {"tone": ("warm", "cold")}


@pytest.mark.parametrize(
    ("name", "begun", "offered"),
    [("scheduler", "unip", "unipc"), ("dtype", "bf", "bfloat16"), ("offload", "seq", "sequential"),
     ("model", "mini", "mini"), ("scheduler", "def", "default")],
)  # fmt: skip
def test_options_offer_known_values_for_completion(name, begun, offered):
    """Shells complete what PromptLab knows the values of."""
    command = group.commands["run"]
    found = option_named(command, name).shell_complete(click.Context(command, **group.context_settings), begun)
    assert offered in [item.value for item in found]
