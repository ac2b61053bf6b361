"""Reads the spec of one image as an experiment file would say it."""

from __future__ import annotations

import dataclasses

from promptlab.expand import Experiment
from promptlab.specs import RunSpec

__all__ = ["experiment_like"]


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
