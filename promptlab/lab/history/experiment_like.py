"""Reads the spec of one image as an experiment file would say it, and remembers which image that was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache

from promptlab.errors import InputError
from promptlab.expand import Experiment, Sweep
from promptlab.lab.history.rerun import RunOrImage
from promptlab.records import RunRecord
from promptlab.specs import RunSpec, Variant

__all__ = ["begun_from", "experiment_like", "varied_from"]


def experiment_like(spec: RunSpec, *, file: str) -> Experiment:
    """Return the experiment whose only image is that of ``spec``, on whatever device there is.

    Args:
        spec: of one image, as its file says.
        file: what errors call that file.
    """
    from promptlab.expand.experiment_file.reader import parse_experiment
    from promptlab.expand.experiment_file.writer import write_experiment

    variant = spec.variants[0]
    plain = spec.vary(device=None, variants=(dataclasses.replace(variant, negative_prompt=""),))
    experiment = parse_experiment(write_experiment(plain), file=file)
    # Of all prompts, so that other words typed beside it are steered away from the same.
    return experiment.with_options(negative=(variant.negative_prompt,)) if variant.negative_prompt else experiment


def begun_from(sweep: Sweep, picture: str | None, find: Callable[[str], RunOrImage]) -> tuple[Sweep, RunRecord | None]:
    """Return ``sweep`` varied from a picture, and its parent; as it is, where that is not from here.

    Args:
        picture: a file; None where it began from none.
        find: ``lab.history.find``.
    """
    if picture is None:
        return sweep, None
    try:
        source = find(picture)
    except InputError:
        return sweep, None
    return varied_from(sweep, source), source.run


def varied_from(sweep: Sweep, source: RunOrImage) -> Sweep:
    """Return ``sweep`` whose wordings name those of the run of ``source`` that they were varied from.

    That is the one with the same words, else that of the image that ``source`` is.
    """
    known = {each.variant.prompt: each.position for each in reversed(source.run.variants)}
    origin = None if source.position is None else source.run.images[source.position].variant

    @cache
    def named(variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        return tuple(dataclasses.replace(each, source=known.get(each.prompt, origin)) for each in variants)

    cells = tuple(
        dataclasses.replace(cell, spec=cell.spec.vary(variants=named(cell.spec.variants))) for cell in sweep.cells
    )
    return dataclasses.replace(sweep, cells=cells)
