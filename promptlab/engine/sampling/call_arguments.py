"""Makes the arguments of a batch's call: words or tensors, noise, guidance that ends early.

Invariant: rows that share a forward have encodings of one length, and which length that is, each image decides for
itself: a text that came out longer because its neighbour is long would be another text to the denoiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from promptlab.engine.pipelines.denoising_steps import guided_steps
from promptlab.engine.pipelines.traits import GUIDED_TENSORS, call_parameters
from promptlab.engine.sampling.before_denoise import has_plain_latents, initial_latents
from promptlab.engine.sampling.guidance import drop_guidance
from promptlab.engine.text.prompt_encoding import Encoding, encode, needs_prompt_embeds, pad_to_longest
from promptlab.plan import ImageRequest

if TYPE_CHECKING:
    import torch

__all__ = ["Texts", "by_length", "drop_when_due", "tensors_wanted", "unguided", "with_noise"]


class Texts:
    """Encodes the texts of a batch as the pipeline's denoiser takes them, each distinct one once."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._read: dict[tuple[str, bool], Encoding] = {}
        self._pairs: dict[tuple[str, str], tuple[Encoding, Encoding]] = {}

    def arguments(self, requests: Sequence[ImageRequest]) -> dict[str, Any]:
        """Return the arguments that hold the prompts and negative prompts of ``requests``, one a row."""
        call = requests[0].call
        if not needs_prompt_embeds(self._pipeline, call):
            negative = {"negative_prompt": [request.negative_prompt for request in requests]}
            return {
                "prompt": [request.prompt for request in requests],
                **(negative if requests[0].negative_prompt else {}),
            }
        pairs = [self.pair(request) for request in requests]
        given = _named("", [prompt for prompt, _ in pairs]) | _named("negative_", [negative for _, negative in pairs])
        return {name: value for name, value in given.items() if name in call_parameters(type(self._pipeline))}

    def pair(self, request: ImageRequest) -> tuple[Encoding, Encoding]:
        """Encode the prompt and the negative prompt of ``request``, to one length."""
        import torch

        words = request.prompt, request.negative_prompt
        if words not in self._pairs:
            prompt, negative = pad_to_longest(
                self._pipeline,
                [self._one(request, request.prompt), self._one(request, request.negative_prompt, negative=True)],
                request.call,
            )
            if not request.negative_prompt and getattr(self._pipeline.config, "force_zeros_for_empty_prompt", False):
                pooled = None if negative.pooled is None else torch.zeros_like(negative.pooled)
                negative = Encoding(embeds=torch.zeros_like(negative.embeds), pooled=pooled)
            self._pairs[words] = prompt, negative
        return self._pairs[words]

    def _one(self, request: ImageRequest, text: str, *, negative: bool = False) -> Encoding:
        key = text, negative and bool(request.call.clip_skip)
        if key not in self._read:
            self._read[key] = encode(self._pipeline, text, request.call, negative=negative)
        return self._read[key]


def by_length(texts: Texts, requests: Sequence[ImageRequest]) -> list[tuple[int, ...]]:
    """Group the places of requests that can share a forward: all, but where texts are read in pieces."""
    if not requests[0].call.weighting:
        return [tuple(range(len(requests)))]
    groups: dict[int, list[int]] = {}
    for place, request in enumerate(requests):
        groups.setdefault(texts.pair(request)[0].tokens, []).append(place)
    return [tuple(places) for places in groups.values()]


def with_noise(
    pipeline: Any, requests: Sequence[ImageRequest], generators: Sequence[torch.Generator]
) -> dict[str, Any]:
    """Return ``latents``, where the noise is not the seed's own and its shape is known here.

    Each generator has drawn then.

    Other pipelines draw inside :func:`promptlab.engine.sampling.before_denoise.varied_noise`.
    """
    import torch

    if not requests[0].call.varied or not has_plain_latents(pipeline):
        return {}
    rows = [initial_latents(request, pipeline, own) for request, own in zip(requests, generators, strict=True)]
    return {"latents": torch.cat(rows)}


def unguided(request: ImageRequest) -> dict[str, float]:
    """Return the guidance scale of a call that is not guided from the first step on."""
    return {"guidance_scale": 1.0} if request.call.guidance_until == 0 else {}


def tensors_wanted(pipeline: Any, request: ImageRequest) -> dict[str, list[str]]:
    """Name the tensors that the callback must be handed to drop guidance."""
    if request.call.guidance_until is None:
        return {}
    return {"callback_on_step_end_tensor_inputs": ["latents", *GUIDED_TENSORS.get(type(pipeline).__name__, ())]}


def drop_when_due(
    pipeline: Any, request: ImageRequest, step: int, steps: int, tensors: dict[str, Any]
) -> dict[str, Any]:
    """Drop guidance at the end of step ``step`` (from 0) of ``steps``, if this is where it stops."""
    due = request.call.guidance_until is not None and step + 1 == guided_steps(steps, request.call)
    return drop_guidance(pipeline, tensors) if due and pipeline.do_classifier_free_guidance else tensors


def _named(kind: str, encodings: Sequence[Encoding]) -> dict[str, Any]:
    import torch

    given = {f"{kind}prompt_embeds": torch.cat([each.embeds for each in encodings])}
    pooled = [each.pooled for each in encodings if each.pooled is not None]
    return given | ({f"{kind}pooled_prompt_embeds": torch.cat(pooled)} if pooled else {})
