"""Encodes the prompts of a stream of images: each distinct text once.

Texts are encoded by the pipeline itself, as many at a time as images share a forward and the last one repeated up to
that, because kernels round by shape: so the tensors are those that the pipeline's own call makes. They are kept as long
as an image waits for them.

Source: the parts before the loop of ``__call__`` of diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptlab.engine.sampling.call_arguments import Texts
from promptlab.engine.sampling.denoise import Conditions
from promptlab.engine.text.prompt_encoding import needs_prompt_embeds
from promptlab.plan import ImageRequest

if TYPE_CHECKING:
    import torch

__all__ = ["PromptEncoder", "guides"]


@dataclass(frozen=True, slots=True)
class _Text:
    """Names a text in one of its two roles; None is no negative prompt, which is not always the empty one."""

    words: str | None
    negative: bool
    clip_skip: int | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    embeds: torch.Tensor
    pooled: torch.Tensor | None


class PromptEncoder:
    """Gives each image its conditions, and forgets a text once no image of the stream waits for it.

    Args:
        pipeline: StableDiffusionPipeline or StableDiffusionXLPipeline.
        rows: texts that are encoded together.
        requests: the stream, in the order in which images are begun.
    """

    def __init__(self, pipeline: Any, rows: int, requests: Sequence[ImageRequest]) -> None:
        self._pipeline, self._rows = pipeline, rows
        self._wanted: dict[bool, Counter[_Text]] = {False: Counter(), True: Counter()}
        for request in requests:
            for text in self._texts(request):
                self._wanted[text.negative][text] += 1
        self._read: dict[_Text, _Read] = {}
        self._encoded: dict[int | None, Texts] = {}
        """By ``clip_skip``: what the pipeline itself cannot encode."""

    def conditions(self, request: ImageRequest) -> Conditions:
        """Return the conditions of ``request``, whose texts need not be there any more afterwards."""
        texts = self._texts(request)
        if needs_prompt_embeds(self._pipeline, request.call):
            encoded = self._encoded.setdefault(request.call.clip_skip, Texts(self._pipeline))
            prompt, *negatives = [_Read(each.embeds, each.pooled) for each in encoded.pair(request)[: len(texts)]]
        else:
            prompt, *negatives = [self._one(text) for text in texts]
        negative = negatives[0] if negatives else None
        return Conditions(
            embeds=prompt.embeds,
            negative=None if negative is None else negative.embeds,
            added=self._added(request, prompt),
            negative_added=self._added(request, negative),
            timestep_cond=self._told_of_guidance(request, prompt.embeds.dtype),
        )

    def _texts(self, request: ImageRequest) -> tuple[_Text, ...]:
        prompt = _Text(request.prompt, negative=False, clip_skip=request.call.clip_skip or None)
        if not guides(self._pipeline, request):
            return (prompt,)
        return prompt, _Text(request.negative_prompt or None, negative=True)

    def _one(self, text: _Text) -> _Read:
        found = self._read.get(text) or self._together(text)
        wanted = self._wanted[text.negative]
        wanted[text] -= 1
        if not wanted[text]:
            del wanted[text]
            self._read.pop(text, None)
        return found

    def _together(self, text: _Text) -> _Read:
        """Encode ``text`` with those that come after it."""
        alike = (
            other for other in self._wanted[text.negative]
            if other not in self._read and other != text and other.clip_skip == text.clip_skip
            and (other.words is None) == (text.words is None)
        )  # fmt: skip
        some = [text, *(other for other, _ in zip(alike, range(self._rows - 1), strict=False))]
        rows = [*some, *[some[-1]] * (self._rows - len(some))]
        embeds, pooled = self._negative(rows) if text.negative else self._prompts(rows)
        for row, each in enumerate(some):
            self._read[each] = _Read(embeds[row : row + 1], None if pooled is None else pooled[row : row + 1])
        return self._read[text]

    def _prompts(self, rows: Sequence[_Text]) -> tuple[torch.Tensor, torch.Tensor | None]:
        made = self._pipeline.encode_prompt(
            prompt=[text.words for text in rows], device=self._device, num_images_per_prompt=1,
            do_classifier_free_guidance=False, clip_skip=rows[0].clip_skip,
        )  # fmt: skip
        return made[0], made[2] if len(made) > 2 else None

    def _negative(self, rows: Sequence[_Text]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Encode negative prompts: beside prompts, as the pipeline wants; as tensors, these cost nothing."""
        import torch

        beside: dict[str, Any] = {"prompt_embeds": torch.zeros((len(rows), *self._shape), device=self._device)}
        if hasattr(self._pipeline, "text_encoder_2"):
            width = self._pipeline.text_encoder_2.config.projection_dim
            beside["pooled_prompt_embeds"] = torch.zeros((len(rows), width), device=self._device)
        made = self._pipeline.encode_prompt(
            prompt=None, device=self._device, num_images_per_prompt=1, do_classifier_free_guidance=True,
            negative_prompt=None if rows[0].words is None else [text.words for text in rows], **beside,
        )  # fmt: skip
        return made[1], made[3] if len(made) > 2 else None

    @property
    def _device(self) -> Any:
        return self._pipeline._execution_device  # noqa: SLF001 - where a pipeline puts its own tensors

    @property
    def _shape(self) -> tuple[int, int]:
        """Return tokens and width of an encoded prompt."""
        pipeline = self._pipeline
        encoders = [getattr(pipeline, name, None) for name in ("text_encoder", "text_encoder_2")]
        tokenizer = pipeline.tokenizer or pipeline.tokenizer_2
        return tokenizer.model_max_length, sum(each.config.hidden_size for each in encoders if each is not None)

    def _added(self, request: ImageRequest, read: _Read | None) -> dict[str, torch.Tensor] | None:
        if read is None or read.pooled is None:
            return None
        pipeline, size = self._pipeline, (request.call.height, request.call.width)
        encoder = pipeline.text_encoder_2
        width = read.pooled.shape[-1] if encoder is None else encoder.config.projection_dim
        times = pipeline._get_add_time_ids(  # noqa: SLF001 - what the call itself asks
            size, (0, 0), size, dtype=read.embeds.dtype, text_encoder_projection_dim=int(width)
        )
        return {"text_embeds": read.pooled, "time_ids": times.to(self._device)}

    def _told_of_guidance(self, request: ImageRequest, dtype: torch.dtype) -> torch.Tensor | None:
        import torch

        width = self._pipeline.unet.config.time_cond_proj_dim
        if width is None:
            return None
        scale = torch.tensor([request.call.guidance_scale or 0.0]) - 1
        made: torch.Tensor = self._pipeline.get_guidance_scale_embedding(scale, embedding_dim=width)
        return made.to(device=self._device, dtype=dtype)


def guides(pipeline: Any, request: ImageRequest) -> bool:
    """Say whether the pipeline guides this image: ``do_classifier_free_guidance`` of its call."""
    call = request.call
    return (
        (call.guidance_scale or 0.0) > 1
        and call.guidance_until != 0
        and pipeline.unet.config.time_cond_proj_dim is None
    )
