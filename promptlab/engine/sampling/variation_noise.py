"""Mixes the noise an image starts from with that of a variation seed.

Two noises are mixed along the great circle between them (Shoemake, *Animating rotation with quaternion curves*, 1985):
a straight mix would have less variance than noise has, and come out grey. Invariants: strength 0 is the seed's noise
and strength 1 the variation seed's, to the byte; and the seed's generator is left in the state in which plain noise
leaves it, so that schedulers which draw more of it draw the same. Those keep drawing from the seed, whatever the
strength.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from promptlab.plan import ImageRequest

if TYPE_CHECKING:
    import torch

__all__ = ["initial_latents", "mix_noise", "slerp"]


def mix_noise(pipeline: Any, request: ImageRequest, generator: torch.Generator) -> dict[str, Any]:
    """Make a call of ``pipeline`` begin with mixed noise; return the arguments that it takes for that.

    Stable Diffusion's pipelines are given latents. Of any other, ``prepare_latents`` is called twice, with the seed's
    generator and with that of the variation seed: whatever a family does to its noise (scale it, fold it into tokens)
    it does to both, and the mix of both is that of the mix.

    Args:
        pipeline: a copy that belongs to this call.
        generator: of the request; it has drawn then, or will.
    """
    if _has_plain_latents(pipeline):
        return {"latents": initial_latents(request, pipeline, generator)}
    prepare = pipeline.prepare_latents
    signature = inspect.signature(prepare)

    def mixed(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        own = prepare(*bound.args, **bound.kwargs)
        bound.arguments["generator"] = [_variation(request)]
        other = prepare(*bound.args, **bound.kwargs)
        first, second = (made[0] if isinstance(made, tuple) else made for made in (own, other))
        latents = slerp(_strength(request), first, second)
        return (latents, *own[1:]) if isinstance(own, tuple) else latents

    vars(pipeline)["prepare_latents"] = mixed
    return {}


def initial_latents(request: ImageRequest, pipeline: Any, generator: torch.Generator) -> torch.Tensor:
    """Draw the noise of one image of a UNet pipeline: ``[1, channels, height, width]``, not scaled yet.

    It is what ``prepare_latents`` of diffusers' Stable Diffusion pipelines draws for this generator, on the device
    where it is drawn; mixed, where the request has a variation.

    Args:
        generator: of the request, in its first state; it is left as plain noise leaves it.
    """
    import torch

    factor = pipeline.vae_scale_factor
    encoder = getattr(pipeline, "text_encoder", None)
    shape = (
        1, int(pipeline.unet.config.in_channels), int(request.call.height or 0) // factor,
        int(request.call.width or 0) // factor,
    )  # fmt: skip

    def drawn(by: torch.Generator) -> torch.Tensor:
        return torch.randn(
            shape, generator=by, device=by.device, dtype=pipeline.unet.dtype if encoder is None else encoder.dtype
        )

    own = drawn(generator)
    return slerp(_strength(request), own, drawn(_variation(request))) if request.call.varied else own


def slerp(strength: float, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Mix ``own`` (0) and ``other`` (1) along the great circle, each one vector; shape and dtype stay."""
    import torch

    if strength in (0, 1):
        return other if strength else own
    first, second = own.float(), other.float()
    cosine = (first * second).sum() / (first.norm() * second.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if angle.sin() < 1e-4:  # one seed twice: any path between them is a straight one
        return torch.lerp(first, second, strength).to(own.dtype)
    mixed = first * (((1 - strength) * angle).sin() / angle.sin()) + second * ((strength * angle).sin() / angle.sin())
    return mixed.to(own.dtype)


def _has_plain_latents(pipeline: Any) -> bool:
    """Say whether :func:`initial_latents` knows the shape of this pipeline's latents: Stable Diffusion's."""
    parameters = inspect.signature(type(pipeline).prepare_latents).parameters
    return hasattr(pipeline, "unet") and "num_channels_latents" in parameters


def _strength(request: ImageRequest) -> float:
    return request.call.variation_strength or 0.0


def _variation(request: ImageRequest) -> torch.Generator:
    import torch

    return torch.Generator(request.generator_device).manual_seed(request.call.variation_seed or 0)
