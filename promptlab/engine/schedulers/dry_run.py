"""Steps a scheduler on random latents, to find out whether it runs at all before weights are loaded.

Options that go together in a constructor may still fail at the first step, or give numbers that are none: diffusers
checks some of them only there. A dry run takes milliseconds.

Invariant: what passes here is built and stepped as a pipeline would, on latents of the model's own channels.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine.machine.torch_setup import quietly
from promptlab.errors import one_line

if TYPE_CHECKING:
    import torch

__all__ = ["STEPS", "draw_from_generators", "dry_run"]

STEPS: Final = 8
"""Enough for the orders of all solvers: PNDM's first steps are four in one."""
_SIDE: Final = 8
_OTHER_INTERFACE: Final = frozenset({"DDPMWuerstchenScheduler"})
"""Its pipelines tell it the time once for each row and leave the last time out; it has no options that go wrong."""


def dry_run(
    scheduler: Any, channels: int = 4, *, doubled: bool = False, shifted: bool = False, steps: int = STEPS
) -> str | None:
    """Say what is wrong with ``scheduler``, in one line; ``None`` where it runs.

    Args:
        scheduler: as it would be used; a copy is stepped.
        channels: of the latents.
        doubled: whether the model predicts a variance beside, in as many channels again.
        shifted: whether the pipeline tells ``set_timesteps`` its shift (``mu``) and its ``sigmas``, as those of
            flow-matching models do.
        steps: how many; 8 tell what any greater number would.
    """
    import torch

    if type(scheduler).__name__ in _OTHER_INTERFACE:
        return None
    scheduler = copy.deepcopy(scheduler)
    learned = doubled and str(scheduler.config.get("variance_type")).startswith("learned")
    generator = torch.Generator("cpu").manual_seed(0)
    try:
        with quietly(), torch.inference_mode():
            sigmas = [1 - step / steps for step in range(steps)]
            asks = inspect.signature(scheduler.set_timesteps).parameters
            told = {name: value for name, value in (("mu", 1.0), ("sigmas", sigmas)) if shifted and name in asks}
            scheduler.set_timesteps(steps, **told)
            latents = torch.randn((1, channels, _SIDE, _SIDE), generator=generator)
            latents = latents * getattr(scheduler, "init_noise_sigma", 1.0)
            takes = inspect.signature(scheduler.step).parameters
            named = {"generator": generator} if "generator" in takes else {}
            for timestep in scheduler.timesteps:
                scaled = getattr(scheduler, "scale_model_input", None)
                seen = latents if scaled is None else scaled(latents, timestep)
                predicted = torch.cat([seen, torch.zeros_like(seen)], dim=1) if learned else seen
                latents = scheduler.step(predicted, timestep, latents, **named, return_dict=False)[0]
    except Exception as error:  # noqa: BLE001 - whatever it is, it would be raised again with the weights loaded
        return one_line(error, limit=200) or type(error).__name__
    return None if torch.isfinite(latents).all() else "its steps give numbers that are none"


def draw_from_generators(scheduler: Any, generators: Sequence[torch.Generator]) -> Any:
    """Make the steps of ``scheduler`` draw noise from ``generators``, one a row. Returns it.

    FLUX's and other flow-matching pipelines hand a step no generator: a step that draws would take its noise from the
    process's one generator, and no picture could be made again.
    """
    step: Callable[..., Any] = scheduler.step
    if "generator" not in inspect.signature(step).parameters:
        return scheduler

    @wraps(step)
    def step_with(model_output: Any, timestep: Any, sample: Any, *rest: Any, **named: Any) -> Any:
        if not rest and named.get("generator") is None and len(sample) == len(generators):
            named["generator"] = list(generators)
        return step(model_output, timestep, sample, *rest, **named)

    scheduler.step = step_with
    return scheduler
