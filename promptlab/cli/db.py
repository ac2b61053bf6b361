"""Carries out ``promptlab db``: says which schema the database has, upgrades it, copies it."""

from __future__ import annotations

from pathlib import Path

import click

from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.paths import shown_path

__all__ = ["db"]


@click.group()
def db() -> None:
    """Say which schema the workspace's database has, upgrade it, or copy it.

    It is upgraded by itself when a run begins: a file after a copy, a server at one go.
    """


@db.command()
@workspace_options
def current(workspace: str | None) -> None:
    """Say which schema the database has, and which this PromptLab writes."""
    has, head = open_lab(workspace).maintenance.schema()
    echo(f"schema {has or 'none yet'}; this PromptLab writes {head}")


@db.command()
@workspace_options
def upgrade(workspace: str | None) -> None:
    """Make the tables, or bring older ones up to date after a backup beside the file: MLflow's as well.

    An older MLflow than this PromptLab's cannot read the file afterwards.
    """
    lab = open_lab(workspace)
    mlflow = lab.maintenance.upgrade_mlflow()
    before, head = lab.maintenance.upgrade()
    if before == head:
        echo(f"schema {head} already")
    else:
        echo(f"schema {before or 'none'} → {head}")
    if mlflow is not None:
        echo(f"MLflow's schema {mlflow[0]} → {mlflow[1]}")


@db.command()
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
@workspace_options
def backup(file: Path | None, workspace: str | None) -> None:
    """Copy the database to FILE, or beside itself, also while runs are being made. Pictures are not in it.

    A copy that is put into a folder as mlflow.db, beside the images, is a workspace. A server copies itself: for one,
    the command to type is said.
    """
    copy = open_lab(workspace).maintenance.backup(file)
    echo(f"{shown_path(copy)} · {copy.stat().st_size:,} bytes")
