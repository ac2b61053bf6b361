"""Carries out ``promptlab effect``: does this word, or setting, do anything? Tables, plots, metrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from promptlab.cli.completing import complete_runs
from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.inline_pictures import show_option, show_picture
from promptlab.cli.output import echo
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.csv import CsvForm, check_one_format, csv_options
from promptlab.cli.render.effect_table import (
    effect_csv,
    effect_json,
    effect_lines,
    sweep_effect_csv,
    sweep_effect_json,
    sweep_effect_lines,
)
from promptlab.cli.warm import open_warm_lab, server_options
from promptlab.errors import InputError, UnknownValue

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.lab.preferences.prompt_effect import PromptEffect, SweepEffect
    from promptlab.serving.remote_lab import RemoteLab

__all__ = ["effect"]


@click.command()
@click.argument("ref", metavar="RUN|last|sweep:N", shell_complete=complete_runs)
@click.option(
    "--by", multiple=True, metavar="SETTING",
    help="A setting of the sweep, or of the run's sweep; again for another. [default: all with two values]",
)  # fmt: skip
@click.option(
    "--clip-model", envvar="PROMPTLAB_CLIP_MODEL", metavar="MODEL",
    help="A CLIP model, folder or Hub id: its distance is measured as well. [default: $PROMPTLAB_CLIP_MODEL]",
)  # fmt: skip
@click.option(
    "--score", metavar="clip", help="'clip': the CLIP score of each wording or value against its own prompt, too."
)
@click.option("--device", metavar="DEVICE", help="Where CLIP runs. [default: the first that is there]")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@csv_options("As CSV: a line a wording or value, then a line a pair.")
@show_option
@workspace_options
@tracking_option
@server_options
def effect(
    ref: str,
    by: tuple[str, ...],
    clip_model: str | None,
    score: str | None,
    device: str | None,
    as_json: bool,
    as_csv: CsvForm | None,
    show: bool | None,
    workspace: str | None,
    tracking_uri: str | None,
) -> None:
    """Measure how much the wordings of a run, or settings of a sweep, change the picture, beside the seed.

    1 is as much as another seed does, 0 is nothing at all. It needs two wordings or values at two seeds or more; from
    four seeds on an interval says how sure that is. Values of a setting are compared at the same wording, seed and
    other settings, and the PSNR says how far their pictures are apart: 50 dB is a difference that nobody sees.

    \b
    promptlab run "a fox {|, masterpiece}" --seeds 0-7
    promptlab effect last
    promptlab run "a fox" --seeds 0-7 --quantization none --quantization int8
    promptlab effect last --by quantization
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    if score not in (None, "clip"):
        raise UnknownValue("--score", score, ["clip"])
    if score is not None and clip_model is None:
        raise InputError("--score", score, problem="needs a CLIP model", hint="--clip-model FOLDER_OR_ID")
    # without a CLIP model there is nothing to keep warm
    lab = (open_lab if clip_model is None else open_warm_lab)(workspace, tracking_uri)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        found = lab.effect(ref, by=by, clip_model=clip_model, score=score is not None, device=device, watch=progress)
    from promptlab.lab.preferences.prompt_effect import PromptEffect

    if isinstance(found, PromptEffect):
        _print_run(found, lab, as_json=as_json, as_csv=as_csv, show=show)
    else:
        _print_sweep(found, lab, as_json=as_json, as_csv=as_csv, show=show)


def _print_run(
    found: PromptEffect, lab: Lab | RemoteLab, *, as_json: bool, as_csv: CsvForm | None, show: bool | None
) -> None:
    source: RunOrImage = lab.history.find(str(found.run_id))
    if as_json:
        echo(json.dumps(effect_json(found, source.run), indent=2, ensure_ascii=False))
    elif as_csv:
        echo(effect_csv(found, source.run, as_csv), nl=False)
    else:
        show_picture(lab.workspace.effect(source.run.id), show)
        echo("\n".join(effect_lines(found, source.run, lab.workspace)))


def _print_sweep(
    found: SweepEffect, lab: Lab | RemoteLab, *, as_json: bool, as_csv: CsvForm | None, show: bool | None
) -> None:
    if as_json:
        echo(json.dumps(sweep_effect_json(found), indent=2, ensure_ascii=False))
    elif as_csv:
        echo(sweep_effect_csv(found, as_csv), nl=False)
    else:
        for one in found.settings:
            show_picture(lab.workspace.sweep_effect(found.sweep_id, one.name), show)
        echo("\n".join(sweep_effect_lines(found, lab.workspace)))
