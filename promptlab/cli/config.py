"""Carries out ``promptlab config``: shows defaults, sets and unsets them, names their files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from promptlab.cli.completing import complete_settings
from promptlab.cli.output import echo
from promptlab.errors import InputError
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.expand.defaults import Defaults

__all__ = ["config"]

_workspace = click.option(
    "--workspace", envvar="PROMPTLAB_WORKSPACE", metavar="FOLDER",
    help="Whose promptlab.toml is meant. [default: the current folder, or $PROMPTLAB_WORKSPACE]",
)  # fmt: skip
_here = click.option("--here", is_flag=True, help="In the workspace's promptlab.toml instead of your config file.")


@click.group(invoke_without_command=True)
@_workspace
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def config(ctx: click.Context, workspace: str | None, as_json: bool) -> None:
    """Show what is taken for settings that are not typed, and which file says so; styles as well.

    Your own file is ~/.config/promptlab/config.toml; promptlab.toml in a workspace goes over it, an experiment file
    and options over both. What is made from something that exists inherits instead: rerun, resume, verify, --like.

    \b
    promptlab config
    promptlab config set steps 30
    promptlab config set --here scheduler unipc
    promptlab config unset steps
    """
    if ctx.invoked_subcommand is None:
        from promptlab.expand.defaults import read_defaults

        defaults = read_defaults(Workspace.at(workspace).root)
        echo(_json(defaults) if as_json else "\n".join(_lines(defaults)))
    elif as_json:
        raise InputError("--json", problem="is said with set, unset or path", allowed="promptlab config --json")
    else:
        ctx.obj = workspace


@config.command(name="set")
@click.argument("name", metavar="SETTING", shell_complete=complete_settings)
@click.argument("value", metavar="VALUE")
@_here
@_workspace
@click.pass_obj
def set_default(outer: str | None, name: str, value: str, here: bool, workspace: str | None) -> None:
    """Take VALUE for SETTING where none is typed: any setting by its option's name, or experiment.

    \b
    promptlab config set model stabilityai/stable-diffusion-xl-base-1.0
    promptlab config set --here negative "blurry, text"
    """
    from promptlab.expand.defaults_edit import toml_value
    from promptlab.expand.defaults_file import checked_default, setting_of

    root = Workspace.at(workspace or outer).root
    row = setting_of(name, what="name")
    said = _plain(value) if row is not None and row.is_numeric else value
    if row is not None and row.kind == "switch" and value in ("true", "false"):
        said = value == "true"
    checked_default(row, said, what="experiment" if row is None else row.field, root=root if here else None)
    _change(name, toml_value(said), root=root, here=here)


@config.command()
@click.argument("name", metavar="SETTING", shell_complete=complete_settings)
@_here
@_workspace
@click.pass_obj
def unset(outer: str | None, name: str, here: bool, workspace: str | None) -> None:
    """Take no value for SETTING any more."""
    _change(name, None, root=Workspace.at(workspace or outer).root, here=here)


@config.command()
@_here
@_workspace
@click.pass_obj
def path(outer: str | None, here: bool, workspace: str | None) -> None:
    """Print where your config file is, whether it is there or not; with --here the workspace's."""
    echo(str(_file(Workspace.at(workspace or outer).root, here=here)))


def _file(root: Path, *, here: bool) -> Path:
    from promptlab.expand.defaults import user_file, workspace_file

    return workspace_file(root) if here else user_file()


def _change(name: str, value: str | None, *, root: Path, here: bool) -> None:
    """Write one line of a file, and say what holds then.

    Raises:
        InputError: for a name that is no default, or a file that does not become one.
    """
    from promptlab.expand.defaults import read_defaults, shown_file
    from promptlab.expand.defaults_edit import changed_text
    from promptlab.expand.defaults_file import names_of, parse_defaults, read_defaults_text, setting_of

    file, row = _file(root, here=here), setting_of(name, what="name")
    shown, own = shown_file(file), root if here else None
    key = "experiment" if row is None else row.name
    text = read_defaults_text(file, shown=shown, root=own)
    made = changed_text(text, names_of(row), None if value is None else (key, value), shown=shown)
    parse_defaults(made, shown=shown, folder=file.parent, root=own)
    if value is None and made == text:
        echo(f"{name} is not set in {shown}")
        return
    _write(file, made)
    said = "is no longer set" if value is None else f"is {value}"
    echo(f"{name} {said} in {shown}")
    now = next((each for each in read_defaults(root).in_force() if each.name == key.replace("_", "-")), None)
    if now is not None and now.file != shown:
        echo(f"  in this workspace it is {now.shown}, from {now.file}")


def _write(file: Path, text: str) -> None:
    """Write a file as a whole or not at all; where it is a link, what it leads to."""
    file = file.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        Path(made).chmod(file.stat().st_mode & 0o777 if file.exists() else 0o644)
        Path(made).replace(file)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def _plain(text: str) -> Any:
    """Return a number that was typed as one, so that the file has no quotes around it."""
    for kind in (int, float):
        try:
            return kind(text) if text.strip() == text and text.isascii() and "_" not in text else text
        except ValueError:
            continue
    return text


def _lines(defaults: Defaults) -> Iterator[str]:
    from promptlab.errors import one_line

    values, styles = defaults.in_force(), defaults.styles.values()
    if not values and not styles:
        yield "no defaults: what is not typed is as the model has it; type: promptlab config set steps 30"
        return
    rows = [
        (each.name, each.shown, each.file + ("" if each.hidden is None else " (over {} of {})".format(*each.hidden)))
        for each in values
    ]
    rows += [
        (f"style {style.name}", one_line(style.prompt or f"negative: {style.negative}", limit=60), style.file)
        for style in styles
    ]
    wide = [min(max(len(row[at]) for row in rows), 60) for at in (0, 1)]
    for name, shown, file in rows:
        yield f"{one_line(name, limit=60):<{wide[0]}}  {shown:<{wide[1]}}  {file}"


def _json(defaults: Defaults) -> str:
    plain = {
        "defaults": {each.name: {"value": each.shown, "file": each.file} for each in defaults.in_force()},
        "styles": {
            style.name: {"prompt": style.prompt, "negative": style.negative, "file": style.file}
            for style in defaults.styles.values()
        },
    }
    return json.dumps(plain, indent=2, ensure_ascii=False)
