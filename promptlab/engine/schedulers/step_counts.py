"""Counts the evaluations of a scheduler without building it, where its name tells them.

Invariant: what is counted here is what :func:`promptlab.engine.pipelines.denoising_steps.timesteps_count` counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from promptlab.engine.sources.class_source import NotTold

__all__ = ["step_count"]

_ONE_A_STEP: Final = frozenset(
    {"DDIMScheduler", "DDPMScheduler", "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler"}
)
_SPACINGS: Final = ("leading", "linspace", "trailing")
_MOST: Final = 250
"""Steps; with many more, rounded times fall together in some schedulers."""


def step_count(name: str, config: Mapping[str, Any], steps: int) -> int:
    """Return how often a scheduler asks the model in ``steps`` steps.

    Args:
        name: of its class.
        config: the model's own.

    Raises:
        NotTold: for schedulers and settings that are not known here.
    """
    trained = config.get("num_train_timesteps", 1000)
    is_plain = trained == 1000 and config.get("timestep_spacing", "leading") in _SPACINGS
    if is_plain and 0 < steps <= _MOST and not config.get("custom_timesteps"):
        if name in _ONE_A_STEP:
            return steps
        if name == "PNDMScheduler" and config.get("skip_prk_steps") and steps > 1:  # its second step is taken twice
            return steps + 1
    raise NotTold(name)
