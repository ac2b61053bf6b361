"""Makes the hashes that tell recipes apart, each of what it names and of nothing else.

Invariant: the key of a setting never changes once images carry it. Settings of the first version (``recipe="own"`` in
the table) are written out here; later ones enter only where they say something, as the table has it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from promptlab.specs.call import FORMER_ARGUMENTS, CallSpec
from promptlab.specs.pipeline import GGUF, Lora
from promptlab.specs.run import RunSpec, Variant
from promptlab.specs.settings import is_said, settings_of
from promptlab.specs.values import Scalar, canonical_json

__all__ = ["recipe_key", "setting_key", "words_key"]

_CONDITIONING: Final = tuple(
    (row, attrgetter(f"{row.part}.{row.field}"))
    for row in settings_of("pipeline", "call")
    if row.recipe == "conditioning"
)
"""Rows, and how each is read quickly: a sweep asks for a hundred thousand keys."""

_VARIATION: Final = ("variation_seed", "variation_strength")
"""Two settings that are one entry of the conditioning: neither means anything alone."""


def setting_key(spec: RunSpec, *, model_identity: str, vae_identity: str | None) -> str:
    """Hash the setting that the images of a run share: 64 hex digits. Words and seeds are not in it.

    Weights enter by identity (commit or file hash), never by name alone: a model that changed under its name is another
    setting. Batch size is part of it, because kernels round differently at another shape.

    Args:
        spec: resolved, so that a default named and the same default left out are one setting.
    """
    text = _setting_text(spec, model_identity=model_identity, vae_identity=vae_identity)
    return hashlib.sha256(text.encode()).hexdigest()


def _setting_text(spec: RunSpec, *, model_identity: str, vae_identity: str | None) -> str:
    """Write the canonical JSON of a setting, from remembered parts: a sweep asks for a hundred thousand."""
    pipeline, call = spec.pipeline, spec.call
    scheduler = pipeline.scheduler
    options_text = canonical_json(dict(scheduler.options)) if scheduler and scheduler.options else "{}"
    scheduler_text = f"[{_atom(scheduler.name)},{options_text}]" if scheduler else "null"
    conditioning = _conditioning(spec)
    conditioning_text = f'"conditioning":{canonical_json(conditioning)},' if conditioning else ""
    return (
        f'{{"arguments":{_arguments_text(call)},'
        f'"batch_size":{_atom(spec.batch_size)},'
        f"{conditioning_text}"
        f'"dtype":{_atom(pipeline.dtype)},'
        f'"generator_device":{_atom(spec.generator_device)},'
        f'"guidance_scale":{canonical_json(call.guidance_scale)},'
        f'"height":{_atom(call.height)},'
        f'"model":{_atom(model_identity)},'
        f'"num_inference_steps":{_atom(call.num_inference_steps)},'
        f'"scheduler":{scheduler_text},'
        f'"vae":{_atom(vae_identity)},'
        f'"variant":{_atom(pipeline.variant)},'
        f'"width":{_atom(call.width)}}}'
    )


def _arguments_text(call: CallSpec) -> str:
    former = {name: value for name in FORMER_ARGUMENTS if (value := getattr(call, name)) is not None}
    return canonical_json({**dict(call.arguments), **former}) if call.arguments or former else "{}"


def _conditioning(spec: RunSpec) -> dict[str, Any]:
    """Return what steers images by more than words and a scale.

    Only what was asked for, so that a setting without any of it has the key that it had before there was any.
    """
    found: dict[str, Any] = {}
    for row, read in _CONDITIONING:
        value = read(spec)
        if not is_said(value):
            continue
        if row.name in _VARIATION:
            found["variation"] = [getattr(spec.call, name) for name in _VARIATION]
        elif isinstance(value, str) and value.startswith(GGUF):
            found[row.field] = GGUF.rstrip(":")  # its content is part of the model's identity, wherever it lies
        elif row.kind == "parts":
            found[row.field] = [
                [part.identity or part.name, part.weight if isinstance(part, Lora) else part.token] for part in value
            ]
        else:
            found[row.field] = row.shown or value
    return found


@lru_cache(maxsize=1024, typed=True)
def _atom(value: Scalar) -> str:
    return canonical_json(value)


def words_key(variant: Variant) -> str:
    """Hash a variant's words: 64 hex digits. Labels, notes and where a prompt came from are not in it."""
    return _digest({"prompt": variant.prompt, "negative_prompt": variant.negative_prompt})


def recipe_key(setting: str, words: str, seed: int) -> str:
    """Hash everything that decides one image's pixels, apart from the environment: 64 hex digits.

    Args:
        setting: of :func:`setting_key`.
        words: of :func:`words_key`.
        seed: 0 … 2³²−1.
    """
    return hashlib.sha256(f"{setting}:{words}:{seed}".encode()).hexdigest()


def _digest(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
