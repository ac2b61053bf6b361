"""What a pipeline can be steered with beside words and numbers: refused here where it cannot, before weights are read.

Invariant: what comes out says nothing that means nothing: a share of all steps, no layer left out and no rescaling are
left to the pipeline, so that they are one recipe with not having been said.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from promptlab.engine.pipelines.signatures import call_parameters
from promptlab.engine.sampling.guidance import HALVED
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.finder import ModelSource
from promptlab.engine.text.textual_inversion import clip_encoders
from promptlab.errors import InputError, one_line, ref, ref_value
from promptlab.specs import CallSpec, Variant

__all__ = ["resolve_steering"]


def resolve_steering(
    call: CallSpec, variants: Sequence[Variant], pipeline: Any, config: Configuration, source: ModelSource
) -> CallSpec:
    """``call`` without what says nothing.

    Args:
        pipeline: diffusers class of the model.

    Raises:
        InputError: for what the pipeline has no door for, a layer that is not there, or a text that compel cannot read.
    """
    call = replace(
        call,
        clip_skip=call.clip_skip or None,
        guidance_rescale=call.guidance_rescale or None,
        guidance_until=None if call.guidance_until == 1 else call.guidance_until,
    )
    parameters = call_parameters(pipeline)
    if call.guidance_rescale is not None and "guidance_rescale" not in parameters:
        raise _no_door("--guidance-rescale", call.guidance_rescale, pipeline)
    if call.clip_skip is not None:
        _check_layers(call.clip_skip, pipeline, clip_encoders(config, source))
    if call.weighting:
        _check_weighting(variants, pipeline, config)
    call.check_whole()
    if call.variation_seed is not None and not _draws_noise(pipeline):
        raise _no_door("--variation-seed", call.variation_seed, pipeline)
    if call.guidance_until is not None and pipeline.__name__ not in HALVED:
        raise _no_door("--guidance-until", call.guidance_until, pipeline, allowed=f"{', '.join(HALVED)}")
    return call


def _draws_noise(pipeline: Any) -> bool:
    """Whether there is one place where it does: pipelines made of pipelines have several."""
    prepare = getattr(pipeline, "prepare_latents", None)
    return prepare is not None and "generator" in inspect.signature(prepare).parameters


def _check_layers(skip: int, pipeline: Any, encoders: dict[str, Any]) -> None:
    if "clip_skip" not in call_parameters(pipeline) or not encoders:
        raise _no_door("--clip-skip", skip, pipeline)
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
            allowed="models whose text encoders are all CLIP", hint=ref("no_weighting"),
        )  # fmt: skip
    for variant in variants:
        for what, text in (("PROMPT", variant.prompt), ("--negative", variant.negative_prompt)):
            _check_readable(what, text)


def _check_readable(what: str, text: str) -> None:
    from compel import Compel
    from compel.prompt_parser import FlattenedPrompt

    try:
        read = Compel.parse_prompt_string(text)
        swaps = any(isinstance(each, FlattenedPrompt) and each.wants_cross_attention_control for each in read.prompts)
    except Exception as error:
        raise InputError(
            what, text, problem=f"cannot be read with weights: {one_line(error, limit=120)}",
            allowed="(words)1.3, words++, words--; brackets that are meant as \\( and \\)", hint=ref("no_weighting"),
        ) from error  # fmt: skip
    if swaps:
        raise InputError(
            what, text, problem="asks for .swap(), which changes attention and not the text",
            allowed="weights, .and() and .blend()", hint="the prompt without .swap()",
        )  # fmt: skip


def _no_door(what: str, value: object, pipeline: Any, *, allowed: str | None = None) -> InputError:
    return InputError(
        what, value, problem=f"means nothing to {pipeline.__name__}", allowed=allowed or f"a model that takes {what}",
        hint=f"the command without {what}",
    )  # fmt: skip
