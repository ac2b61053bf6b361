"""What was typed, as what it stands for: an experiment for ``run``, changes of the parent's spec for ``rerun``.

Invariant: no value is read here. :mod:`promptlab.expand` reads what options and files say, in one way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from promptlab.errors import InputError
from promptlab.expand import Experiment, Sweep, parse_seeds, read_prompts
from promptlab.expand.fields import FIELDS, field_named
from promptlab.expand.values import changes, read_value
from promptlab.models import DEFAULT_MODEL
from promptlab.specs.schedulers import parse_scheduler

__all__ = ["changes_asked", "experiment_asked", "seeds_asked", "sweep_asked"]

_SETTING: Final = (*(name for name in FIELDS if name not in ("prompts", "seeds", "negative")), "arguments")
_BETWEEN_COMMAS: Final = ","


def experiment_asked(typed: dict[str, Any]) -> Experiment:
    """The experiment that a command names: its file, if any, with its options over it.

    Args:
        typed: all that ``experiment_options`` and ``setting_options`` know is taken out, ``experiment``, ``name`` and
            ``note``, too.

    Raises:
        InputError: naming the option, or the file's line and column.
    """
    file, like, prompts_file = typed.pop("file"), typed.pop("like"), typed.pop("prompts_file")
    if file is not None and like is not None:
        raise InputError("--like", like, problem="is said beside --file", allowed="one of the two")
    names = ("prompts", "seeds", "negative", "replace", "fragments", "order", "sample", "template_seed")
    options = {name: typed.pop(name) for name in (*names, *_SETTING, "experiment", "name", "note")}
    if prompts_file is not None:
        options["prompts"] += read_prompts(prompts_file)
    options["seeds"] = ",".join(options["seeds"]) if options["seeds"] else None
    between_commas = options["order"] == (_BETWEEN_COMMAS,)
    experiment = Experiment()
    if file is not None:
        from promptlab.expand import read_experiment

        experiment = read_experiment(file)
    if like is not None:
        experiment = _like(Path(like), model_named=bool(options["model"]))
    experiment = experiment.with_options(**options)
    if between_commas:
        phrasing = dataclasses.replace(experiment.phrasing, order=None)
        experiment = dataclasses.replace(experiment, phrasing=phrasing)
    return experiment


def _like(picture: Path, *, model_named: bool) -> Experiment:
    """What a picture's file says it was made from, as if an experiment file said it.

    Raises:
        InputError: when it does not say, or leaves out the model and no option names one.
    """
    from promptlab.expand.experiment_file.reader import understood
    from promptlab.expand.experiment_file.writer import write_experiment
    from promptlab.lab.history.refs import read_spec

    spec = read_spec(picture)
    if not spec.pipeline.model and not model_named:
        raise InputError(
            "--model", problem=f"is missing: {picture.name} does not say which it was", hint="--model MODEL"
        )
    variant = spec.variants[0]
    plain = spec.vary(device=None, variants=(dataclasses.replace(variant, negative_prompt=""),))
    experiment = understood(write_experiment(plain), file=picture.name)
    # Of all prompts, so that other words typed beside it are steered away from the same.
    return experiment.with_options(negative=(variant.negative_prompt,)) if variant.negative_prompt else experiment


def sweep_asked(experiment: Experiment) -> Sweep:
    """Its runs: one, where nothing is varied but words and seeds."""
    return experiment.sweep(default_model=DEFAULT_MODEL, parse_scheduler=parse_scheduler)


def changes_asked(typed: dict[str, Any]) -> dict[str, Any]:
    """The setting of a ``rerun``: fields of the spec, only those that were typed, taken out of ``typed``.

    Raises:
        InputError: for what a field cannot be, and for several values: a rerun is one run.
    """
    said = Experiment().with_options(**{name: typed.pop(name) for name in _SETTING})
    for axis in said.axes:
        raise InputError(
            axis.said, problem=f"has {len(axis.values)} values", allowed="one in a rerun; several are for run",
            hint=f'promptlab run "…" {axis.said} {axis.labels()[0]} {axis.said} {axis.labels()[1]}',
        )  # fmt: skip
    found: dict[str, Any] = {}
    for name, value in said.settings:
        field = field_named(name, what=name)
        meant = read_value(field, value, what=field.option, parse_scheduler=parse_scheduler)
        found |= changes(found.get("arguments", ()), field, meant)
    return found


def seeds_asked(texts: Sequence[str], *, what: str) -> tuple[int, ...] | None:
    """The seeds that an option names, typed once or several times; ``None`` where it is not named."""
    if not texts:
        return None
    try:
        return parse_seeds(",".join(texts))
    except InputError as error:
        raise InputError(what, error.value, problem=error.problem, allowed=error.allowed, hint=error.hint) from error
