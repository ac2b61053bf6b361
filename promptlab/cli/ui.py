"""Carries out ``promptlab ui`` and ``promptlab sync``: MLflow's pages, and what they miss."""

from __future__ import annotations

import os

import click

from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.progress import ProgressDisplay
from promptlab.errors import NotFound

__all__ = ["sync", "ui"]


@click.command()
@click.option("--experiment", metavar="NAME", help="Open on this experiment. [default: the one of the newest run]")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", type=integer("--port", "5000"), metavar="PORT", help="[default: 5000, or the next free one]")
@click.option("--open", "open_browser", is_flag=True, help="Open the address in the browser.")
@workspace_options
@tracking_option
def ui(
    experiment: str | None,
    host: str,
    port: int | None,
    open_browser: bool,
    workspace: str | None,
    tracking_uri: str | None,
) -> None:
    """Browse the pictures in MLflow: seeds down, variants across. Ctrl-C stops it.

    With --tracking-uri nothing is started: the address on that server is said.
    """
    lab = open_lab(workspace, tracking_uri)
    summaries = lab.history.list(experiment=experiment, limit=1)
    if experiment is not None and not summaries:
        names = ", ".join(sorted({summary.experiment for summary in lab.history.list()})) or "none yet"
        raise NotFound("--experiment", experiment, allowed=names, hint="promptlab list")
    newest = experiment or next((summary.experiment for summary in summaries), None)
    elsewhere = lab.maintenance.remote_ui_url(newest)
    if elsewhere is not None:
        echo(f"MLflow shows the pictures at {elsewhere}")
        if open_browser:
            click.launch(elsewhere)
        return
    echo("starting MLflow …", err=True)
    with lab.maintenance.serve(host=host, port=port) as server:
        address = server.address(experiment)
        echo(f"MLflow shows the pictures at {address}")
        echo("Ctrl-C stops it.", err=True)
        if open_browser:
            click.launch(address)
        try:
            server.wait()
        except KeyboardInterrupt:
            echo("stopped.", err=True)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Tell it of every run and sweep anew.")
@click.option("--rated", is_flag=True, hidden=True, help="Tell it of ratings alone: what 'rate' leaves to do.")
@workspace_options
@tracking_option
def sync(everything: bool, rated: bool, workspace: str | None, tracking_uri: str | None) -> None:
    """Tell MLflow what it missed: runs and sweeps that it does not show, or shows otherwise than they are.

    Told twice it changes nothing. Runs that are being made at this moment are left alone.
    """
    lab = open_lab(workspace, tracking_uri)
    if rated:
        os.nice(10)  # whoever rates makes the next pictures meanwhile
        lab.ratings.publish()
        return
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        told = lab.maintenance.sync(progress, everything=everything)
    parts = [f"{what} {', '.join(map(str, ids))}" for what, ids in (("run", told.runs), ("sweep", told.sweeps)) if ids]
    echo(f"MLflow now knows {' and '.join(parts)}" if parts else "MLflow knows every run already")
