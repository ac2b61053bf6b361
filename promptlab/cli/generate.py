"""The commands that make pictures, ``run``, ``rerun`` and ``resume``, and the one that says what they would make."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

from promptlab.cli.inline_pictures import show_option, show_picture
from promptlab.cli.options import (
    allow_pickle_option,
    database_named,
    dry_run_option,
    experiment_options,
    in_workspace,
    pickle_allowed,
    record_options,
    setting_options,
    told_to,
)
from promptlab.cli.parse import changes_asked, experiment_asked, seeds_asked, sweep_asked
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.made import run_lines, runs_lines, sweep_lines
from promptlab.cli.render.plan import plan_lines
from promptlab.errors import InputError, UnknownValue
from promptlab.specs import AUTO

if TYPE_CHECKING:
    from promptlab.lab import Lab, PromptEdit

__all__ = ["lab_in", "plan", "rerun", "resume", "run"]


@click.command()
@experiment_options
@setting_options
@record_options
@told_to
@show_option
@dry_run_option
def run(dry_run: bool, inline: bool | None, **typed: Any) -> None:
    """Make a grid: every PROMPT (a row) at every seed (a column), under one setting.

    Without --model it uses the small model that ships with PromptLab, which needs no network and no GPU.
    In a PROMPT, {a|b||c} stands for one prompt each; a brace that is meant is written \\{.
    A setting with several values, --steps 10-30 (+10) or typed several times, makes a sweep: a run for each
    combination. Options override the file. What was made before is linked, not made again.

    \b
    promptlab run "portrait photo of a old warrior chief" --seeds 0-7
    promptlab run "a {red|blue} fox" --seeds random:4 --scheduler dpmsolver++ --steps 20
    promptlab run "a fox" --seeds 0-3 --scheduler euler --scheduler unipc --dtype float32 --dtype bfloat16
    promptlab run -f warrior.yaml --steps 30
    """
    if dry_run:
        _say_plan(typed)
        return
    experiment = experiment_asked(typed)
    sweep = sweep_asked(experiment)
    from promptlab.lab import DEFAULT_EXPERIMENT

    lab = lab_in(typed.pop("workspace"), typed.pop("tracking_uri"))
    remembered = {
        "experiment": experiment.experiment or DEFAULT_EXPERIMENT, "name": experiment.name, "note": experiment.note,
        **typed,
    }  # fmt: skip
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        if len(sweep.cells) == 1:
            record = lab.run(sweep.cells[0].spec, watch=progress, **remembered)
            grid = lab.workspace.grid(record.id)
            lines = run_lines(record, lab.workspace, reused=record.id not in progress.began)
        else:
            made = lab.run_sweep(sweep, watch=progress, **remembered)
            grid = lab.workspace.sweep_grid(made.id, 1)
            lines = sweep_lines(made, lab.history.list(), lab.workspace, new=progress.made)
    show_picture(grid, inline)
    click.echo("\n".join(lines))


@click.command()
@experiment_options
@setting_options
@record_options
def plan(**typed: Any) -> None:
    """Say what run would make, with the same words and options: runs, images, time, disk. Makes nothing."""
    _say_plan(typed)


def _say_plan(typed: dict[str, Any]) -> None:
    sweep = sweep_asked(experiment_asked(typed))
    planned = lab_in(typed["workspace"]).plan(sweep.specs, again=typed["again"])
    click.echo("\n".join(plan_lines(planned, sweep)))
    if any(spec.batch_size == AUTO for spec in sweep.specs):
        click.echo("  batch size auto: run tries out how many fit; this plan counts with the default")


@click.command()
@click.argument("source", metavar="RUN|last|IMAGE.png")
@click.option("--seed", "picked", multiple=True, metavar="SEEDS", help="Keep only these of the parent's seeds.")
@click.option("--seeds", multiple=True, metavar="SEEDS", help="Other seeds than the parent's.")
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="Other words; several are several rows.")
@click.option("--append", multiple=True, metavar="TEXT", help="Words after every prompt; several are joined.")
@click.option("--prepend", multiple=True, metavar="TEXT", help="Words before every prompt; several are joined.")
@click.option("--replace", multiple=True, metavar="OLD=>NEW", help="Other words in place; {a|b||c} gives a row each.")
@setting_options
@record_options
@told_to
@show_option
@dry_run_option
def rerun(
    source: str, picked: tuple[str, ...], seeds: tuple[str, ...], dry_run: bool, inline: bool | None, **typed: Any
) -> None:
    """Make a run, or one picture of it, again with other words, seeds or settings.

    What is not named is inherited. The new run remembers where it came from and what changed.

    \b
    promptlab rerun last --seed 1 --replace "a old=>{the oldest|a old|a|a young}"
    promptlab rerun 3/12 --append ", hard rim lighting" --steps 50
    promptlab rerun images/00003/v00-seed1.png --scheduler unipc
    """
    kept, others = seeds_asked(picked, what="--seed"), seeds_asked(seeds, what="--seeds")
    if kept is not None and others is not None:
        raise InputError("--seeds", problem="is said beside --seed", allowed="--seed to keep, or --seeds for others")
    wording = _wording(typed)
    changes = changes_asked(typed) | ({} if others is None else {"seeds": others})
    lab = lab_in(typed.pop("workspace"), typed.pop("tracking_uri"))
    parent = lab.history.find(source)
    varied: dict[str, Any] = {"seeds": kept or (), "edit": wording, "changes": changes}
    if dry_run:
        planned = lab.plan([lab.rerun_spec(parent, **varied)], again=typed["again"])
        click.echo("\n".join(plan_lines(planned, parent=parent.run)))
        return
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        record = lab.rerun(parent, watch=progress, **varied, **typed)
    show_picture(lab.workspace.grid(record.id), inline)
    click.echo("\n".join(run_lines(record, lab.workspace, reused=record.id not in progress.began)))


def _wording(typed: dict[str, Any]) -> PromptEdit:
    from promptlab.lab import PromptEdit

    negative: tuple[str, ...] = typed.pop("negative")
    if len(negative) > 1:
        raise InputError("--negative", problem=f"has {len(negative)} values", allowed="one in a rerun")
    return PromptEdit(
        **{name: typed.pop(name) for name in ("prompts", "append", "prepend", "replace")},
        negative_prompt=negative[0] if negative else None,
    )


@click.command()
@click.argument("ref", required=False, metavar="[RUN|last|sweep:N]")
@in_workspace
@told_to
@allow_pickle_option
@show_option
def resume(ref: str | None, workspace: str | None, tracking_uri: str | None, inline: bool | None) -> None:
    """Make what a stopped or failed run, or sweep, still owes; without a name, whatever the workspace owes.

    \b
    promptlab resume
    promptlab resume 7
    promptlab resume sweep:3
    """
    if ref is not None and not re.fullmatch(r"last|(sweep:)?\d{1,9}", ref):
        raise InputError(
            "RUN", ref, problem="names no run and no sweep", allowed="a run's number, last, or sweep:N",
            hint="promptlab list",
        )  # fmt: skip
    lab = lab_in(workspace, tracking_uri)
    resuming = None if ref == "last" else ref or ""
    with ProgressDisplay(lab.workspace, resuming=resuming, tracking_uri=lab.tracking_uri) as progress:
        runs = lab.resume(ref, watch=progress)
    if not runs:
        click.echo("nothing is owed: " + (f"{ref} has all its images" if ref else "every run has all its images"))
    elif len(runs) == 1:
        show_picture(lab.workspace.grid(runs[0].id), inline)
        click.echo("\n".join(run_lines(runs[0], lab.workspace)))
    else:
        if runs[0].sweep_id is not None and {run.sweep_id for run in runs} == {runs[0].sweep_id}:
            show_picture(lab.workspace.sweep_grid(runs[0].sweep_id, 1), inline)
        click.echo("\n".join(runs_lines(runs, lab.workspace)))


def lab_in(workspace: str | None, tracking_uri: str | None = None) -> Lab:
    """The lab of a command. ``PROMPTLAB_ENGINE=painter`` paints instead of diffusing."""
    from promptlab.lab import Lab

    engine, database = os.environ.get("PROMPTLAB_ENGINE", "diffusers"), database_named()
    if engine == "diffusers":
        return Lab(workspace, database=database, tracking_uri=tracking_uri, allow_pickle=pickle_allowed())
    if engine == "painter":
        from promptlab.testing import Painter

        return Lab(workspace, database=database, engine=Painter(), tracking_uri=tracking_uri)
    raise UnknownValue("PROMPTLAB_ENGINE", engine, ["diffusers", "painter"])
