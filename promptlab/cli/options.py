"""The options that commands share, each with the name diffusers has for it beside the short one.

What was typed stays text: :mod:`promptlab.cli.parse` hands it to :mod:`promptlab.expand`, which reads options and files
alike and names the option that is wrong. An option that is not named is empty: on ``run`` the file's value or the
pipeline's own default, on ``rerun`` the parent's. So the same decorators serve both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from promptlab.cli.paths import DATABASE
from promptlab.errors import InputError
from promptlab.expand.values import DEFAULT
from promptlab.models import bundled_models
from promptlab.specs import DTYPES, OFFLOADS, Scalar, parse_scalar
from promptlab.specs.schedulers import ALIASES
from promptlab.tracking.address import TrackingAddress

__all__ = [
    "Typed",
    "allow_pickle_option",
    "database_named",
    "dry_run_option",
    "experiment_options",
    "in_workspace",
    "machine_options",
    "pickle_allowed",
    "record_options",
    "setting_options",
    "told_to",
    "whole",
]

_ALLOW_PICKLE: Final = "promptlab.allow_pickle"
_DATABASE: Final = "promptlab.database"

Command = TypeVar("Command", bound=Callable[..., Any])


class Typed(click.ParamType[Any]):
    """A parameter type from a function, so that its errors are PromptLab's sentences and not click's."""

    def __init__(self, name: str, parse: Callable[[str], Any], choices: Callable[[], list[str]] = list) -> None:
        self.name, self._parse, self._choices = name, parse, choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002 - click's signature
        """What was typed, understood."""
        return self._parse(value) if isinstance(value, str) else value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The choices that begin with what is typed so far."""
        return [CompletionItem(choice) for choice in self._choices() if choice.startswith(incomplete)]


def whole(option: str, hint: str) -> Typed:
    """A whole number; its range is the spec's business."""

    def parse(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise InputError(
                option, text, problem="is not a whole number", allowed="1 or more", hint=f"{option} {hint}"
            ) from None

    return Typed("integer", parse)


def _argument(text: str) -> tuple[str, Scalar]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip().isidentifier()):
        raise InputError("--set", text, problem="is no NAME=VALUE", hint="--set eta=0.5")
    return name.strip(), parse_scalar(value.strip())


def setting_options(command: Command) -> Command:
    """What goes into the pipeline and its call; each may be typed several times. ``run`` makes an axis of several."""
    model = Typed("model", str, lambda: list(bundled_models()))
    scheduler = Typed("scheduler", str, lambda: [DEFAULT, *ALIASES])
    dtype = Typed("dtype", str, lambda: list(DTYPES))
    every = [
        _several("--negative", "--negative-prompt", "negative", metavar="TEXT", help="What to steer away from."),
        _several("--model", metavar="MODEL", type=model,
                 help="Hub id, folder, .safetensors file, or a bundled model."),
        _several("--revision", metavar="REV", help="Branch, tag or commit of the model on the Hub."),
        _several("--variant", metavar="NAME", help="Weights variant on the Hub, such as fp16."),
        _several("--config", metavar="FOLDER|ID",
                 help="Configuration of a .safetensors model: folder or Hub id. [default: told from the file]"),
        _several("--vae", metavar="VAE", help="Another VAE: Hub id, folder or file; 'default' for the model's own."),
        _several("--scheduler", metavar="NAME[:OPTION=VALUE,…]", type=scheduler,
                 help="Class name or alias; 'promptlab schedulers' lists them. 'default' for the model's own."),
        _several("--lora", metavar="NAME[:WEIGHT]",
                 help="LoRA weights on top: file, folder or Hub id. A + B uses both together; typed twice is an axis; "
                 "'none' for none."),
        _several("--textual-inversion", "--embedding", "textual_inversion", metavar="NAME[:TOKEN]",
                 help="Embeddings for a word of their own: file, folder or Hub id; like --lora."),
        _switch("--weighting", help="Weights in prompts, (words)1.3 or words++, and more than 77 tokens: compel."),
        _several("--clip-skip", metavar="N", help="Layers of the CLIP encoders left out at the end."),
        _several("--steps", "--num-inference-steps", "steps", metavar="N", help="Denoising steps."),
        _several("--guidance", "--guidance-scale", "guidance", metavar="SCALE", help="Guidance scale."),
        _several("--guidance-rescale", metavar="SHARE", help="0 to 1: scale guided steps back to their spread."),
        _several("--guidance-until", metavar="SHARE", help="0 to 1: drop guidance after that share of the steps."),
        _several("--variation-seed", metavar="SEED", help="A second seed, whose noise is mixed in."),
        _several("--variation-strength", metavar="SHARE", help="0 to 1: how much of it."),
        _several("--size", metavar="W[xH]", help="Pixels: 512, or 512x768 (width first)."),
        _several("--height", metavar="PIXELS", help="With --width, instead of --size."),
        _several("--width", metavar="PIXELS", help="With --height, instead of --size."),
        _several("--dtype", "--torch-dtype", "dtype", type=dtype, metavar="DTYPE",
                 help="float32, float16 or bfloat16. [default: float16 on CUDA, float32 on a CPU]"),
        _several("--device", metavar="DEVICE", help="cuda, cuda:1, mps or cpu. [default: the first that is there]"),
        _several("--generator-device", metavar="DEVICE",
                 help="Where the noise is drawn. [default: cpu, the same noise for every device]"),
        _several("--set", "arguments", type=Typed("argument", _argument), metavar="NAME=VALUE",
                 help="A further argument of the pipeline's call, by its diffusers name."),
        _several("--batch-size", metavar="N|auto",
                 help="Images per forward; auto: the most that fit. [default: 4, or the number of images]"),
    ]  # fmt: skip
    return allow_pickle_option(_all(every, machine_options(command)))


