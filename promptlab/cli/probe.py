"""Carries out ``promptlab probe``, the search for the batch size that fits."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

import click

from promptlab.cli.completing import complete_experiments
from promptlab.cli.context import tracking_option, workspace_options
from promptlab.cli.options import setting_options
from promptlab.cli.output import echo
from promptlab.cli.parse import RunOptions, changes_of, prompt_edit_of, takes_run_options
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.batch_sizes import probe_lines
from promptlab.cli.spelling import option_of, option_off
from promptlab.cli.warm import may_refuse_early, open_planning_lab, open_warm_lab, refuse_early, server_options
from promptlab.errors import InputError
from promptlab.expand.values import read_values
from promptlab.models import DEFAULT_MODEL
from promptlab.records import plain
from promptlab.specs import AUTO, PipelineSpec, RunSpec, Variant
from promptlab.specs.settings import SETTINGS

__all__ = ["probe"]

_VARIED: Final = ("batch_size", "attention_slicing")
"""Settings of which a probe tries several values."""


@click.command()
@setting_options
@click.option("--prompt", default="a photograph", metavar="TEXT", help="What is drawn. [default: a photograph]")
@click.option(
    "--experiment",
    default="probes",
    metavar="NAME",
    shell_complete=complete_experiments,
    help="An MLflow experiment. [default: probes]",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@workspace_options
@tracking_option
@server_options
@takes_run_options
def probe(options: RunOptions, prompt: str, as_json: bool) -> None:
    """Try out batch sizes: seconds per image and peak memory, with and without attention slicing.

    Takes a few steps of each size, 1, 2, 4 and 8 unless --batch-size names others, until one does not fit. Makes no
    pictures to keep; what was measured is remembered for --batch-size auto, and told to MLflow.

    \b
    promptlab probe
    promptlab probe --model stable-diffusion-v1-5/stable-diffusion-v1-5 --dtype float16 --steps 20
    promptlab probe --batch-size 1,2,4,8,16 --size 768 --no-attention-slicing
    """
    from promptlab.lab.maintenance.batch_size_probe import SHARE, SIZES

    sizes = _sizes(options.settings.get("batch_size", ())) or SIZES
    slicing = tuple(map(bool, dict.fromkeys(options.settings.get("attention_slicing", ())))) or (False, True)
    spec = _spec(options, prompt)
    experiment = options.experiment or ""
    if not as_json:
        _say_fit(options, spec)
    lab = open_warm_lab(options.workspace, options.tracking_uri)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        found = lab.probe(spec, sizes=sizes, slicing=slicing, experiment=experiment, watch=progress)
    if as_json:
        echo(json.dumps(plain(found), indent=2, ensure_ascii=False))
        return
    echo("\n".join(probe_lines(found, SHARE, typed=list(_typed_again(options)))))


def _say_fit(options: RunOptions, spec: RunSpec) -> None:
    """Say beforehand what the weights will take, before they are downloaded for the measurement."""
    from promptlab.cli.fitting import fit_of
    from promptlab.cli.render.fit import fit_lines

    if not may_refuse_early():
        return
    refuse_early([spec])
    resolved = open_planning_lab(options.workspace).plan([spec]).runs[0].resolved
    fit = fit_of([resolved])
    if fit is not None and (fit.absent or not fit.fits):
        echo("\n".join(fit_lines(resolved.spec.pipeline.model, fit)), err=True)


def _spec(options: RunOptions, prompt: str) -> RunSpec:
    """Return the setting that is probed, one value each; sizes and slicing are what the probe varies.

    Raises:
        InputError: for a setting with several values.
    """
    settings = {name: values for name, values in options.settings.items() if name not in _VARIED}
    for name, values in settings.items():
        if len(values) > 1:
            raise InputError(name, problem=f"has {len(values)} values", allowed="one setting at a time in a probe")
    changes = changes_of(dataclasses.replace(options, settings=settings))
    negative = prompt_edit_of(options).negative_prompt or ""
    variant = Variant(prompt=prompt, negative_prompt=negative)
    return RunSpec(pipeline=PipelineSpec(model=DEFAULT_MODEL), variants=(variant,), seeds=(0,)).vary(**changes)


def _sizes(texts: Sequence[str | bool]) -> tuple[int, ...]:
    """Return the batch sizes that were typed, smallest first."""
    row = SETTINGS["batch_size"]
    found = {size for text in texts for size in read_values(row, text, what=row.field) if text != AUTO}
    if None in found:
        raise InputError(row.field, problem="has no default here", allowed="numbers", hint="--batch-size 1,2,4")
    return tuple(sorted(found))


def _typed_again(options: RunOptions) -> Iterator[str]:
    """Yield the options that were typed, as words to type again."""
    for name, values in options.settings.items():
        setting = SETTINGS[name]
        for value in values if name not in _VARIED else ():
            if isinstance(value, bool):
                yield option_of(setting) if value else option_off(setting)
            else:
                yield from (option_of(setting), shlex.quote(value))
    for name, argument in options.arguments:
        yield from ("--set", shlex.quote(f"{name}={argument}"))
