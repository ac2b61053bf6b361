"""``promptlab probe``: the search for the batch size that fits, as a table."""

from __future__ import annotations

import json
import shlex
from typing import Any

import click

from promptlab.cli.generate import lab_in
from promptlab.cli.options import in_workspace, setting_options, told_to
from promptlab.cli.parse import changes_asked
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.batch_sizes import probe_lines
from promptlab.errors import InputError
from promptlab.expand.fields import FIELDS
from promptlab.expand.values import read_values
from promptlab.models import DEFAULT_MODEL
from promptlab.records import plain
from promptlab.specs import AUTO, PipelineSpec, RunSpec, Variant

__all__ = ["probe"]


@click.command()
@setting_options
@click.option("--prompt", default="a photograph", metavar="TEXT", help="What is drawn. [default: a photograph]")
@click.option("--experiment", default="probes", metavar="NAME", help="An MLflow experiment. [default: probes]")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@in_workspace
@told_to
def probe(
    prompt: str, experiment: str, as_json: bool, workspace: str | None, tracking_uri: str | None, **typed: Any
) -> None:
    """Try out batch sizes: seconds per image and peak memory, with and without attention slicing.

    Takes a few steps of each size, 1, 2, 4 and 8 unless --batch-size names others, until one does not fit. Makes no
    pictures to keep; what was measured is remembered for --batch-size auto, and told to MLflow.

    \b
    promptlab probe
    promptlab probe --model stable-diffusion-v1-5/stable-diffusion-v1-5 --dtype float16 --steps 20
    promptlab probe --batch-size 1,2,4,8,16 --size 768 --no-attention-slicing
    """
    from promptlab.lab.maintenance.batch_size_probe import SHARE, SIZES

    sizes = _sizes(typed.pop("batch_size")) or SIZES
    slicing = tuple(dict.fromkeys(typed.pop("attention_slicing"))) or (False, True)
    _check_single(typed)
    negative = typed.pop("negative")
    changes = changes_asked({**typed, "batch_size": (), "attention_slicing": ()})
    variant = Variant(prompt=prompt, negative_prompt=negative[0] if negative else "")
    spec = RunSpec(pipeline=PipelineSpec(model=DEFAULT_MODEL), variants=(variant,), seeds=(0,)).vary(**changes)
    lab = lab_in(workspace, tracking_uri)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        found = lab.probe(spec, sizes=sizes, slicing=slicing, experiment=experiment, watch=progress)
    if as_json:
        click.echo(json.dumps(plain(found), indent=2, ensure_ascii=False))
        return
    click.echo("\n".join(probe_lines(found, SHARE, typed=_typed(click.get_current_context()))))


def _sizes(texts: tuple[str, ...]) -> tuple[int, ...]:
    """The sizes that were typed, smallest first."""
    field = FIELDS["batch_size"]
    found = {size for text in texts for size in read_values(field, text, what=field.option) if text != AUTO}
    if None in found:
        raise InputError(field.option, problem="has no default here", allowed="numbers", hint="--batch-size 1,2,4")
    return tuple(sorted(found))


def _typed(context: click.Context) -> list[str]:
    """The options of the setting that were typed, to be typed again."""
    words: list[str] = []
    for option in context.command.params:
        values = context.params.get(str(option.name))
        if not isinstance(values, tuple) or option.name in ("batch_size", "attention_slicing"):
            continue
        for value in values:
            if isinstance(value, bool):
                words.append((option.opts if value else option.secondary_opts)[0])
            else:
                text = f"{value[0]}={value[1]}" if isinstance(value, tuple) else str(value)
                words += [option.opts[0], shlex.quote(text)]
    return words


def _check_single(typed: dict[str, Any]) -> None:
    for name, values in typed.items():
        if name != "arguments" and len(values) > 1:
            option = FIELDS[name].option
            raise InputError(option, problem=f"has {len(values)} values", allowed="one setting at a time in a probe")
