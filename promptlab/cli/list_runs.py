"""Carries out ``promptlab list``: what was done, as text, JSON or CSV."""

from __future__ import annotations

import click

from promptlab.cli.completing import complete_experiments
from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.render.csv import CsvForm, check_one_format, csv_lines, csv_options
from promptlab.cli.render.run_list import scorers_of, summary_lines
from promptlab.errors import InputError

__all__ = ["list_runs"]


@click.command("list")
@click.option(
    "--experiment", metavar="NAME", shell_complete=complete_experiments, help="Only the runs of this experiment."
)
@click.option(
    "--limit", type=integer("--limit", "20"), default=20, show_default=True, help="At most so many; 0 for all."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@csv_options()
@workspace_options
def list_runs(experiment: str | None, limit: int, as_json: bool, as_csv: CsvForm | None, workspace: str | None) -> None:
    """List the runs of the workspace, newest first."""
    check_one_format(as_json=as_json, as_csv=as_csv)
    if limit < 0:
        raise InputError("--limit", limit, problem="is too small", allowed="0 (for all) or more", hint="--limit 20")
    lab = open_lab(workspace)
    summaries = lab.history.list(experiment=experiment, limit=limit or None)
    if as_json:
        import json

        from promptlab.records import plain

        echo(json.dumps([plain(summary) for summary in summaries], indent=2, ensure_ascii=False))
    elif as_csv:
        import dataclasses

        from promptlab.records import RunSummary, plain

        columns = [field.name for field in dataclasses.fields(RunSummary) if field.name != "scores"]
        rows = (plain(summary) | dict(summary.scores) for summary in summaries)
        echo(csv_lines([*columns, *scorers_of(summaries)], rows, as_csv))
    elif summaries:
        echo("\n".join(summary_lines(summaries)))
    else:
        among = f" in the experiment '{experiment}'" if experiment else ""
        echo(f'no runs yet{among}; type: promptlab run "portrait photo of a old warrior chief" --seeds 0-7')
