"""Draws the noise of schedulers that draw their own on the device of the images' generators.

``DPMSolverSDEScheduler`` makes its noise by a Brownian tree on the device of the latents, whatever the images'
generators are, and each kind of device has numbers of its own: an image would be another one on a GPU.

Invariant: where latents and generators are on one kind of device, the scheduler is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["draw_on_device"]


def draw_on_device(scheduler: Any, device: str) -> Any:
    """Make a fresh ``scheduler`` draw its own noise on ``device``, if it draws any. Returns it."""
    if not hasattr(scheduler, "noise_sampler_seed"):
        return scheduler
    step: Callable[..., Any] = scheduler.step

    @wraps(step)
    def step_with(model_output: Any, timestep: Any, sample: Any, *rest: Any, **named: Any) -> Any:
        if scheduler.noise_sampler is None and sample.device.type != device.partition(":")[0]:
            scheduler.noise_sampler = _NoiseOnDevice(scheduler, sample, device)
        return step(model_output, timestep, sample, *rest, **named)

    scheduler.step = step_with
    return scheduler


class _NoiseOnDevice:
    """Runs diffusers' noise sampler on ``device``, for latents like ``sample`` elsewhere."""

    def __init__(self, scheduler: Any, sample: torch.Tensor, device: str) -> None:
        import torch
        from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

        self._device, self._home = device, sample.device
        sigmas = scheduler.sigmas  # the interval of the scheduler's own: see its ``step``
        like = torch.zeros_like(sample, device=device)
        ends = sigmas[sigmas > 0].min().item(), sigmas.max().item()
        self._drawn: Any = BrownianTreeNoiseSampler(like, *ends, scheduler.noise_sampler_seed)

    def __call__(self, sigma: Any, sigma_next: Any) -> torch.Tensor:
        import torch

        first, second = (torch.as_tensor(each).to(self._device) for each in (sigma, sigma_next))
        noise: torch.Tensor = self._drawn(first, second)
        return noise.to(self._home)
