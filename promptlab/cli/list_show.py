"""Carries out ``promptlab list`` and ``promptlab show``: what was done, as text, JSON or CSV."""

from __future__ import annotations

import dataclasses
import json

import click

from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.inline_pictures import show_option, show_picture
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.render.csv import check_one_format, csv_lines
from promptlab.cli.render.image_csv import images_csv
from promptlab.cli.render.records import image_lines, show_lines, summary_lines
from promptlab.cli.render.run_results import sweep_lines
from promptlab.errors import InputError
from promptlab.records import RunSummary, plain

__all__ = ["list_runs", "show"]


@click.command("list")
@click.option("--experiment", metavar="NAME", help="Only the runs of this experiment.")
@click.option(
    "--limit", type=integer("--limit", "20"), default=20, show_default=True, help="At most so many; 0 for all."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
@workspace_options
def list_runs(experiment: str | None, limit: int, as_json: bool, as_csv: bool, workspace: str | None) -> None:
    """List the runs of the workspace, newest first."""
    check_one_format(as_json=as_json, as_csv=as_csv)
    if limit < 0:
        raise InputError("--limit", limit, problem="is too small", allowed="0 (for all) or more", hint="--limit 20")
    lab = open_lab(workspace)
    summaries = lab.history.list(experiment=experiment, limit=limit or None)
    if as_json:
        echo(json.dumps([plain(summary) for summary in summaries], indent=2, ensure_ascii=False))
    elif as_csv:
        columns = [field.name for field in dataclasses.fields(RunSummary)]
        echo(csv_lines(columns, map(plain, summaries)))
    elif summaries:
        echo("\n".join(summary_lines(summaries)))
    else:
        among = f" in the experiment '{experiment}'" if experiment else ""
        echo(f'no runs yet{among}; type: promptlab run "portrait photo of a old warrior chief" --seeds 0-7')


@click.command()
@click.argument("ref", metavar="RUN|last|IMAGE|sweep:N")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="The images as CSV, each with its words and setting.")
@show_option
@workspace_options
def show(ref: str, as_json: bool, as_csv: bool, show: bool | None, workspace: str | None) -> None:
    """Show everything recorded about a run (3, last), an image (3/12, or its file) or a sweep (sweep:2)."""
    check_one_format(as_json=as_json, as_csv=as_csv)
    lab = open_lab(workspace)
    if (sweep_id := lab.history.find_sweep(ref)) is not None:
        sweep = lab.history.sweep(sweep_id)
        if as_json:
            echo(json.dumps({"sweep": plain(sweep)}, indent=2, ensure_ascii=False))
        elif as_csv:
            echo(images_csv(lab.history.find(str(one.run_id)).run for one in sweep.runs))
        else:
            show_picture(lab.workspace.sweep_grid(sweep_id, 1), show)
            echo("\n".join(sweep_lines(sweep, lab.history.list(), lab.workspace, most=len(sweep.runs))))
        return
    source = lab.history.find(ref)
    image = None if source.position is None else source.run.images[source.position]
    if as_json:
        record = {"run": plain(source.run)} | ({} if image is None else {"image": plain(image)})
        echo(json.dumps(record, indent=2, ensure_ascii=False))
    elif as_csv:
        echo(images_csv([source.run], source.position))
    elif image is None:
        show_picture(lab.workspace.grid(source.run.id), show)
        echo("\n".join(show_lines(source.run, lab.workspace)))
    else:
        if image.path is not None:
            show_picture(lab.workspace.root / image.path, show)
        echo("\n".join(image_lines(source.run, image, lab.workspace)))
