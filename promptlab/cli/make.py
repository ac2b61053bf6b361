"""``promptlab run`` and ``promptlab rerun``: the two commands that make pictures."""

from __future__ import annotations

import os
from typing import Any

import click

from promptlab.cli.options import record_options, seeds_type, setting, setting_options
from promptlab.cli.progress import Progress
from promptlab.cli.text import plan_lines, run_lines
from promptlab.errors import InputError, UnknownValue
from promptlab.expand import from_prompts, read_prompts
from promptlab.expand.labels import labelled
from promptlab.lab import DEFAULT_EXPERIMENT, Lab, Wording
from promptlab.models import DEFAULT_MODEL
from promptlab.spec import PipelineSpec, RunSpec

__all__ = ["rerun", "run"]


@click.command()
@click.argument("prompts", nargs=-1, metavar="PROMPT...")
@click.option("--prompts-file", metavar="FILE", help="More prompts, one a line.")
@click.option("--seeds", "--seed", type=seeds_type(), metavar="SEEDS", help="0-7, or 1,5,9, or random:4. [default: 0]")
@setting_options
@record_options
def run(prompts: tuple[str, ...], prompts_file: str | None, seeds: tuple[int, ...] | None, **typed: Any) -> None:
    """Make a grid: every PROMPT (a row) at every seed (a column), under one setting.

    Without --model it uses the small model that ships with PromptLab, which needs no network and no GPU.
    In a PROMPT, {a|b||c} stands for one prompt each; a brace that is meant is written \\{.

    \b
    promptlab run "portrait photo of a old warrior chief" --seeds 0-7
    promptlab run "a {red|blue} fox" --seeds random:4 --scheduler dpmsolver++ --steps 20
    """
    if prompts_file is not None:
        prompts += read_prompts(prompts_file)
    negative = typed.pop("negative_prompt") or ""
    changes = setting(typed)
    spec = RunSpec(
        pipeline=PipelineSpec(model=changes.pop("model", DEFAULT_MODEL)),
        variants=labelled(from_prompts(prompts, negative_prompt=negative)),
        seeds=(0,) if seeds is None else seeds,
    ).vary(**changes)
    lab = lab_in(typed.pop("workspace"))
    if typed.pop("dry_run"):
        click.echo("\n".join(plan_lines(lab.resolve(spec))))
        return
    experiment = typed.pop("experiment") or DEFAULT_EXPERIMENT
    with Progress() as progress:
        record = lab.run(spec, experiment=experiment, watch=progress, **typed)
    click.echo("\n".join(run_lines(record, lab.workspace)))


@click.command()
@click.argument("source", metavar="RUN|last|IMAGE.png")
@click.option("--seed", "picked", type=seeds_type(), metavar="SEEDS", help="Keep only these of the parent's seeds.")
@click.option("--seeds", type=seeds_type(), metavar="SEEDS", help="Other seeds than the parent's.")
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="Other words; several are several rows.")
@click.option("--append", multiple=True, metavar="TEXT", help="Words after every prompt; several are joined.")
@click.option("--prepend", multiple=True, metavar="TEXT", help="Words before every prompt; several are joined.")
@click.option("--replace", multiple=True, metavar="OLD=>NEW", help="Other words in place; {a|b||c} gives a row each.")
@setting_options
@record_options
def rerun(
    source: str,
    picked: tuple[int, ...] | None,
    seeds: tuple[int, ...] | None,
    prompts: tuple[str, ...],
    append: tuple[str, ...],
    prepend: tuple[str, ...],
    replace: tuple[str, ...],
    **typed: Any,
) -> None:
    """Make a run, or one picture of it, again with other words, seeds or settings.

    What is not named is inherited. The new run remembers where it came from and what changed.

    \b
    promptlab rerun last --seed 1 --replace "a old=>{the oldest|a old|a|a young}"
    promptlab rerun 3/12 --append ", hard rim lighting" --steps 50
    promptlab rerun images/00003/v00-seed1.png --scheduler unipc
    """
    if picked is not None and seeds is not None:
        raise InputError("--seeds", problem="is said beside --seed", allowed="--seed to keep, or --seeds for others")
    wording = Wording(
        prompts=prompts,
        append=append,
        prepend=prepend,
        replace=replace,
        negative_prompt=typed.pop("negative_prompt"),
    )
    changes = setting(typed) | ({} if seeds is None else {"seeds": seeds})
    lab = lab_in(typed.pop("workspace"))
    parent = lab.source(source)
    if typed.pop("dry_run"):
        spec = lab.variation(parent, seeds=picked or (), wording=wording, changes=changes)
        click.echo("\n".join(plan_lines(lab.resolve(spec), parent=parent.run)))
        return
    with Progress() as progress:
        record = lab.rerun(parent, seeds=picked or (), wording=wording, changes=changes, watch=progress, **typed)
    click.echo("\n".join(run_lines(record, lab.workspace)))


def lab_in(workspace: str | None) -> Lab:
    """The lab of a command. ``PROMPTLAB_ENGINE=painter`` paints instead of diffusing."""
    engine = os.environ.get("PROMPTLAB_ENGINE", "diffusers")
    if engine == "diffusers":
        return Lab(workspace)
    if engine == "painter":
        from promptlab.testing import Painter

        return Lab(workspace, engine=Painter())
    raise UnknownValue("PROMPTLAB_ENGINE", engine, ["diffusers", "painter"])
