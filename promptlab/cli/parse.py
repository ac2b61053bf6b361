"""Reads what was typed: an experiment for ``run``, changes of the parent's spec for ``rerun``.

Invariant: click's values are read once, into :class:`RunOptions`, and no text of a setting is understood here:
:mod:`promptlab.expand` reads what options and files say, in one way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from promptlab import expand
from promptlab.errors import InputError, ref_value
from promptlab.expand.defaults import read_defaults
from promptlab.expand.styles import chosen_styles, styled
from promptlab.specs.settings import SETTINGS
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.expand import Experiment, Sweep
    from promptlab.expand.defaults import Defaults
    from promptlab.lab import PromptEdit
    from promptlab.specs import Scalar

__all__ = ["RunOptions", "changes_of", "experiment_of", "prompt_edit_of", "seeds_of", "sweep_of", "takes_run_options"]

Result = TypeVar("Result")

_BETWEEN_COMMAS: Final = ","


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Holds what was typed for a command that makes images or plans them: texts, not yet understood.

    Args:
        settings: the settings that were typed, by their names in the table, each with all its values in the order
            typed: texts, and ``True`` or ``False`` of a switch.
        arguments: of ``--set``, in the order typed; a name may come again.
        prompts: templates; of a rerun, in place of the parent's.
        seeds: texts of ``--seeds``, which are joined.
        kept_seeds: texts of a rerun's ``--seed``: which of the parent's it keeps.
        file, like, prompts_file: where an experiment, a spec or more prompts are read from.
        append, prepend, replace, fragments, order: what is done to the prompts.
        style: names of styles that prompts and negative prompts are put in, one after the other.
        sample, template_seed: how many of a template's prompts are drawn, and with which seed.
        experiment, name, note: how the run is remembered.
        again: whether what exists is made anew.
        dry_run: whether it is only planned.
        scores: models that score what was made; see :mod:`promptlab.records.scorers`.
        show: whether the grid is shown in the terminal; ``None`` where nobody said.
        workspace, tracking_uri: where it is remembered; ``None`` is the current folder and its own MLflow.
    """

    settings: Mapping[str, tuple[str | bool, ...]]
    arguments: tuple[tuple[str, Scalar], ...] = ()
    prompts: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    kept_seeds: tuple[str, ...] = ()
    file: str | None = None
    like: str | None = None
    prompts_file: str | None = None
    append: tuple[str, ...] = ()
    prepend: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    fragments: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    style: tuple[str, ...] = ()
    sample: str | None = None
    template_seed: str | None = None
    experiment: str | None = None
    name: str | None = None
    note: str | None = None
    again: bool = False
    dry_run: bool = False
    scores: tuple[str, ...] = ()
    show: bool | None = None
    workspace: str | None = None
    tracking_uri: str | None = None


_FIELDS: Final = frozenset(field.name for field in dataclasses.fields(RunOptions)) - {"settings"}


