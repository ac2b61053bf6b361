"""Checks optional features of a call: clip skip, weighting, variation, guidance that stops.

Invariant: what comes out sets nothing that changes nothing: a share of all steps, no layer left out and no rescaling
are left to the pipeline, so that they are one recipe with not having been set. Weights are not read.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from promptlab.engine.machine.packrat import remembering
from promptlab.engine.pipelines.calls import argument_settings, not_taken, setting_arguments
from promptlab.engine.pipelines.traits import GUIDED_TENSORS, call_parameters
from promptlab.engine.sources.class_source import ClassSource, parameters_of
from promptlab.engine.sources.configuration import Configuration, clip_encoders
from promptlab.errors import InputError, one_line, ref, ref_value
from promptlab.specs import CallSpec, Variant

__all__ = ["resolve_optional_features"]


def resolve_optional_features(
    call: CallSpec, variants: Sequence[Variant], pipeline: Any, config: Configuration, folder: Path
) -> CallSpec:
    """Return ``call`` without what changes nothing; check that the pipeline takes the rest.

    Args:
        pipeline: diffusers class of the model, or its source.
        folder: of the model.

    Raises:
        InputError: for what the pipeline does not take, a layer that is not there, or a text that compel cannot read.
    """
    call = replace(
        call,
        clip_skip=call.clip_skip or None,
        guidance_rescale=call.guidance_rescale or None,
        guidance_until=None if call.guidance_until == 1 else call.guidance_until,
    )
    parameters = call_parameters(pipeline)
    given = setting_arguments(call)
    for argument, row in argument_settings().items():
        if argument in given and argument not in parameters:
            raise not_taken(row.sets[0], given[argument], pipeline)
    if call.clip_skip is not None:
        _check_layers(call.clip_skip, pipeline, clip_encoders(config, folder))
    if call.weighting:
        _check_weighting(variants, pipeline, config)
    call.check_whole()
    if call.variation_seed is not None and not _draws_noise(pipeline):
        raise not_taken("variation_seed", call.variation_seed, pipeline)
    if call.guidance_until is not None and pipeline.__name__ not in GUIDED_TENSORS:
        raise InputError(
            "guidance_until", call.guidance_until, problem=f"means nothing to {pipeline.__name__}",
            allowed=", ".join(GUIDED_TENSORS), hint=f"the command without {ref('guidance_until')}",
        )  # fmt: skip
    return call


def _draws_noise(pipeline: Any) -> bool:
    """Tell whether the pipeline draws noise in one place: pipelines made of pipelines have several."""
    if isinstance(pipeline, ClassSource):
        return "generator" in parameters_of(pipeline, "prepare_latents")
    prepare = getattr(pipeline, "prepare_latents", None)
    return prepare is not None and "generator" in inspect.signature(prepare).parameters


def _check_layers(skip: int, pipeline: Any, encoders: dict[str, Any]) -> None:
    if "clip_skip" not in call_parameters(pipeline) or not encoders:
        raise not_taken("clip_skip", skip, pipeline)
    # with several encoders, counting begins at the last layer but one
    most = min(int(each["num_hidden_layers"]) for each in encoders.values()) - (1 if len(encoders) == 1 else 2)
    if skip > most:
        raise InputError(
            "clip_skip", skip, problem="leaves no layer of this model's text encoder", allowed=f"0 to {most}",
            hint=ref_value("clip_skip", "1"),
        )  # fmt: skip


def _check_weighting(variants: Sequence[Variant], pipeline: Any, config: Configuration) -> None:
    readers = {part: kind for part, kind in config.parts.items() if part.startswith("text_encoder")}
    others = [kind for kind in readers.values() if not kind.startswith("CLIPText")]
    if not readers or others or "prompt_embeds" not in call_parameters(pipeline):
        why = f", which reads words with {others[0]}" if others else ""
        raise InputError(
            "weighting", problem=f"means nothing to {pipeline.__name__}{why}",
            allowed="models whose text encoders are all CLIP", hint=ref_value("weighting", False),
        )  # fmt: skip
    for variant in variants:
        for field, text in (("prompts", variant.prompt), ("negative_prompt", variant.negative_prompt)):
            _check_readable(field, text)


def _check_readable(field: str, text: str) -> None:
    from compel import Compel
    from compel.prompt_parser import FlattenedPrompt

    try:
        with remembering():
            read = Compel.parse_prompt_string(text)
        swaps = any(isinstance(each, FlattenedPrompt) and each.wants_cross_attention_control for each in read.prompts)
    except Exception as error:
        raise InputError(
            field, text, problem=f"cannot be read with weights: {one_line(error, limit=120)}",
            allowed="(words)1.3, words++, words--; brackets that are meant as \\( and \\)",
            hint=ref_value("weighting", False),
        ) from error  # fmt: skip
    if swaps:
        raise InputError(
            field, text, problem="asks for .swap(), which changes attention and not the text",
            allowed="weights, .and() and .blend()", hint="the prompt without .swap()",
        )  # fmt: skip
