"""Turns what a page asks for into the command that asks for the same, and into its specs.

Both are read from one :class:`TypedCommand`, so that the line a page shows is what it does: options are spelled by
:mod:`promptlab.cli.command_line`, and meant as :mod:`promptlab.cli.parse` means them.

Invariant: with a parent, whatever equals the parent's own is left out and thereby inherited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptlab.errors import InputError
from promptlab.expand import Experiment, Sweep, parse_seeds
from promptlab.expand.defaults import read_defaults
from promptlab.lab.history.experiment_like import experiment_like, varied_from
from promptlab.lab.history.prompt_edit import PromptEdit
from promptlab.lab.history.refs import read_picture
from promptlab.lab.history.rerun import RunOrImage, derived_spec
from promptlab.models import DEFAULT_MODEL
from promptlab.page.page_request import PageRequest, request_of
from promptlab.page.typed_settings import ARGUMENT
from promptlab.records import ImageStatus
from promptlab.specs import RunSpec, parse_scalar

__all__ = ["Carried", "SpellCommand", "TypedCommand", "carried_out", "typed_command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedCommand:
    """Holds one command of the terminal, before its options are spelled.

    Args:
        verb: ``run``, or ``rerun`` of the parent.
        parent: what is varied, ``3`` or ``3/1``; of ``run``, ``None``.
        like: a picture whose setting ``run`` starts from, relative to the workspace.
        prompts: templates; none inherit the parent's.
        seeds: as typed; empty where they are not named.
        negatives: ``None`` where they are not named; of ``rerun``, one.
        settings: by their names, each with the texts behind its option.
    """

    verb: str
    parent: str | None = None
    like: str | None = None
    prompts: tuple[str, ...] = ()
    seeds: str = ""
    negatives: tuple[str, ...] | None = None
    settings: tuple[tuple[str, tuple[str, ...]], ...] = ()
    experiment: str | None = None
    again: bool = False


SpellCommand = Callable[[TypedCommand, str], str]
"""Spells a command as one types it; the text has the options that find the workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Holds what a command asks for: one ``spec``, or a ``sweep``.

    Args:
        experiment: where it belongs; ``None`` is the usual one.
    """

    spec: RunSpec | None = None
    sweep: Sweep | None = None
    experiment: str | None = None

    @property
    def specs(self) -> tuple[RunSpec, ...]:
        """Return the specs of all its runs."""
        if self.sweep is not None:
            return self.sweep.specs
        return () if self.spec is None else (self.spec,)


def typed_command(request: PageRequest, source: RunOrImage | None) -> TypedCommand:
    """Return the command that asks for the same.

    Args:
        source: the request's parent.

    Raises:
        InputError: for a setting that cannot be what it is said to be.
    """
    settings = tuple(request.settings.items())
    if source is None:
        return TypedCommand(
            verb="run", prompts=(request.prompt,), seeds=request.seeds,
            negatives=tuple(text for text in request.negatives if text) or None, settings=settings,
            experiment=request.experiment, again=request.again,
        )  # fmt: skip
    own = request_of(source)
    changed = tuple((name, texts) for name, texts in settings if own.settings.get(name) != texts)
    negatives = request.negatives or ("",)
    varied = TypedCommand(
        verb="rerun",
        parent=source.ref,
        prompts=() if request.prompt == own.prompt else (request.prompt,),
        seeds="" if request.seeds == own.seeds else request.seeds,
        negatives=None if negatives == (own.negatives or ("",)) else negatives,
        settings=changed,
        experiment=None if request.experiment == own.experiment else request.experiment,
        again=request.again,
    )
    if len(negatives) == 1 and not _experiment(varied).axes:
        return varied
    return replace(
        varied, verb="run", parent=None, like=_picture(source), prompts=(request.prompt,),
        seeds=request.seeds or own.seeds, experiment=request.experiment or own.experiment,
    )  # fmt: skip


def carried_out(command: TypedCommand, source: RunOrImage | None, root: Path) -> Carried:
    """Return what ``command`` asks for.

    Args:
        source: what a rerun is of, or ``like`` a picture of.
        root: the workspace, whose defaults are taken and in which ``like`` lies.

    Raises:
        InputError: as the command line's.
    """
    if command.verb == "rerun" and source is not None:
        changes = _experiment(command).changes()
        if command.seeds:
            changes["seeds"] = parse_seeds(command.seeds)
        negative = None if command.negatives is None else command.negatives[0]
        edit = PromptEdit(prompts=command.prompts, negative_prompt=negative)
        experiment = command.experiment or source.run.experiment
        return Carried(spec=derived_spec(source, (), edit, changes), experiment=experiment)
    begun = read_defaults(root).experiment() if command.like is None else Experiment()
    if command.like is not None:
        begun = experiment_like(read_picture(root / command.like).spec, file=Path(command.like).name)
    asked = _experiment(command, begun).with_options(
        prompts=command.prompts, seeds=command.seeds or None, negative=command.negatives or (),
        experiment=command.experiment,
    )  # fmt: skip
    sweep = asked.sweep(default_model=DEFAULT_MODEL)
    if source is not None and command.like is not None:
        position = next(each.position for each in source.run.images if each.path == command.like)
        sweep = varied_from(sweep, RunOrImage(run=source.run, position=position))
    if len(sweep.cells) == 1:
        return Carried(spec=sweep.cells[0].spec, experiment=asked.experiment)
    return Carried(sweep=sweep, experiment=asked.experiment)


def _experiment(command: TypedCommand, begun: Experiment | None = None) -> Experiment:
    """Return the settings of a command, understood and laid over what it starts from."""
    named: dict[str, tuple[str, ...]] = {}
    arguments: list[tuple[str, Any]] = []
    for name, texts in command.settings:
        if name.startswith(ARGUMENT):
            arguments += [(name.removeprefix(ARGUMENT), parse_scalar(text)) for text in texts]
        else:
            named[name] = texts
    return (begun or Experiment()).with_options(**named, arguments=tuple(arguments))


def _picture(source: RunOrImage) -> str:
    """Return the path of a picture that says the setting of ``source``.

    Raises:
        InputError: when none was made yet.
    """
    images = source.run.images if source.position is None else (source.run.images[source.position],)
    path = next((image.path for image in images if image.status is ImageStatus.MADE and image.path), None)
    if path is None:
        raise InputError(
            "parent", source.ref, problem="has no picture yet that a sweep could start from",
            hint=f"promptlab resume {source.run.id}",
        )  # fmt: skip
    return path
