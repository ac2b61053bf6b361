"""Encodes prompts as embeddings: by the pipeline itself, with layers left out, or weighted by compel.

Each text is encoded alone, in a forward of one row, so that its tensors do not depend on the texts beside it.

``clip_skip`` is diffusers': that many layers of the encoder are left out at the end, the final norm still follows
(``hidden_states[-(clip_skip + 1)]``; Stable Diffusion XL counts from the last layer but one, without the norm), and
negative prompts are read in full. It is done here because StableDiffusionPipeline looks for the norm where transformers
5 no longer has it.

With weighting, compel's syntax holds, ``(hard rim light)1.3 fox--``, and a long text is read in pieces of the
encoder's length, each with its own start and end. Invariant: a text without either is what the pipeline makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from promptlab.engine.machine.packrat import remembering
from promptlab.specs import CallSpec

if TYPE_CHECKING:
    import torch

__all__ = ["Encoding", "encode", "encode_pair", "needs_prompt_embeds", "pad_to_longest", "text_encoders_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """Holds the embeddings of one text.

    Args:
        embeds: ``[1, tokens, width]``, in the dtype of the encoder; tokens are a multiple of the encoder's length.
        pooled: ``[1, width]``, where the pipeline wants one vector of the whole text, too.
    """

    embeds: torch.Tensor
    pooled: torch.Tensor | None = None

    @property
    def tokens(self) -> int:
        """Return its length in tokens."""
        return int(self.embeds.shape[1])


def needs_prompt_embeds(pipeline: Any, call: CallSpec) -> bool:
    """Tell whether the pipeline must be given embeddings in place of words."""
    return call.weighting or bool(call.clip_skip and len(text_encoders_of(pipeline)) == 1)


def text_encoders_of(pipeline: Any) -> tuple[tuple[Any, Any], ...]:
    """Return the tokenizers and text encoders that are there, in the order their tensors are joined."""
    pairs = (
        (getattr(pipeline, f"tokenizer{end}", None), getattr(pipeline, f"text_encoder{end}", None))
        for end in ("", "_2", "_3")
    )
    return tuple((tokenizer, encoder) for tokenizer, encoder in pairs if tokenizer is not None and encoder is not None)


def encode(pipeline: Any, text: str, call: CallSpec, *, negative: bool = False) -> Encoding:
    """Encode ``text`` as this pipeline's denoiser is given it.

    Args:
        pipeline: of Stable Diffusion's kind, with one CLIP encoder, or with two whose tensors are joined (XL).
        call: its ``weighting`` and ``clip_skip`` count.
        negative: whether it is what to steer away from: layers are left out for prompts only.
    """
    skip = 0 if negative else call.clip_skip or 0
    if call.weighting:
        with remembering():
            return _encode_weighted(pipeline, text, skip)
    if skip and len(text_encoders_of(pipeline)) == 1:
        ((tokenizer, encoder),) = text_encoders_of(pipeline)
        return Encoding(embeds=_encode_skipping(pipeline, tokenizer, encoder, text, skip))
    return _encode_plain(pipeline, text, skip)


def encode_pair(pipeline: Any, prompt: str, negative_prompt: str, call: CallSpec) -> tuple[Encoding, Encoding]:
    """Encode the prompt and the negative prompt of one image, to one length."""
    import torch

    wanted = [encode(pipeline, prompt, call), encode(pipeline, negative_prompt, call, negative=True)]
    positive, negative = pad_to_longest(pipeline, wanted, call)
    if not negative_prompt and getattr(pipeline.config, "force_zeros_for_empty_prompt", False):
        pooled = None if negative.pooled is None else torch.zeros_like(negative.pooled)
        negative = Encoding(embeds=torch.zeros_like(negative.embeds), pooled=pooled)
    return positive, negative


def pad_to_longest(pipeline: Any, encodings: Sequence[Encoding], call: CallSpec) -> list[Encoding]:
    """Pad the short encodings with that of the empty text.

    The prompt and the negative prompt of an image share a forward, and so a length.
    """
    import torch

    longest = max(each.tokens for each in encodings)
    if all(each.tokens == longest for each in encodings):
        return list(encodings)
    empty = encode(pipeline, "", call, negative=True).embeds
    return [
        Encoding(
            embeds=torch.cat([each.embeds, *[empty] * ((longest - each.tokens) // empty.shape[1])], dim=1),
            pooled=each.pooled,
        )
        for each in encodings
    ]


def _encode_plain(pipeline: Any, text: str, skip: int) -> Encoding:
    made = pipeline.encode_prompt(
        prompt=[text], device=_device(pipeline), num_images_per_prompt=1, do_classifier_free_guidance=False,
        clip_skip=skip or None,
    )  # fmt: skip
    return Encoding(embeds=made[0], pooled=made[2] if len(made) > 2 else None)


def _encode_skipping(pipeline: Any, tokenizer: Any, encoder: Any, text: str, skip: int) -> torch.Tensor:
    words = pipeline.maybe_convert_prompt(text, tokenizer) if hasattr(pipeline, "maybe_convert_prompt") else text
    read = tokenizer(
        [words], padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    device = _device(pipeline)
    masked = getattr(encoder.config, "use_attention_mask", False)
    made = _TruncatedEncoder(encoder, skip)(
        read.input_ids.to(device), read.attention_mask.to(device) if masked else None
    )
    embeds: torch.Tensor = made.last_hidden_state.to(encoder.dtype)
    return embeds


class _TruncatedEncoder:
    """Wraps a CLIP encoder without its last layers, called as compel calls one.

    ``last_hidden_state`` is normed, as the encoder's own; ``hidden_states`` end at the last layer that is kept.
    """

    def __init__(self, encoder: Any, skip: int) -> None:
        self._encoder, self._skip = encoder, skip
        self.device, self.dtype, self.config = encoder.device, encoder.dtype, encoder.config

    def __call__(self, ids: Any, attention_mask: Any = None, **_: Any) -> Any:
        made = self._encoder(ids, attention_mask=attention_mask, output_hidden_states=True, return_dict=True)
        pooled = getattr(made, "text_embeds", None)
        if pooled is None:
            pooled = made.pooler_output
        last = made.last_hidden_state
        if self._skip:
            model = getattr(self._encoder, "text_model", self._encoder)
            last = model.final_layer_norm(made.hidden_states[-(self._skip + 1)])
        states = made.hidden_states[: len(made.hidden_states) - self._skip]
        return SimpleNamespace(last_hidden_state=last, hidden_states=states, text_embeds=pooled)


def _encode_weighted(pipeline: Any, text: str, skip: int) -> Encoding:
    import torch

    pairs = text_encoders_of(pipeline)
    joined = len(pairs) > 1
    read = [
        _compel(pipeline, tokenizer, _TruncatedEncoder(encoder, skip), joined=joined) for tokenizer, encoder in pairs
    ]
    parts = [compel.build_conditioning_tensor(text) for compel in read]
    longest = max(part.shape[1] for part in parts)
    parts = [_filled(compel, part, longest) for compel, part in zip(read, parts, strict=True)]
    dtype = pairs[0][1].dtype
    pooled = None
    if joined:
        plain = " ".join(_fragments(read[-1].parse_prompt_string(text))) or ""
        pooled = read[-1].conditioning_provider.get_pooled_embeddings([plain], device=_device(pipeline)).to(dtype)
    return Encoding(embeds=torch.cat(parts, dim=-1).to(dtype), pooled=pooled)


def _compel(pipeline: Any, tokenizer: Any, encoder: _TruncatedEncoder, *, joined: bool) -> Any:
    from compel import Compel, ReturnedEmbeddingsType

    kinds, convert = ReturnedEmbeddingsType, partial(pipeline.maybe_convert_prompt, tokenizer=tokenizer)
    return Compel(
        tokenizer=tokenizer, text_encoder=encoder, truncate_long_prompts=False, device=_device(pipeline),
        textual_inversion_manager=_InversionManager(convert, tokenizer),
        returned_embeddings_type=kinds.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED if joined
        else kinds.LAST_HIDDEN_STATES_NORMALIZED,
    )  # fmt: skip


class _InversionManager:
    """Expands textual inversions of several vectors for compel: one token becomes as many."""

    def __init__(self, converted: Any, tokenizer: Any) -> None:
        self._converted, self._tokenizer = converted, tokenizer

    def expand_textual_inversion_token_ids_if_necessary(self, token_ids: list[int]) -> list[int]:
        """Return ``token_ids``, each token of an inversion followed by those of its further vectors."""
        added = self._tokenizer.added_tokens_decoder
        names = {token.content: number for number, token in added.items()}
        longer: list[int] = []
        for number in token_ids:
            longer.append(number)
            name = added[number].content if number in added else None
            place = 1
            while name is not None and f"{name}_{place}" in names:
                longer.append(names[f"{name}_{place}"])
                place += 1
        return longer


def _filled(compel: Any, part: Any, tokens: int) -> Any:
    import torch

    empty = compel.conditioning_provider.empty_z
    return torch.cat([part, *[empty] * ((tokens - part.shape[1]) // empty.shape[1])], dim=1)


def _fragments(conjunction: Any) -> list[str]:
    """Return the words of a weighted text without its weights: a vector of the whole text knows none."""
    found: list[str] = []
    for prompt in conjunction.prompts:
        for flat in getattr(prompt, "prompts", [prompt]):
            found += [fragment.text for fragment in flat.children if hasattr(fragment, "text")]
    return found


def _device(pipeline: Any) -> Any:
    return pipeline._execution_device  # noqa: SLF001 - where a pipeline puts its own tensors, offloaded or not
