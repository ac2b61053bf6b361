"""Completes what a workspace or a model knows: runs, images, seeds, experiments, schedulers.

Called when somebody presses the tab key, so nothing heavy is imported; and whatever goes wrong, nothing is offered:
there is nobody to tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from promptlab.errors import one_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from promptlab.lab import Lab
    from promptlab.records import RunSummary

__all__ = [
    "Completer",
    "complete_experiments",
    "complete_refs",
    "complete_runs",
    "complete_schedulers",
    "complete_seeds",
    "complete_settings",
    "complete_styles",
]

Offer = tuple[str, str]
"""Holds what is typed, and what a shell says of it."""

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

_MOST: Final = 200
"""Runs that are offered; a shell shows no more, and asks before it shows as many."""


def _completer(offers: Callable[[click.Context, str], Iterable[Offer]]) -> Completer:
    """Return what click calls for what ``offers`` yields."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found: dict[str, str] = {}
        with suppress(Exception), ctx.scope(cleanup=False):
            found.update(offer for offer in offers(ctx, incomplete) if offer[0].startswith(incomplete))
        return [CompletionItem(value, help=help_text or None) for value, help_text in found.items()]

    return complete


def _lab(ctx: click.Context) -> Lab:
    from promptlab.cli.context import open_lab

    return open_lab(ctx.params.get("workspace") or os.environ.get("PROMPTLAB_WORKSPACE"))


def _summaries(ctx: click.Context) -> tuple[RunSummary, ...]:
    return _lab(ctx).history.list(limit=_MOST)


def _runs(ctx: click.Context, _: str) -> Iterator[Offer]:
    runs = _summaries(ctx)
    if runs:
        yield "last", one_line(runs[0].prompt, limit=60)
    for run in runs:
        yield str(run.id), one_line(run.name or run.prompt, limit=60)


def _refs(ctx: click.Context, incomplete: str) -> Iterator[Offer]:
    """Yield runs and, once one is named, its images: by place behind a slash, by seed behind an @."""
    name, slash, _ = incomplete.partition("/")
    if not slash:
        name, at, _ = incomplete.partition("@")
        if not at:
            yield from _runs(ctx, incomplete)
            return
    run = _lab(ctx).history.find(name).run
    for image in run.images:
        about = f"seed {image.seed}: {one_line(run.variants[image.variant].variant.prompt, limit=60)}"
        yield f"{name}/{image.position}" if slash else f"{name}@seed:{image.seed}", about


def _seeds(ctx: click.Context, _: str) -> Iterator[Offer]:
    """Yield the seeds of the run that a rerun is of."""
    source = ctx.params.get("source") or _first_word()
    if source is not None:
        yield from ((str(seed), "") for seed in _lab(ctx).history.find(source).run.spec.seeds)


def _experiments(ctx: click.Context, _: str) -> Iterator[Offer]:
    yield from ((name, "") for name in dict.fromkeys(run.experiment for run in _summaries(ctx)))


def _styles(ctx: click.Context, _: str) -> Iterator[Offer]:
    """Yield the styles of the workspace and of the user's config file."""
    from promptlab.expand.defaults import read_defaults
    from promptlab.workspace import Workspace

    folder = ctx.params.get("workspace") or os.environ.get("PROMPTLAB_WORKSPACE")
    for style in read_defaults(Workspace.at(folder).root).styles.values():
        yield style.name, one_line(style.prompt or style.negative, limit=60)


def _settings(_: click.Context, __: str) -> Iterator[Offer]:
    from promptlab.expand.defaults_file import default_names

    yield from ((name, "") for name in default_names())


def _schedulers(ctx: click.Context, _: str) -> Iterator[Offer]:
    """Yield the schedulers that fit the model which is typed, the parent's, or the bundled one."""
    from promptlab.expand.values import DEFAULT
    from promptlab.specs.schedulers import ALIASES

    fitting: frozenset[str] | None = None
    with suppress(Exception):  # a model that is not there, or one that only torch could read: all are offered
        fitting = _fitting(_model(ctx))
    yield DEFAULT, "the model's own"
    for alias, spec in ALIASES.items():
        if fitting is None or spec.name in fitting:
            yield alias, str(spec)


def _model(ctx: click.Context) -> str:
    from promptlab.models import DEFAULT_MODEL

    typed = ctx.params.get("model")
    if typed:
        return str(typed if isinstance(typed, str) else typed[-1])
    if ctx.info_name == "rerun":
        source = ctx.params.get("source") or _first_word()
        return _lab(ctx).history.find(source).run.spec.pipeline.model if source else DEFAULT_MODEL
    return DEFAULT_MODEL


def _fitting(model: str) -> frozenset[str]:
    """Return the classes of the schedulers that fit a model; nothing is imported or downloaded for it."""
    from promptlab.engine.refusals import EarlyChecks
    from promptlab.engine.schedulers.config_options import scheduler_source
    from promptlab.engine.schedulers.registry import fitting_schedulers
    from promptlab.specs import PipelineSpec

    config = EarlyChecks().model(PipelineSpec(model=model)).config
    own, settings = config.parts.get("scheduler"), config.scheduler or {}
    return frozenset(() if own is None else fitting_schedulers(own, settings, config.pipeline_class, scheduler_source))


def _first_word() -> str | None:
    """Return the first word behind the command: click reads none while an option waits for its value."""
    words = os.environ.get("COMP_WORDS", "").split()[2:]
    return next(iter(words), None) if words and not words[0].startswith("-") else None


complete_runs: Final = _completer(_runs)
"""Completes the number of a run, or ``last``."""

complete_refs: Final = _completer(_refs)
"""Completes a run, or an image of one."""

complete_seeds: Final = _completer(_seeds)
"""Completes a seed of the run that a rerun is of."""

complete_experiments: Final = _completer(_experiments)
"""Completes the name of an experiment."""

complete_styles: Final = _completer(_styles)
"""Completes the name of a style."""

complete_settings: Final = _completer(_settings)
"""Completes the name of a default."""

complete_schedulers: Final = _completer(_schedulers)
"""Completes the short name of a scheduler that fits the model."""
