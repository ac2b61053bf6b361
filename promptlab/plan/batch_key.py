"""Decides which images may share a forward of the denoiser: those whose batch keys are equal.

Images need only agree in what decides the shape of a forward (weights, dtype, device, batch size, image size, and the
length of texts that are read in pieces), and may differ in scheduler, steps, guidance, words and seed. So the runs of a
sweep over these are one stream. Within it the engine looks at what images really ask: what is not alike, such as texts
of two lengths, has forwards of its own.

Invariant: this is the only place that knows the rule. Plans, previews, engines and schedulers of requests compare keys.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from promptlab.plan.resolved import ResolvedSpec

__all__ = ["batch_keys"]


def batch_keys(resolved: ResolvedSpec) -> tuple[str, ...]:
    """Return the batch key of each variant's images: equal texts for those that may share a forward."""
    spec = resolved.spec
    machine = replace(spec.machine, exact=False)  # which says what happens out of memory, and nothing of a forward
    weights = resolved.model_identity, resolved.vae_identity, resolved.device, resolved.batch_size, machine
    shape = replace(spec.pipeline, scheduler=None), spec.call.height, spec.call.width, spec.generator_device
    pieces = resolved.pieces or (1,) * len(spec.variants)
    return tuple(_text((*weights, *shape, count)) for count in pieces)


@lru_cache(maxsize=4096)
def _text(shared: tuple[object, ...]) -> str:
    """Return 32 hex digits. A ``repr`` will do: keys are compared within one call, and never stored."""
    return sha256(repr(shared).encode()).hexdigest()[:32]
