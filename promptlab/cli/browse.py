"""``promptlab list`` and ``promptlab show``: what was done, as text or JSON."""

from __future__ import annotations

import json

import click

from promptlab.cli.made_text import sweep_lines
from promptlab.cli.make import lab_in
from promptlab.cli.options import in_workspace, whole
from promptlab.cli.text import image_lines, show_lines, summary_lines
from promptlab.errors import InputError
from promptlab.records import plain

__all__ = ["list_runs", "show"]


@click.command("list")
@click.option("--experiment", metavar="NAME", help="Only the runs of this experiment.")
@click.option("--limit", type=whole("--limit", "20"), default=20, show_default=True, help="At most so many; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@in_workspace
def list_runs(experiment: str | None, limit: int, as_json: bool, workspace: str | None) -> None:
    """The runs of the workspace, newest first."""
    if limit < 0:
        raise InputError("--limit", limit, problem="is too small", allowed="0 (for all) or more", hint="--limit 20")
    lab = lab_in(workspace)
    summaries = lab.summaries(experiment=experiment, limit=limit or None)
    if as_json:
        click.echo(json.dumps([plain(summary) for summary in summaries], indent=2, ensure_ascii=False))
    elif summaries:
        click.echo("\n".join(summary_lines(summaries)))
    else:
        among = f" in the experiment '{experiment}'" if experiment else ""
        click.echo(f'no runs yet{among}; type: promptlab run "portrait photo of a old warrior chief" --seeds 0-7')


@click.command()
@click.argument("ref", metavar="RUN|last|IMAGE|sweep:N")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@in_workspace
def show(ref: str, as_json: bool, workspace: str | None) -> None:
    """Everything recorded about a run (3, last), an image (3/12, or its file) or a sweep (sweep:2)."""
    lab = lab_in(workspace)
    if (sweep_id := lab.sweep_named(ref)) is not None:
        sweep = lab.sweep_record(sweep_id)
        if as_json:
            click.echo(json.dumps({"sweep": plain(sweep)}, indent=2, ensure_ascii=False))
        else:
            click.echo("\n".join(sweep_lines(sweep, lab.summaries(), lab.workspace, most=len(sweep.runs))))
        return
    source = lab.source(ref)
    image = None if source.position is None else source.run.images[source.position]
    if as_json:
        record = {"run": plain(source.run)} | ({} if image is None else {"image": plain(image)})
        click.echo(json.dumps(record, indent=2, ensure_ascii=False))
    elif image is None:
        click.echo("\n".join(show_lines(source.run, lab.workspace)))
    else:
        click.echo("\n".join(image_lines(source.run, image, lab.workspace)))