def machine_options(command: Command) -> Command:
    """How the machine carries it out. A switch typed both ways is an axis of both."""
    every = [
        _switch("--attention-slicing", help="Attention one slice of the heads after the other: less memory."),
        _switch("--vae-slicing", help="Decode pictures one by one: less memory."),
        _switch("--vae-tiling", help="Decode large pictures in tiles: less memory, other bytes."),
        _several("--offload", metavar="HOW", type=Typed("offload", str, lambda: list(OFFLOADS)),
                 help="Weights wait in the CPU's memory: model, sequential or group."),
        _several("--attention-backend", metavar="NAME", help="Kernels for attention, by diffusers' name."),
        _switch("--compile", help="Compile the denoiser: a minute first, quicker then."),
        _switch("--channels-last", help="Convolutions with the channels innermost."),
        _switch("--exact", help="Out of memory, fail instead of going on with smaller batches."),
    ]  # fmt: skip
    return _all(every, command)


def allow_pickle_option(command: Command) -> Command:
    """Pickled weights. No parameter of the command: :func:`pickle_allowed` asks the command being carried out, so that
    the flag reaches the engine and nothing that is remembered."""
    return click.option(
        "--allow-pickle", is_flag=True, expose_value=False, callback=_remember_for_now,
        help="Read pickled weights (.bin, .ckpt) of a model that has no others. Not remembered: type it again.",
    )(command)  # fmt: skip


