"""``promptlab schedulers`` and ``promptlab models``: what there is to choose from."""

from __future__ import annotations

import json

import click

from promptlab.cli.text import table
from promptlab.models import DEFAULT_MODEL
from promptlab.records import plain

__all__ = ["models", "schedulers"]


@click.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="MODEL", help="Those that fit this model.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def schedulers(model: str, as_json: bool) -> None:
    """The schedulers that fit a model, their short names and their options.

    Options are typed behind a colon: --scheduler dpmsolver++:use_karras_sigmas=true,solver_order=3
    """
    from promptlab.engine.schedulers import describe_schedulers

    found = describe_schedulers(model)
    if as_json:
        click.echo(json.dumps([plain(info) for info in found], indent=2, ensure_ascii=False))
        return


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def models(as_json: bool) -> None:
    """The models that need no download: those in the package, and those in the Hub's cache on this machine."""
    from promptlab.engine.weights import known_models

    found = known_models()
    if as_json:
        click.echo(json.dumps([plain(info) for info in found], indent=2, ensure_ascii=False))
        return
    rows = [
        (info.name, info.kind, info.pipeline, f"{info.size / 2**20:,.0f} MiB", info.revision or "-") for info in found
    ]
    click.echo("\n".join(table(("MODEL", "WHERE", "PIPELINE", "SIZE", "REVISION"), rows, right=frozenset({3}))))
    click.echo("\nAny other Hub id is downloaded when it is first run; a folder or a .safetensors file works too.")
