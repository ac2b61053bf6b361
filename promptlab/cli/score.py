"""Carries out ``promptlab score``, and ``--score`` of ``run`` and ``rerun``: what models think."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from promptlab.cli.completing import complete_refs
from promptlab.cli.context import tracking_option, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.csv import CsvForm, check_one_format, csv_lines, csv_options
from promptlab.cli.render.scores import score_columns, score_lines, score_rows
from promptlab.cli.warm import names_server, open_warm_lab, server_options
from promptlab.errors import InputError
from promptlab.records.scorers import SCORERS, parse_scorers

if TYPE_CHECKING:
    from promptlab.cli.parse import RunOptions
    from promptlab.lab import Lab
    from promptlab.lab.execution.events import Watch
    from promptlab.lab.preferences.scores import ScoredImages
    from promptlab.serving.remote_lab import RemoteLab

__all__ = ["check_scores", "score", "score_made", "score_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def score_option(command: Command) -> Command:
    """Add ``--score``, which may be typed several times."""
    return click.option(
        "--score", "scores", multiple=True, metavar="SCORER",
        help=f"Score the pictures by a model: {', '.join(SCORERS)}; NAME=FOLDER_OR_ID for other weights of it.",
    )(command)  # fmt: skip


def check_scores(scores: Sequence[str]) -> None:
    """Refuse scorers that cannot be loaded, before a picture is made; fetch those that are not here.

    On another machine's server it is that server which looks for them.

    Raises:
        InputError: see :func:`promptlab.engine.scorers.find_scorer`.
    """
    scorers = parse_scorers(tuple(scores))
    if scorers and not names_server():
        from promptlab.engine.scorers import find_scorer

        for one in scorers:
            find_scorer(one)


def score_made(lab: Lab | RemoteLab, ref: str, options: RunOptions, watch: Watch) -> ScoredImages | None:
    """Score what a command has just made, where it was told to; None where it was not."""
    return lab.score([ref], options.scores, watch=watch) if options.scores else None


@click.command()
@click.argument("refs", nargs=-1, metavar="[RUN|IMAGE|sweep:N|last]...", shell_complete=complete_refs)
@score_option
@click.option("--all", "everything", is_flag=True, help="Every picture of the workspace.")
@click.option("--again", is_flag=True, help="Score also what the same model has scored before.")
@click.option("--device", metavar="DEVICE", help="Where the models run. [default: the first that is there]")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@csv_options()
@workspace_options
@tracking_option
@server_options
def score(
    refs: tuple[str, ...],
    scores: tuple[str, ...],
    everything: bool,
    again: bool,
    device: str | None,
    as_json: bool,
    as_csv: CsvForm | None,
    workspace: str | None,
    tracking_uri: str | None,
) -> None:
    """Score pictures by models that predict what people like; 'list', 'best', reports and MLflow show it.

    A picture that the same model has scored is not scored again. Models are read from safetensors alone, from a folder
    or the Hub.

    \b
    promptlab score last --score pickscore
    promptlab score --all --score aesthetic --score clip=openai/clip-vit-base-patch32
    promptlab best --by scheduler --score pickscore
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    if not refs and not everything:
        raise InputError("RUN", problem="is missing", allowed="runs, pictures, sweeps, or --all",
                         hint="promptlab score last --score clip")  # fmt: skip
    if refs and everything:
        raise InputError("--all", problem="is said beside what to score", allowed="one of the two")
    if not scores:
        raise InputError("--score", problem="is missing", allowed=", ".join(SCORERS),
                         hint=f"promptlab score {' '.join(refs) or '--all'} --score clip")  # fmt: skip
    check_scores(scores)
    lab = open_warm_lab(workspace, tracking_uri)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        found = lab.score(refs, scores, again=again, device=device, watch=progress)
    if as_json:
        echo(json.dumps(list(score_rows(found)), indent=2, ensure_ascii=False))
    elif as_csv:
        echo(csv_lines(score_columns(found), score_rows(found, flat=True), as_csv))
    else:
        echo("\n".join(score_lines(found)))
