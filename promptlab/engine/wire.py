"""Writes what crosses the engine's door as JSON and reads it back: requests, events, resolved specs.

So an engine can stand in another process, or on another machine, whatever carries the text there. Errors are written by
:func:`promptlab.errors.to_dict`. Pixels are base64 of their bytes, row by row.

Invariant: what is read back is equal to what was written.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from promptlab.engine.events import (
    EngineEvent,
    ForwardOutOfMemory,
    ImageDone,
    ImageFailed,
    ImageStarted,
    ModelLoaded,
    ModelLoading,
    StepDone,
)
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt
from promptlab.records import Environment
from promptlab.specs import RunSpec, Variant

__all__ = [
    "event_from_dict",
    "event_to_dict",
    "request_from_dict",
    "request_to_dict",
    "resolved_from_dict",
    "resolved_to_dict",
    "truncated_from_dict",
    "truncated_to_dict",
]

_EVENTS: Final[Mapping[str, type[EngineEvent]]] = {
    each.__name__: each
    for each in (ForwardOutOfMemory, ImageDone, ImageFailed, ImageStarted, ModelLoaded, ModelLoading, StepDone)
}


def request_to_dict(request: ImageRequest) -> dict[str, Any]:
    """Return ``request`` as plain values: as a spec of one image, and what a spec does not hold."""
    spec = RunSpec(
        pipeline=request.pipeline, call=request.call, machine=request.machine,
        variants=(Variant(prompt=request.prompt, negative_prompt=request.negative_prompt),), seeds=(request.seed,),
        batch_size=request.batch_size, generator_device=request.generator_device,
    )  # fmt: skip
    names = ("id", "device", "model_identity", "vae_identity", "recipe_key", "batch_key")
    steps = None if request.steps is None else list(request.steps)
    return {**{name: getattr(request, name) for name in names}, "steps": steps, "spec": spec.to_dict()}


def request_from_dict(plain: Mapping[str, Any]) -> ImageRequest:
    """Return the request that :func:`request_to_dict` wrote.

    Raises:
        InputError: when its spec is none.
    """
    facts = {name: value for name, value in plain.items() if name not in ("spec", "steps")}
    spec = RunSpec.from_dict(plain["spec"])
    (variant,), (seed,) = spec.variants, spec.seeds
    return ImageRequest(
        **facts, prompt=variant.prompt, negative_prompt=variant.negative_prompt, seed=seed, pipeline=spec.pipeline,
        call=spec.call, machine=spec.machine, batch_size=int(spec.batch_size or 1),
        generator_device=spec.generator_device, steps=_pair(plain["steps"]),
    )  # fmt: skip


def resolved_to_dict(resolved: ResolvedSpec) -> dict[str, Any]:
    """Return ``resolved`` as plain values."""
    return {
        "spec": resolved.spec.to_dict(),
        "device": resolved.device,
        "model_identity": resolved.model_identity,
        "vae_identity": resolved.vae_identity,
        "environment": dict(resolved.environment.facts),
        "steps": None if resolved.steps is None else list(resolved.steps),
        "mixes_words": resolved.mixes_words,
        "pieces": list(resolved.pieces),
    }


def resolved_from_dict(plain: Mapping[str, Any]) -> ResolvedSpec:
    """Return the resolved spec that :func:`resolved_to_dict` wrote.

    Raises:
        InputError: when its spec is none.
    """
    return ResolvedSpec(
        **{
            **plain,
            "spec": RunSpec.from_dict(plain["spec"]),
            "environment": Environment(facts=plain["environment"]),
            "steps": _pair(plain["steps"]),
            "pieces": tuple(plain["pieces"]),
        }
    )


def event_to_dict(event: EngineEvent) -> dict[str, Any]:
    """Return ``event`` as plain values, its class under ``type``."""
    plain = {"type": type(event).__name__, **{each.name: getattr(event, each.name) for each in fields(event)}}
    match event:
        case ImageDone(pixels=pixels, environment=environment):
            plain |= {
                "pixels": base64.b64encode(pixels.tobytes()).decode(),
                "size": [pixels.shape[1], pixels.shape[0]],
                "environment": dict(environment.facts),
            }
        case ForwardOutOfMemory(request_ids=ids):
            plain["request_ids"] = list(ids)
        case _:
            pass
    return plain


def event_from_dict(plain: Mapping[str, Any]) -> EngineEvent:
    """Return the event that :func:`event_to_dict` wrote.

    Raises:
        KeyError: for a class that there is none of.
    """
    facts = dict(plain)
    kind = _EVENTS[facts.pop("type")]
    if kind is ImageDone:
        import numpy as np

        width, height = facts.pop("size")
        pixels = np.frombuffer(base64.b64decode(facts["pixels"]), np.uint8).reshape(height, width, 3)
        facts |= {"pixels": pixels, "environment": Environment(facts=facts["environment"])}
    if kind is ForwardOutOfMemory:
        facts["request_ids"] = tuple(facts["request_ids"])
    return kind(**facts)


def truncated_to_dict(truncated: TruncatedPrompt) -> dict[str, str]:
    """Return a truncated prompt as plain values."""
    return {"prompt": truncated.prompt, "encoder": truncated.encoder, "words": truncated.words}


def truncated_from_dict(plain: Mapping[str, str]) -> TruncatedPrompt:
    """Return the truncated prompt that :func:`truncated_to_dict` wrote."""
    return TruncatedPrompt(**plain)


def _pair(plain: Any) -> tuple[int, int] | None:
    return None if plain is None else (int(plain[0]), int(plain[1]))