def pickle_allowed() -> bool:
    """Whether ``--allow-pickle`` was typed for the command being carried out."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_ALLOW_PICKLE))


def _remember_for_now(ctx: click.Context, _: click.Parameter, typed: bool) -> None:
    ctx.meta[_ALLOW_PICKLE] = typed


def experiment_options(command: Command) -> Command:
    """What ``run`` and ``plan`` draw: a file, prompts, seeds, and what is done to the prompts."""
    every = [
        click.argument("prompts", nargs=-1, metavar="[PROMPT]..."),
        click.option("-f", "--file", metavar="FILE", help="An experiment file (YAML); - reads standard input."),
        click.option("--like", metavar="FILE.png", help="Start from what a picture says it was made from."),
        click.option("--prompts-file", metavar="FILE", help="More prompts, one a line."),
        _several("--seeds", "--seed", "seeds", metavar="SEEDS",
                 help="0-7, or 1,5,9, or random:4; several are joined. [default: 0]"),
        _several("--replace", metavar="OLD=>NEW", help="Other words in place; {a|b||c} gives a row each."),
        _several("--fragment", "fragments", metavar="TEXT", help="Words behind every prompt, switched on and off."),
        _several("--order", metavar="PART", help="Parts of the prompt in every order; ',' for all between commas."),
        click.option("--sample", metavar="N", help="Draw N of the prompts that templates give, instead of all."),
        click.option("--template-seed", metavar="S", help="What they are drawn with. [default: 0]"),
    ]  # fmt: skip
    return _all(every, command)


def record_options(command: Command) -> Command:
    """Where and under which name a run is remembered."""
    every = [
        click.option("--experiment", metavar="NAME", help="The line of work; an MLflow experiment."),
        click.option("--name", metavar="NAME", help="A name for the run."),
        click.option("--note", metavar="TEXT", help="Why, in a sentence: kept with the run."),
        click.option("--again", is_flag=True, help="Make anew what was made before, instead of linking it."),
    ]
    return in_workspace(_all(every, command))


def dry_run_option(command: Command) -> Command:
    """Plan only."""
    return click.option("--dry-run", is_flag=True, help="Check everything, say what would be made, make nothing.")(
        command
    )


def in_workspace(command: Command) -> Command:
    """The folder everything lies in; and where its rows are, of which :func:`database_named` tells."""
    database = click.option(
        "--database", envvar=DATABASE, metavar="URL", expose_value=False, callback=_remember_database,
        help="Where records are kept, postgresql://USER@HOST/NAME. [default: mlflow.db in the workspace, "
        f"or ${DATABASE}]",
    )  # fmt: skip
    return click.option(
        "--workspace", envvar="PROMPTLAB_WORKSPACE", metavar="FOLDER",
        help="Where everything is kept. [default: the current folder, or $PROMPTLAB_WORKSPACE]",
    )(database(command))  # fmt: skip


def database_named() -> str | None:
    """What ``--database`` says in the command being carried out; ``None`` for the workspace's own."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_DATABASE)


def _remember_database(ctx: click.Context, param: click.Parameter, typed: str | None) -> None:
    """An address that is none is refused before anything is done."""
    if not typed:
        return
    from promptlab.store.address import read_address

    typed_here = ctx.get_parameter_source(str(param.name)) is not ParameterSource.ENVIRONMENT
    read_address(typed, what="--database" if typed_here else DATABASE)
    ctx.meta[_DATABASE] = typed


def told_to(command: Command) -> Command:
    """Which MLflow is told. Without it, that of the workspace."""
    return click.option(
        "--tracking-uri", envvar="PROMPTLAB_TRACKING_URI", callback=_tracking_uri, metavar="URI",
        help="An MLflow server to tell instead of the workspace's own, http://HOST:PORT. "
        "[default: $PROMPTLAB_TRACKING_URI, or $MLFLOW_TRACKING_URI where that is http(s)]",
    )(command)  # fmt: skip


def _tracking_uri(ctx: click.Context, param: click.Parameter, typed: str | None) -> str | None:
    """What was typed or stands in the environment; an address that is none is refused before anything is done."""
    ambient = os.environ.get("MLFLOW_TRACKING_URI", "")
    what = "MLFLOW_TRACKING_URI"
    if typed:
        what = "--tracking-uri"
        if ctx.get_parameter_source(str(param.name)) is ParameterSource.ENVIRONMENT:
            what = "PROMPTLAB_TRACKING_URI"
    elif not ambient.startswith(("http://", "https://")):
        return None
    TrackingAddress.read(typed or ambient, what=what)
    return typed or ambient


def _several(*names: str, metavar: str, help: str, type: Typed | None = None) -> Callable[[Command], Command]:  # noqa: A002 - click's names
    return click.option(*names, metavar=metavar, help=help, type=type, multiple=True)


def _switch(name: str, *, help: str) -> Callable[[Command], Command]:  # noqa: A002 - click's name
    return click.option(f"{name}/--no-{name.removeprefix('--')}", multiple=True, help=help)


def _all(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
