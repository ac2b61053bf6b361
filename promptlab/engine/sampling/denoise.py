"""Denoises one image among others: holds its latents, its scheduler, and its conditions.

It is Stable Diffusion's own loop (``__call__`` of diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline)
cut open at the forward: :meth:`ActiveImage.model_input` is what comes before it, :meth:`ActiveImage.advance` what comes
after. What lies between is shared with other images, and is the only thing that is.

Invariant: an image's tensors have one row, and nothing in it knows of another image.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from promptlab.engine.pipelines.denoising_steps import guided_steps
from promptlab.engine.sampling.before_denoise import generator_of, initial_latents
from promptlab.engine.schedulers.noise_sampler import draw_on_device
from promptlab.engine.schedulers.registry import build_scheduler
from promptlab.plan import ImageRequest

if TYPE_CHECKING:
    import torch

__all__ = ["ActiveImage", "Conditions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Holds what the denoiser is told of one image beside its latents, a row each.

    Args:
        embeds: of the prompt, ``[1, tokens, width]``.
        negative: of what to steer away from, likewise; ``None`` where nothing is guided.
        added: Stable Diffusion XL's ``text_embeds`` ``[1, width]`` and ``time_ids`` ``[1, 6]``, of the prompt.
        negative_added: likewise, of what to steer away from.
        timestep_cond: ``[1, width]``, of the guidance scale, where the model was distilled to be told of it.
    """

    embeds: torch.Tensor
    negative: torch.Tensor | None = None
    added: dict[str, torch.Tensor] | None = None
    negative_added: dict[str, torch.Tensor] | None = None
    timestep_cond: torch.Tensor | None = None


class ActiveImage:
    """Denoises one image; see the module.

    Args:
        place: in its stream.
        request: the image.
        pipeline: whose scheduler's configuration, sizes and dtypes count; it is not changed.
        conditions: as the denoiser takes them.
    """

    def __init__(self, place: int, request: ImageRequest, pipeline: Any, conditions: Conditions) -> None:
        if request.pipeline.scheduler is None:
            raise ValueError("an image has a scheduler of its own")
        self.place, self.request, self.conditions = place, request, conditions
        self.seconds = 0.0
        self._step = 0
        generator = generator_of(request)
        device = pipeline._execution_device  # noqa: SLF001 - where a pipeline puts its own tensors
        built = build_scheduler(request.pipeline.scheduler, pipeline.scheduler.config, [request.seed])
        self._scheduler = draw_on_device(built, request.generator_device)
        self._scheduler.set_timesteps(request.call.num_inference_steps, device=device)
        self._timesteps = self._scheduler.timesteps
        if type(pipeline).__name__ == "StableDiffusionXLPipeline" and hasattr(self._scheduler, "set_begin_index"):
            self._scheduler.set_begin_index(0)
        self._guided = 0 if conditions.negative is None else guided_steps(len(self._timesteps), request.call)
        self.latents: torch.Tensor = (
            initial_latents(request, pipeline, generator).to(device) * self._scheduler.init_noise_sigma
        )
        self._scale = request.call.guidance_scale or 0.0
        self._rescale = request.call.guidance_rescale or 0.0
        given = {"eta": dict(request.call.arguments).get("eta", 0.0), "generator": generator}
        kind: Any = type(self._scheduler)
        self._extra = {name: given[name] for name in _taken(kind) if name in given}

    @property
    def timestep(self) -> torch.Tensor:
        """Return the timestep of the next step: a number in a tensor, in the scheduler's own dtype."""
        found: torch.Tensor = self._timesteps[self._step]
        return found

    def model_input(self) -> torch.Tensor:
        """Return the latents as the model takes them, ``[1, channels, height, width]``. Asked once a step."""
        if not hasattr(self._scheduler, "scale_model_input"):
            return self.latents
        scaled: torch.Tensor = self._scheduler.scale_model_input(self.latents, self.timestep)
        return scaled

    def advance(self, noise: torch.Tensor, unguided: torch.Tensor | None) -> None:
        """Take one step, by what the model says.

        Args:
            noise: the prediction for the prompt, ``[1, channels, height, width]``.
            unguided: that for what to steer away from; ``None`` in a step without guidance.
        """
        if unguided is not None:
            guided = unguided + self._scale * (noise - unguided)
            if self._rescale:
                from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

                guided = rescale_noise_cfg(guided, noise, guidance_rescale=self._rescale)
            noise = guided
        self.latents = self._scheduler.step(noise, self.timestep, self.latents, **self._extra, return_dict=False)[0]
        self._step += 1

    @property
    def guided(self) -> bool:
        """Say whether the next step is guided."""
        return self._step < self._guided

    @property
    def done(self) -> bool:
        """Say whether there is no next step."""
        return self._step >= len(self._timesteps)


@lru_cache(maxsize=64)
def _taken(scheduler: Any) -> frozenset[str]:
    """Return the names of what a scheduler class's step takes."""
    return frozenset(inspect.signature(scheduler.step).parameters)
