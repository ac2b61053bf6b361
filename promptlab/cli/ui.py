"""``promptlab ui`` and ``promptlab sync``: MLflow's pages of the workspace, and telling MLflow what it missed."""

from __future__ import annotations

import click

from promptlab.cli.make import lab_in
from promptlab.cli.options import in_workspace, whole
from promptlab.cli.progress import Progress
from promptlab.errors import NotFound

__all__ = ["sync", "ui"]


@click.command()
@click.option("--experiment", metavar="NAME", help="Open on this experiment. [default: the one of the newest run]")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", type=whole("--port", "5000"), metavar="PORT", help="[default: 5000, or the next free one]")
@click.option("--open", "open_browser", is_flag=True, help="Open the address in the browser.")
@in_workspace
def ui(experiment: str | None, host: str, port: int | None, open_browser: bool, workspace: str | None) -> None:
    """Browse the pictures in MLflow: seeds down, variants across. Ctrl-C stops it."""
    lab = lab_in(workspace)
    summaries = lab.summaries(experiment=experiment, limit=1)
    if experiment is not None and not summaries:
        names = ", ".join(sorted({summary.experiment for summary in lab.summaries()})) or "none yet"
        raise NotFound("--experiment", experiment, allowed=names, hint="promptlab list")
    click.echo("starting MLflow …", err=True)
    with lab.serve(host=host, port=port) as server:
        address = server.address(experiment)
        click.echo(f"MLflow shows the pictures at {address}")
        click.echo("Ctrl-C stops it.", err=True)
        if open_browser:
            click.launch(address)
        try:
            server.wait()
        except KeyboardInterrupt:
            click.echo("stopped.", err=True)


@click.command()
@in_workspace
def sync(workspace: str | None) -> None:
    """Tell MLflow about the runs it could not be told of when they ended."""
    with Progress() as progress:
        told = lab_in(workspace).sync(watch=progress)
    runs = ", ".join(str(run_id) for run_id in told)
    click.echo(f"MLflow now knows run {runs}" if told else "MLflow knows every run already")
