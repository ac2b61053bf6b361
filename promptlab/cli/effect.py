"""Carries out ``promptlab effect``: does this word do anything? A table, a plot, metrics in MLflow."""

from __future__ import annotations

import json

import click

from promptlab.cli.completing import complete_runs
from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.inline_pictures import show_option, show_picture
from promptlab.cli.output import echo
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.csv import CsvForm, check_one_format, csv_options
from promptlab.cli.render.effect_table import effect_csv, effect_json, effect_lines
from promptlab.cli.warm import open_warm_lab, server_options
from promptlab.errors import InputError, UnknownValue
from promptlab.lab.history.rerun import RunOrImage

__all__ = ["effect"]


@click.command()
@click.argument("ref", metavar="RUN|last", shell_complete=complete_runs)
@click.option(
    "--clip-model", envvar="PROMPTLAB_CLIP_MODEL", metavar="MODEL",
    help="A CLIP model, folder or Hub id: its distance is measured as well. [default: $PROMPTLAB_CLIP_MODEL]",
)  # fmt: skip
@click.option("--score", metavar="clip", help="'clip': the CLIP score of each wording against its own prompt, too.")
@click.option("--device", metavar="DEVICE", help="Where CLIP runs. [default: the first that is there]")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@csv_options("As CSV: a line a wording, then a line a pair.")
@show_option
@workspace_options
@tracking_option
@server_options
def effect(
    ref: str,
    clip_model: str | None,
    score: str | None,
    device: str | None,
    as_json: bool,
    as_csv: CsvForm | None,
    show: bool | None,
    workspace: str | None,
    tracking_uri: str | None,
) -> None:
    """Measure how much each wording of a run changes the picture, against how much the seed does.

    1 is as much as another seed does, 0 is nothing at all. The run needs two wordings or more at two seeds or more;
    from four seeds on an interval says how sure that is.

    \b
    promptlab run "a fox {|, masterpiece}" --seeds 0-7
    promptlab effect last
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    if score not in (None, "clip"):
        raise UnknownValue("--score", score, ["clip"])
    if score is not None and clip_model is None:
        raise InputError("--score", score, problem="needs a CLIP model", hint="--clip-model FOLDER_OR_ID")
    # without a CLIP model there is nothing to keep warm
    lab = (open_lab if clip_model is None else open_warm_lab)(workspace, tracking_uri)
    source: RunOrImage = lab.history.find(ref)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        found = lab.effect(str(source.run.id), clip_model=clip_model, score=score is not None, device=device,
                           watch=progress)  # fmt: skip
    if as_json:
        echo(json.dumps(effect_json(found, source.run), indent=2, ensure_ascii=False))
    elif as_csv:
        echo(effect_csv(found, source.run, as_csv), nl=False)
    else:
        show_picture(lab.workspace.effect(source.run.id), show)
        echo("\n".join(effect_lines(found, source.run, lab.workspace)))
