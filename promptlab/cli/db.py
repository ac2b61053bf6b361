"""``promptlab db``: which schema the database has, and bringing it up to date by hand."""

from __future__ import annotations

from pathlib import Path

import click

from promptlab.cli.generate import lab_in
from promptlab.cli.options import in_workspace
from promptlab.cli.paths import shown_path

__all__ = ["db"]


@click.group()
def db() -> None:
    """The workspace's database. It is upgraded by itself when a run begins: a file after a copy, a server at one go."""


@db.command()
@in_workspace
def current(workspace: str | None) -> None:
    """Say which schema the database has, and which this PromptLab writes."""
    has, head = lab_in(workspace).maintenance.schema()
    click.echo(f"schema {has or 'none yet'}; this PromptLab writes {head}")


@db.command()
@in_workspace
def upgrade(workspace: str | None) -> None:
    """Make the tables, or bring older ones up to date after a backup beside the file."""
    lab = lab_in(workspace)
    before, head = lab.maintenance.upgrade()
    if before == head:
        click.echo(f"schema {head} already")
    else:
        click.echo(f"schema {before or 'none'} → {head}")


@db.command()
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
@in_workspace
def backup(file: Path | None, workspace: str | None) -> None:
    """Copy the database to FILE, or beside itself, also while runs are being made. Pictures are not in it.

    A copy that is put into a folder as mlflow.db, beside the images, is a workspace. A server copies itself: for one,
    the command to type is said.
    """
    copy = lab_in(workspace).maintenance.backup(file)
    click.echo(f"{shown_path(copy)} · {copy.stat().st_size:,} bytes")
