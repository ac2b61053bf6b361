"""The order of runs: what is slow to change changes seldom. And what must be loaded on the way.

Another model, variant, dtype or device loads a whole pipeline; another VAE loads that alone, but again after every
pipeline, so it comes inside dtype; another size or batch makes the accelerator choose its kernels anew; a scheduler,
steps or guidance cost nothing. Runs equal in all of these stay as written, and every value keeps the place of its first
appearance, so that a person recognises the order of their file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from promptlab.plan.requests import ResolvedSpec

__all__ = ["loads_of", "order_line", "ordered"]

AS_WRITTEN: Final = "as written"

_LEVELS: Final[tuple[tuple[str, Callable[[ResolvedSpec], object]], ...]] = (
    ("model", lambda each: (each.model_identity, each.spec.pipeline.model)),
    ("variant", lambda each: each.spec.pipeline.variant),
    ("device", lambda each: each.device),
    ("dtype", lambda each: each.spec.pipeline.dtype),
    ("machine", lambda each: each.spec.machine),
    ("vae", lambda each: each.vae_identity),
    ("lora", lambda each: each.spec.pipeline.loras),
    ("textual inversion", lambda each: each.spec.pipeline.embeddings),
    ("size", lambda each: (each.spec.call.height, each.spec.call.width)),
    ("batch size", lambda each: each.spec.batch_size),
    ("generator device", lambda each: each.spec.generator_device),
    ("scheduler", lambda each: each.spec.pipeline.scheduler),
    ("steps", lambda each: each.spec.call.num_inference_steps),
    ("guidance", lambda each: each.spec.call.guidance_scale),
    ("weighting", lambda each: each.spec.call.weighting),
    ("clip skip", lambda each: each.spec.call.clip_skip),
    ("guidance rescale", lambda each: each.spec.call.guidance_rescale),
    ("guidance until", lambda each: each.spec.call.guidance_until),
    ("variation seed", lambda each: each.spec.call.variation_seed),
    ("variation strength", lambda each: each.spec.call.variation_strength),
    ("arguments", lambda each: each.spec.call.arguments),
)
"""Outermost first. Weights are told apart by content, as the engine does."""


def ordered(resolved: Sequence[ResolvedSpec]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The places of ``resolved`` in the order to run them, and the names of the levels that vary, outermost first."""
    names = []
    ranks = [0] * len(resolved)
    for name, value_of in _LEVELS:
        values = list(map(value_of, resolved))
        places = {value: place for place, value in enumerate(dict.fromkeys(values))}
        if len(places) > 1:
            ranks = [rank * len(places) + places[value] for rank, value in zip(ranks, values, strict=True)]
            names.append(name)
    return tuple(sorted(range(len(resolved)), key=ranks.__getitem__)), tuple(names)


def order_line(names: Sequence[str]) -> str:
    """``model → dtype → scheduler``: what changes least often first; in words where nothing varies."""
    return " → ".join(names) or AS_WRITTEN


def loads_of(resolved: Iterable[ResolvedSpec]) -> Iterator[int]:
    """For each run in turn, how often weights must be loaded before it: 0, 1 for a pipeline or a VAE, 2 for both.

    A pipeline counts as one, though parts of it may be there: which ones, only their files tell.

    Source: :class:`promptlab.engine.loading.pipeline_cache.PipelineCache`, which keeps one pipeline and what the next
    one shares
    with it. A test holds both to the same count.
    """
    base: tuple[object, ...] | None = None
    lies: tuple[object, ...] | None = None
    vae: str | None = None
    for each in resolved:
        loads, pipeline, machine = 0, each.spec.pipeline, each.spec.machine
        wanted = each.vae_identity
        here = (pipeline.dtype, each.device, machine.offload, machine.compile, machine.channels_last)
        there = (each.model_identity, pipeline.variant, *here)
        hooked = machine.offload is not None and (there, wanted) != (base, vae)
        if there != base or hooked or (wanted is None and vae is not None):
            loads = 1
        if wanted is not None and ((wanted, here) != (vae, lies) or hooked):
            loads += 1
        base, lies, vae = there, here, wanted
        yield loads
