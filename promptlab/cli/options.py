"""Declares the options that commands share; those of settings are made from the table of settings.

What was typed stays text: :mod:`promptlab.cli.parse` hands it to :mod:`promptlab.expand`, which reads options and files
alike and names the option that is wrong. An option that is not named is empty: on ``run`` the file's value or the
pipeline's own default, on ``rerun`` the parent's. So the same decorators serve both.

Invariant: every setting of :data:`promptlab.specs.settings.SETTINGS` has its option here, and no option of a setting is
written out by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import click

from promptlab import specs
from promptlab.cli.completing import Completer, complete_experiments, complete_schedulers, complete_styles
from promptlab.cli.context import allow_pickle_option, workspace_options
from promptlab.cli.param_types import ParsedType
from promptlab.cli.spelling import option_of, option_off, options_of
from promptlab.errors import InputError
from promptlab.models import bundled_models
from promptlab.specs.settings import SETTINGS, Setting, settings_of

__all__ = [
    "dry_run_option",
    "experiment_options",
    "json_option",
    "machine_options",
    "record_options",
    "setting_options",
]

Command = Callable[..., Any]
"""A function that click calls with what was typed."""

Decorator = Callable[[Command], Command]

_DEVICES: Final = ("dtype", "device", "generator_device")
"""Settings that say where and in which numbers it is computed; help lists them behind those of the image."""

_KNOWN_VALUES: Final[dict[str, Callable[[], list[str]]]] = {
    "model": lambda: list(bundled_models()),
    "dtype": lambda: [*specs.DTYPES, specs.AUTO],
}
"""What shell completion offers for settings whose values other rooms know."""


def setting_options(command: Command) -> Command:
    """Add an option for every setting; each may be typed several times, of which ``run`` makes an axis."""
    argument = _several(
        "--set", "arguments", type=ParsedType("argument", _read_argument), metavar="NAME=VALUE",
        help="A further argument of the pipeline's call, by its diffusers name.",
    )  # fmt: skip
    every: list[Decorator] = [
        *map(_setting_option, _of_the_image()),
        *(_setting_option(SETTINGS[name]) for name in _DEVICES),
        argument,
        _setting_option(SETTINGS["batch_size"]),
    ]
    return allow_pickle_option(_all(every, machine_options(command)))


def _of_the_image() -> Iterator[Setting]:
    """Yield what help lists first: the negative prompt, then what pipeline and call are made of."""
    yield SETTINGS["negative"]
    yield from (setting for setting in settings_of("pipeline", "call") if setting.name not in _DEVICES)


def machine_options(command: Command) -> Command:
    """Add an option for every setting of the machine. A switch typed both ways is an axis of both."""
    return _all([*map(_setting_option, settings_of("machine"))], command)


def experiment_options(command: Command) -> Command:
    """Add what ``run`` and ``plan`` draw: a file, prompts, seeds, and what is done to the prompts."""
    every: list[Decorator] = [
        click.argument("prompts", nargs=-1, metavar="[PROMPT]..."),
        click.option("-f", "--file", metavar="FILE", help="An experiment file (YAML); - reads standard input."),
        click.option("--like", metavar="FILE.png", help="Start from what a picture says it was made from."),
        click.option("--prompts-file", metavar="FILE", help="More prompts, one a line."),
        _setting_option(SETTINGS["seeds"]),
        _several("--replace", metavar="OLD=>NEW", help="Other words in place; {a|b||c} gives a row each."),
        _several("--fragment", "fragments", metavar="TEXT", help="Words behind every prompt, switched on and off."),
        _several("--order", metavar="PART", help="Parts of the prompt in every order; ',' for all between commas."),
        _several(
            "--style", metavar="NAME", shell_complete=complete_styles,
            help="Words of a defaults file or styles.csv around every prompt; several, one after the other.",
        ),
        click.option("--sample", metavar="N", help="Draw N of the prompts that templates give, instead of all."),
        click.option("--template-seed", metavar="S", help="What they are drawn with. [default: 0]"),
    ]  # fmt: skip
    return _all(every, command)


def record_options(command: Command) -> Command:
    """Add where and under which name a run is remembered."""
    every: list[Decorator] = [
        click.option(
            "--experiment",
            metavar="NAME",
            shell_complete=complete_experiments,
            help="The line of work; an MLflow experiment.",
        ),
        click.option("--name", metavar="NAME", help="A name for the run."),
        click.option("--note", metavar="TEXT", help="Why, in a sentence: kept with the run."),
        click.option("--again", is_flag=True, help="Make anew what was made before, instead of linking it."),
    ]
    return workspace_options(_all(every, command))


def dry_run_option(command: Command) -> Command:
    """Add ``--dry-run``, which plans and makes nothing."""
    return click.option("--dry-run", is_flag=True, help="Check everything, say what would be made, make nothing.")(
        command
    )


def json_option(what: str) -> Decorator:
    """Return what adds ``--json``, with which nothing else goes to standard output.

    Args:
        what: is printed, as help says it.
    """
    return click.option("--json", "as_json", is_flag=True, help=f"{what} as JSON, and nothing else.")


def _setting_option(setting: Setting) -> Decorator:
    """Return the option of ``setting``: its names, its help and the values that completion offers."""
    help_text = setting.option_help or setting.help
    if setting.kind == "switch":
        return click.option(f"{option_of(setting)}/{option_off(setting)}", multiple=True, help=help_text)
    choices = _KNOWN_VALUES.get(setting.name, lambda: list(setting.choices))
    return _several(
        *options_of(setting), setting.name, metavar=setting.metavar, help=help_text,
        type=ParsedType(setting.name, str, choices),
        shell_complete=complete_schedulers if setting.kind == "scheduler" else None,
    )  # fmt: skip


def _read_argument(text: str) -> tuple[str, specs.Scalar]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip().isidentifier()):
        raise InputError("--set", text, problem="is no NAME=VALUE", hint="--set eta=0.5")
    return name.strip(), specs.parse_scalar(value.strip())


def _several(
    *names: str,
    metavar: str,
    help: str,  # noqa: A002 - click's names
    type: ParsedType | None = None,  # noqa: A002 - likewise
    shell_complete: Completer | None = None,
) -> Decorator:
    return click.option(*names, metavar=metavar, help=help, type=type, multiple=True, shell_complete=shell_complete)


def _all(options: Sequence[Decorator], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
