"""What a batch's call is given beside its numbers: words or tensors in their place, noise, guidance that stops early.

Invariant: rows that share a forward have encodings of one length, and which length that is, each image decides for
itself: a text that came out longer because its neighbour is long would be another text to the denoiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from promptlab.engine.pipelines.traits import GUIDED_TENSORS, call_parameters
from promptlab.engine.sampling.before_denoise import has_plain_latents, initial_latents
from promptlab.engine.sampling.guidance import drop_guidance, guided_steps
from promptlab.engine.text.prompt_encoding import Encoding, encode, needs_prompt_embeds, pad_to_longest
from promptlab.plan import ImageRequest

if TYPE_CHECKING:
    import torch

__all__ = ["Texts", "by_length", "drop_when_due", "tensors_wanted", "unguided", "with_noise"]


class Texts:
    """The texts of a batch as one pipeline's denoiser takes them, each distinct one encoded once."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._read: dict[tuple[str, bool], Encoding] = {}
        self._pairs: dict[tuple[str, str], tuple[Encoding, Encoding]] = {}

    def arguments(self, tasks: Sequence[ImageRequest]) -> dict[str, Any]:
        """The arguments of the call that say what ``tasks``, one a row, show, and what they are steered away from."""
        call = tasks[0].call
        if not needs_prompt_embeds(self._pipeline, call):
            negative = {"negative_prompt": [task.negative_prompt for task in tasks]}
            return {"prompt": [task.prompt for task in tasks], **(negative if tasks[0].negative_prompt else {})}
        pairs = [self.pair(task) for task in tasks]
        given = _named("", [prompt for prompt, _ in pairs]) | _named("negative_", [negative for _, negative in pairs])
        return {name: value for name, value in given.items() if name in call_parameters(type(self._pipeline))}

    def pair(self, task: ImageRequest) -> tuple[Encoding, Encoding]:
        """The prompt and the negative prompt of ``task``, of one length."""
        import torch

        words = task.prompt, task.negative_prompt
        if words not in self._pairs:
            prompt, negative = pad_to_longest(
                self._pipeline, [self._one(task, task.prompt), self._one(task, task.negative_prompt, negative=True)],
                task.call,
            )  # fmt: skip
            if not task.negative_prompt and getattr(self._pipeline.config, "force_zeros_for_empty_prompt", False):
                pooled = None if negative.pooled is None else torch.zeros_like(negative.pooled)
                negative = Encoding(embeds=torch.zeros_like(negative.embeds), pooled=pooled)
            self._pairs[words] = prompt, negative
        return self._pairs[words]

    def _one(self, task: ImageRequest, text: str, *, negative: bool = False) -> Encoding:
        key = text, negative and bool(task.call.clip_skip)
        if key not in self._read:
            self._read[key] = encode(self._pipeline, text, task.call, negative=negative)
        return self._read[key]


def by_length(texts: Texts, tasks: Sequence[ImageRequest]) -> list[tuple[int, ...]]:
    """The places of the tasks that can share a forward: all, but where long texts were read in pieces."""
    if not tasks[0].call.weighting:
        return [tuple(range(len(tasks)))]
    groups: dict[int, list[int]] = {}
    for place, task in enumerate(tasks):
        groups.setdefault(texts.pair(task)[0].tokens, []).append(place)
    return [tuple(places) for places in groups.values()]


def with_noise(pipeline: Any, tasks: Sequence[ImageRequest], generators: Sequence[torch.Generator]) -> dict[str, Any]:
    """``latents``, where the noise is not the seed's own and the shape is known here; each generator has drawn then.

    Other pipelines draw inside :func:`promptlab.engine.sampling.before_denoise.varied_noise`.
    """
    import torch

    if not tasks[0].call.varied or not has_plain_latents(pipeline):
        return {}
    rows = [initial_latents(task, pipeline, own) for task, own in zip(tasks, generators, strict=True)]
    return {"latents": torch.cat(rows)}


def unguided(task: ImageRequest) -> dict[str, float]:
    """The guidance scale of a call that is not guided from the first step on."""
    return {"guidance_scale": 1.0} if task.call.guidance_until == 0 else {}


def tensors_wanted(pipeline: Any, task: ImageRequest) -> dict[str, list[str]]:
    """The tensors that the callback must be handed to drop guidance."""
    if task.call.guidance_until is None:
        return {}
    return {"callback_on_step_end_tensor_inputs": ["latents", *GUIDED_TENSORS.get(type(pipeline).__name__, ())]}


def drop_when_due(pipeline: Any, task: ImageRequest, step: int, steps: int, tensors: dict[str, Any]) -> dict[str, Any]:
    """At the end of step ``step`` (from 0) of ``steps``: without guidance from here on, if this is where it stops."""
    due = task.call.guidance_until is not None and step + 1 == guided_steps(steps, task.call)
    return drop_guidance(pipeline, tensors) if due and pipeline.do_classifier_free_guidance else tensors


def _named(kind: str, encodings: Sequence[Encoding]) -> dict[str, Any]:
    import torch

    given = {f"{kind}prompt_embeds": torch.cat([each.embeds for each in encodings])}
    pooled = [each.pooled for each in encodings if each.pooled is not None]
    return given | ({f"{kind}pooled_prompt_embeds": torch.cat(pooled)} if pooled else {})
