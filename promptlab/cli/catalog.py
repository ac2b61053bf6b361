"""Carries out ``promptlab schedulers``, ``models`` and ``schema``: what there is to choose from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from promptlab.cli.output import echo
from promptlab.cli.render.layout import table
from promptlab.errors import UnknownValue
from promptlab.models import DEFAULT_MODEL, bundled_models
from promptlab.records import plain

if TYPE_CHECKING:
    from promptlab.engine.schedulers.registry import SchedulerInfo

__all__ = ["models", "schedulers", "schema"]


@click.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="MODEL", help="Those that fit this model.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.argument("name", required=False, metavar="[NAME]")
def schedulers(name: str | None, model: str, as_json: bool) -> None:
    """List the schedulers that fit a model, with their options; or one, NAME, with what each may be.

    Options are typed behind a colon: --scheduler dpmsolver++:use_karras_sigmas=true,solver_order=3
    """
    from promptlab.engine.schedulers.registry import describe_schedulers
    from promptlab.specs.schedulers import parse_scheduler

    found = describe_schedulers(model)
    if name is not None:
        wanted = parse_scheduler(name).name
        if wanted not in {info.name for info in found}:
            raise UnknownValue("scheduler", name, [info.name for info in found], problem=f"does not fit {model}")
        found = tuple(info for info in found if info.name == wanted)
    if as_json:
        echo(json.dumps([plain(info) for info in found], indent=2, ensure_ascii=False))
        return
    for info in found:
        echo(_title(info))
        if name is None:
            options = ", ".join(f"{option.name}={json.dumps(option.default)}" for option in info.options)
            echo(click.wrap_text(options, width=110, initial_indent="    ", subsequent_indent="    "))
        else:
            rows = [(f"  {option.name}", json.dumps(option.default), option.allowed) for option in info.options]
            echo("\n".join(table(("  OPTION", "DEFAULT", "ALLOWED"), rows)))


def _title(info: SchedulerInfo) -> str:
    own = " · the model's own" if info.is_default else ""
    return f"{info.name} · {', '.join(info.aliases)}{own}" if info.aliases else f"{info.name}{own}"


@click.command()
@click.option("--known", is_flag=True, help="What people run instead: commands, licences, sizes. Asks nobody.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def models(known: bool, as_json: bool) -> None:
    """List the models that need no download: those in the package and those in the Hub's cache here."""
    if known:
        _say_known(as_json=as_json)
        return
    from promptlab.engine.sources.catalog import known_models

    found = known_models()
    if as_json:
        echo(json.dumps([plain(info) for info in found], indent=2, ensure_ascii=False))
        return
    rows = [(info.name, info.kind, info.pipeline, _mebibytes(info.size), info.revision or "-") for info in found]
    echo("\n".join(table(("MODEL", "WHERE", "PIPELINE", "SIZE", "REVISION"), rows, right=frozenset({3}))))
    echo("\nAny other Hub id is downloaded when it is first run; a folder or a .safetensors file works too.")
    echo("What people run, with licence and size: promptlab models --known")


def _say_known(*, as_json: bool) -> None:
    from promptlab.cli.render.known_models import known_json, known_lines
    from promptlab.models.known import known_families

    if as_json:
        echo(json.dumps([known_json(one) for one in known_families()], indent=2, ensure_ascii=False))
        return
    for one in known_families():
        echo("\n".join([*known_lines(one), ""]))
    echo("Where each was read: --json, or the quick starts in docs/.")


def _mebibytes(size: int) -> str:
    """Return a size in MiB, with a digit more where it is small: a VAE of 300 KB is not nothing."""
    return f"{size / 2**20:,.{0 if size >= 10 * 2**20 else 1}f} MiB"


@click.command()
def schema() -> None:
    """Print the JSON Schema of experiment files: editors complete and check them by it.

    \b
    promptlab schema > promptlab.schema.json
    # and as the first line of a file:
    # yaml-language-server: $schema=promptlab.schema.json
    """
    from promptlab.expand import json_schema
    from promptlab.specs.schedulers import ALIASES

    echo(json.dumps(json_schema(schedulers=ALIASES, models=bundled_models()), indent=2, ensure_ascii=False))
