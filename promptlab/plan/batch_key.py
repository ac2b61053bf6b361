"""Decides which images may share a forward of the denoiser: those whose batch keys are equal.

Two cases. Where the steps of a run are known (:attr:`~promptlab.plan.resolved.ResolvedSpec.steps`), the engine batches
continuously: images need only agree in what decides the shape of a forward (weights, dtype, device, batch size, image
size), and may differ in scheduler, steps, guidance, words and seed. So the runs of a sweep over these are one batch
after the other of the same stream. Everywhere else one call of the pipeline makes a batch, and takes one setting:
images agree in all of it, and in their words as far as the call can take only one kind of them.

Invariant: this is the only place that knows the rule. Plans, previews, engines and schedulers of requests compare keys.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from promptlab.plan.resolved import ResolvedSpec
from promptlab.specs import Variant

__all__ = ["batch_keys", "word_kinds"]


def word_kinds(resolved: ResolvedSpec) -> tuple[object, ...]:
    """Return for each variant what its words must have in common with another's to share a forward.

    Nothing, where forwards are shared among runs. Elsewhere whether there is a negative prompt, which is an argument of
    the pipeline's call or is not; the words themselves where the pipeline cannot mix them; and their length in pieces.
    """
    if resolved.steps is not None:
        return ("any",) * len(resolved.spec.variants)
    pieces = resolved.pieces or (1,) * len(resolved.spec.variants)
    return tuple((_words(each, mixed=resolved.mixes_words), count) for each, count in zip(
        resolved.spec.variants, pieces, strict=True
    ))  # fmt: skip


def batch_keys(resolved: ResolvedSpec) -> tuple[str, ...]:
    """Return the batch key of each variant's images: equal texts for those that may share a forward."""
    spec = resolved.spec
    machine = replace(spec.machine, exact=False)  # which says what happens out of memory, and nothing of a forward
    weights = resolved.model_identity, resolved.vae_identity, resolved.device, resolved.batch_size, machine
    if resolved.steps is not None:
        size = spec.call.height, spec.call.width
        return (_text((*weights, replace(spec.pipeline, scheduler=None), *size)),) * len(spec.variants)
    setting = (*weights, spec.pipeline, spec.call, spec.generator_device)
    return tuple(_text((*setting, kind)) for kind in word_kinds(resolved))


def _words(variant: Variant, *, mixed: bool) -> object:
    return bool(variant.negative_prompt) if mixed else (variant.prompt, variant.negative_prompt)


@lru_cache(maxsize=4096)
def _text(shared: tuple[object, ...]) -> str:
    """Return 32 hex digits. A ``repr`` will do: keys are compared within one call, and never stored."""
    return sha256(repr(shared).encode()).hexdigest()[:32]
