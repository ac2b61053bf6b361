"""The options that commands share, each with the name diffusers has for it beside the short one.

An option that is not named is ``None``: on ``run`` the pipeline's own default, on ``rerun`` the parent's value. So the
same decorators serve both, and :func:`setting` keeps only what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from promptlab.engine.schedulers import ALIASES, parse_scheduler
from promptlab.errors import InputError, UnknownValue
from promptlab.expand.seeds import parse_seeds
from promptlab.models import bundled_models
from promptlab.spec import DTYPES, Scalar, SchedulerSpec, options, parse_scalar

__all__ = ["in_workspace", "record_options", "seeds_type", "setting", "setting_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT: Final = "default"
"""Typed in place of a scheduler or a VAE: the model's own again."""


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


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            "--guidance", text, problem="is not a number", allowed="0 or more", hint="--guidance 7.5"
        ) from None


def _size(text: str) -> tuple[int, int]:
    """``512`` or ``512x768``, width first, as people say it."""
    match = re.fullmatch(r"\s*(\d{1,6})(?:\s*[x×*]\s*(\d{1,6}))?\s*", text, flags=re.IGNORECASE)
    if match is None:
        raise InputError(
            "--size", text, problem="is no size", allowed="pixels, as 512 or as WIDTHxHEIGHT", hint="--size 512x768"
        )
    return int(match[1]), int(match[2] or match[1])


def _dtype(text: str) -> str:
    name = {"fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32"}.get(text, text)
    if name not in DTYPES:
        raise UnknownValue("--dtype", text, DTYPES, hint="--dtype float16")
    return name


def _scheduler(text: str) -> SchedulerSpec | str:
    return DEFAULT if text == DEFAULT else parse_scheduler(text)


def _argument(text: str) -> tuple[str, Scalar]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip().isidentifier()):
        raise InputError("--set", text, problem="is no NAME=VALUE", hint="--set eta=0.5")
    return name.strip(), parse_scalar(value.strip())


def setting_options(command: Command) -> Command:
    """What goes into the pipeline and its call."""
    model = Typed("model", str, lambda: list(bundled_models()))
    scheduler = Typed("scheduler", _scheduler, lambda: [DEFAULT, *ALIASES])
    dtype = Typed("dtype", _dtype, lambda: list(DTYPES))
    guidance = Typed("number", _number)
    steps, height, width, batch_size = (
        whole(option, hint)
        for option, hint in (("--steps", "20"), ("--height", "512"), ("--width", "512"), ("--batch-size", "4"))
    )
    every = [
        click.option("--negative", "--negative-prompt", "negative_prompt", metavar="TEXT",
                     help="What to steer away from."),
        click.option("--model", metavar="MODEL", type=model,
                     help="Hub id, folder, .safetensors file, or a bundled model."),
        click.option("--revision", metavar="REV", help="Branch, tag or commit of the model on the Hub."),
        click.option("--variant", metavar="NAME", help="Weights variant on the Hub, such as fp16."),
        click.option("--vae", metavar="VAE",
                     help="Another VAE: Hub id, folder or file; 'default' for the model's own."),
        click.option("--scheduler", metavar="NAME[:OPTION=VALUE,…]", type=scheduler,
                     help="Class name or alias; 'promptlab schedulers' lists them. 'default' for the model's own."),
        click.option("--steps", "--num-inference-steps", "num_inference_steps", type=steps, metavar="N",
                     help="Denoising steps."),
        click.option("--guidance", "--guidance-scale", "guidance_scale", type=guidance, metavar="SCALE",
                     help="Guidance scale."),
        click.option("--size", type=Typed("size", _size), metavar="W[xH]",
                     help="Pixels: 512, or 512x768 (width first)."),
        click.option("--height", type=height, metavar="PIXELS", help="With --width, instead of --size."),
        click.option("--width", type=width, metavar="PIXELS", help="With --height, instead of --size."),
        click.option("--dtype", "--torch-dtype", type=dtype, metavar="DTYPE",
                     help="float32, float16 or bfloat16. [default: float16 on CUDA, float32 on a CPU]"),
        click.option("--device", metavar="DEVICE", help="cuda, cuda:1, mps or cpu. [default: the first that is there]"),
        click.option("--generator-device", metavar="DEVICE",
                     help="Where the noise is drawn. [default: cpu, the same noise for every device]"),
        click.option("--set", "arguments", multiple=True, type=Typed("argument", _argument), metavar="NAME=VALUE",
                     help="A further argument of the pipeline's call, by its diffusers name."),
        click.option("--batch-size", type=batch_size, metavar="N",
                     help="Images per forward. [default: 4, or the number of images]"),
    ]  # fmt: skip
    return _all(every, command)


def record_options(command: Command) -> Command:
    """Where and under which name a run is remembered."""
    every = [
        click.option("--experiment", metavar="NAME", help="The line of work; an MLflow experiment."),
        click.option("--name", metavar="NAME", help="A name for the run."),
        click.option("--note", metavar="TEXT", help="Why, in a sentence: kept with the run."),
        click.option("--dry-run", is_flag=True, help="Check everything, say what would be made, make nothing."),
    ]
    return in_workspace(_all(every, command))


def in_workspace(command: Command) -> Command:
    """The folder everything lies in."""
    return click.option(
        "--workspace", envvar="PROMPTLAB_WORKSPACE", metavar="FOLDER",
        help="Where everything is kept. [default: the current folder, or $PROMPTLAB_WORKSPACE]",
    )(command)  # fmt: skip


def setting(typed: dict[str, Any]) -> dict[str, Any]:
    """Take the setting out of a command's arguments: fields of the spec, only those that were typed.

    Raises:
        InputError: when ``--size`` stands beside ``--height`` or ``--width``.
    """
    given = {name: typed.pop(name) for name in _SETTING if name in typed}
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    size = found.pop("size", None)
    if size is not None:
        if "height" in found or "width" in found:
            raise InputError(
                "--size", f"{size[0]}x{size[1]}", problem="is said twice", allowed="--size, or --height and --width"
            )
        found["width"], found["height"] = size
    if given.get("arguments"):
        found["arguments"] = options(dict(given["arguments"]))
    else:
        found.pop("arguments", None)
    for name in ("vae", "scheduler"):
        if found.get(name) == DEFAULT:
            found[name] = None
    return found


_SETTING: Final = (
    "model", "revision", "variant", "vae", "scheduler", "num_inference_steps", "guidance_scale", "size", "height",
    "width", "dtype", "device", "batch_size", "generator_device", "arguments",
)  # fmt: skip


def seeds_type() -> Typed:
    """``0-7``, ``1,5,9``, ``random:4``."""
    return Typed("seeds", parse_seeds)


def _all(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