def takes_run_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Call ``command`` with what click parsed as one :class:`RunOptions`; its own parameters follow."""

    @wraps(command)
    def called(**typed: Any) -> Result:
        own = {name: typed.pop(name) for name in [*typed] if name in _FIELDS}
        settings = {name: typed.pop(name) for name in SETTINGS if name in typed}
        named = {name: values for name, values in settings.items() if values}
        return command(RunOptions(settings=MappingProxyType(named), **own), **typed)

    return called


def experiment_of(options: RunOptions) -> Experiment:
    """Return the experiment that was typed: options over a file, both over the workspace's defaults.

    Raises:
        InputError: naming the option, or the file's line and column.
    """
    defaults = read_defaults(Workspace.at(options.workspace).root)
    experiment = _read_from(options, defaults)
    more = () if options.prompts_file is None else expand.read_prompts(options.prompts_file)
    negative = options.settings.get("negative", ())
    asked = experiment.with_options(
        prompts=options.prompts + more,
        seeds=",".join(options.seeds) if options.seeds else None,
        negative=negative,
        replace=options.replace,
        fragments=options.fragments,
        order=True if options.order == (_BETWEEN_COMMAS,) else options.order,
        sample=options.sample,
        template_seed=options.template_seed,
        experiment=options.experiment,
        name=options.name,
        note=options.note,
        **_settings(options),
    )
    return styled(asked, chosen_styles(options.style, defaults.styles))


def _settings(options: RunOptions) -> dict[str, Any]:
    """Return the settings as :meth:`Experiment.with_options` takes them, the words apart."""
    others = {name: values for name, values in options.settings.items() if name != "negative"}
    return {**others, "arguments": options.arguments}


def _read_from(options: RunOptions, defaults: Defaults) -> Experiment:
    """Return what options are laid over: a picture's experiment, or defaults with a file's over them."""
    if options.file is not None and options.like is not None:
        raise InputError("--like", options.like, problem="is said beside --file", allowed="one of the two")
    if options.file is not None:
        return defaults.under(expand.read_experiment(options.file))
    if options.like is not None:
        return _read_image(Path(options.like), model_named="model" in options.settings)
    return defaults.experiment()


def _read_image(path: Path, *, model_named: bool) -> Experiment:
    """Return what an image file says as an experiment file would; print what could not be carried over.

    Raises:
        InputError: when it does not say, or leaves out the model and no option names one.
    """
    from promptlab.cli.output import echo
    from promptlab.cli.render.imported import origin_lines
    from promptlab.lab.history.experiment_like import experiment_like
    from promptlab.lab.history.refs import read_picture

    found = read_picture(path)
    spec = found.spec
    if found.program != "PromptLab":
        echo("\n".join(origin_lines(f"like {path.name}", found.program, found.lost)), err=True)
    if not spec.pipeline.model and not model_named:
        raise InputError("--model", problem=f"is missing: {path.name} does not say which it was", hint="--model MODEL")
    return experiment_like(spec, file=path.name)


def sweep_of(experiment: Experiment) -> Sweep:
    """Return the runs of ``experiment``: one, where nothing is varied but words and seeds."""
    from promptlab.models import DEFAULT_MODEL

    return experiment.sweep(default_model=DEFAULT_MODEL)


def changes_of(options: RunOptions) -> dict[str, Any]:
    """Return what a rerun or a probe changes: fields of the spec that were typed, the words apart.

    Raises:
        InputError: for what a field cannot be, and for several values: a rerun is one run.
    """
    given = _settings(options)
    if not any(given.values()):  # other words alone
        return {}
    said = expand.Experiment().with_options(**given)
    for axis in said.axes:
        raise InputError(
            axis.said, problem=f"has {len(axis.values)} values", allowed="one in a rerun; several are for run",
            hint=f'promptlab run "…" {" ".join(ref_value(axis.said, label) for label in axis.labels()[:2])}',
        )  # fmt: skip
    return said.changes()


def prompt_edit_of(options: RunOptions) -> PromptEdit:
    """Return what a rerun does to the words.

    Raises:
        InputError: for several negative prompts: a rerun has one.
    """
    from promptlab.lab import PromptEdit

    negative = options.settings.get("negative", ())
    if len(negative) > 1:
        raise InputError("--negative", problem=f"has {len(negative)} values", allowed="one in a rerun")
    return PromptEdit(
        prompts=options.prompts,
        append=options.append,
        prepend=options.prepend,
        replace=options.replace,
        negative_prompt=str(negative[0]) if negative else None,
    )


def seeds_of(texts: Sequence[str], *, what: str) -> tuple[int, ...] | None:
    """Return the seeds that an option names, typed once or several times; ``None`` where it is not named.

    Args:
        what: the option, for errors.

    Raises:
        InputError: for what is no seed.
    """
    if not texts:
        return None
    try:
        return expand.parse_seeds(",".join(texts))
    except InputError as error:
        raise InputError(what, error.value, problem=error.problem, allowed=error.allowed, hint=error.hint) from error
