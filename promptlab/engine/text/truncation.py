"""Words that the text encoders would not see, found with their tokenizers alone.

A pipeline cuts a prompt at its encoder's length and mentions it in a log. The lengths are the pipelines' own: a CLIP
reads as many tokens as its tokenizer says (77, two of them the start and the end); another encoder (T5, a language
model) as many as the call's ``max_sequence_length``, where the pipeline has one. Sources: ``encode_prompt`` of
diffusers' StableDiffusionPipeline, StableDiffusionXLPipeline, StableDiffusion3Pipeline, FluxPipeline.

What a pipeline writes around a prompt of its own accord (templates of language models) is not counted.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from promptlab.engine.loading.pipeline_cache import translate_errors
from promptlab.engine.pipelines.calls import pipeline_class
from promptlab.engine.pipelines.signatures import call_parameters
from promptlab.engine.resolver import ModelFiles, look_up
from promptlab.engine.sources.adapters import EMBEDDING
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.engine.text.textual_inversion import clip_encoders, load_tokenizer, read_inversion, tokens_of
from promptlab.plan import ResolvedSpec, TruncatedPrompt
from promptlab.specs import CallSpec, PipelineSpec, Variant

__all__ = ["Tokenizers"]

_ENDLESS: Final = 1_000_000
"""Tokens. A tokenizer without a length of its own says 10³⁰."""

_TOGETHER: Final = 1000
"""Prompts a tokenizer is given at once: many, because each call has a price, and few enough for any memory."""

_SEQUENCE: Final = "max_sequence_length"


class Tokenizers:
    """The tokenizers of the models looked at so far, each loaded once. They are small and stay."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, str], Any] = {}

    def cut_words(self, resolved: Sequence[ResolvedSpec], finder: SourceFinder) -> tuple[TruncatedPrompt, ...]:
        """See :meth:`promptlab.engine.Engine.cut_words`."""
        found: dict[TruncatedPrompt, None] = {}
        for (pipeline, length), prompts in _prompts_by_model(resolved).items():
            with translate_errors(f"the words for {pipeline.model} could not be counted"):
                model = look_up(pipeline, finder)
                for encoder, kind in _tokenizers_of(model.config):
                    tokenizer = self._ready(model.source, encoder, kind)
                    spellings: dict[str, str] = {}
                    if pipeline.embeddings:
                        tokenizer, spellings = _own_words(tokenizer, encoder, pipeline, model, finder)
                    limit = _limit(tokenizer, kind, length or _default_length(model.config, model.source))
                    if limit is not None:
                        texts = {_spelled(text, spellings): text for text in prompts}
                        for cut in _cut_by(tokenizer, encoder, limit, list(texts)):
                            words = _as_written(cut.words, spellings)
                            found[replace(cut, prompt=texts[cut.prompt], words=words)] = None
        return tuple(found)

    def _ready(self, source: ModelSource, encoder: str, kind: str) -> Any:
        key = source.identity, encoder
        if key not in self._loaded:
            self._loaded[key] = load_tokenizer(source, encoder, kind)
        return self._loaded[key]


def _prompts_by_model(resolved: Iterable[ResolvedSpec]) -> dict[tuple[PipelineSpec, int | None], dict[str, None]]:
    """The distinct texts that each model is given, negative ones too, in order of first appearance."""
    groups: dict[tuple[PipelineSpec, int | None], dict[str, None]] = {}
    models: dict[int, PipelineSpec] = {}
    looked_at: set[tuple[PipelineSpec, int | None, int]] = set()
    for each in resolved:
        spec = each.spec
        if spec.call.weighting:  # long texts are read in pieces
            continue
        pipeline = models.get(id(spec.pipeline)) or models.setdefault(id(spec.pipeline), _named(spec.pipeline))
        key = pipeline, _asked_length(spec.call)
        if (*key, id(spec.variants)) not in looked_at:
            looked_at.add((*key, id(spec.variants)))
            groups.setdefault(key, {}).update(_texts(spec.variants))
    return groups


def _named(pipeline: PipelineSpec) -> PipelineSpec:
    """The model alone: what else a pipeline has reads no words."""
    return PipelineSpec(
        model=pipeline.model, revision=pipeline.revision, variant=pipeline.variant, config=pipeline.config,
        embeddings=pipeline.embeddings,
    )  # fmt: skip


def _own_words(
    tokenizer: Any, name: str, pipeline: PipelineSpec, model: ModelFiles, finder: SourceFinder
) -> tuple[Any, dict[str, str]]:
    """A tokenizer that knows the words of the pipeline's embeddings, and how those of several vectors are spelled."""
    encoders = clip_encoders(model.config, model.source)
    inside = [
        read_inversion(finder.adapter(each.name, EMBEDDING), each.token, encoders) for each in pipeline.embeddings
    ]
    part = name.replace("tokenizer", "text_encoder")
    tokens = [tokens_of(each) for each in inside if part in each.vectors]
    worded = copy.deepcopy(tokenizer)
    worded.add_tokens([token for each in tokens for token in each])
    return worded, {each[0]: " ".join(each) for each in tokens if len(each) > 1}


def _spelled(text: str, spellings: Mapping[str, str]) -> str:
    for word, spelling in spellings.items():
        text = text.replace(word, spelling)
    return text


def _as_written(text: str, spellings: Mapping[str, str]) -> str:
    """A text as it was before it was spelled; one that begins inside a word begins with that word."""
    for word, spelling in spellings.items():
        text = text.replace(spelling, word)
        rest = re.sub(rf"^(?:{re.escape(word)}_\d+ ?)+", "", text)
        text = text if rest == text else f"{word} {rest}"
    return text.strip()


def _texts(variants: Iterable[Variant]) -> dict[str, None]:
    return dict.fromkeys(
        text for variant in variants for text in (variant.prompt, variant.negative_prompt) if text.strip()
    )


def _asked_length(call: CallSpec) -> int | None:
    value = dict(call.arguments).get(_SEQUENCE) if call.arguments else None
    return value if isinstance(value, int) else None


def _default_length(config: Configuration, source: ModelSource) -> int | None:
    parameters: Mapping[str, Any] = call_parameters(pipeline_class(config, source.name))
    default = parameters[_SEQUENCE].default if _SEQUENCE in parameters else None
    return default if isinstance(default, int) else None


def _tokenizers_of(config: Configuration) -> Iterator[tuple[str, str]]:
    return ((part, kind) for part, kind in config.parts.items() if "Tokenizer" in kind)


def _limit(tokenizer: Any, kind: str, sequence_length: int | None) -> int | None:
    """Tokens that the encoder reads, start and end included; ``None`` where nothing is cut."""
    if sequence_length is not None and not kind.startswith("CLIP"):
        return sequence_length
    own = tokenizer.model_max_length
    return int(own) if own < _ENDLESS else None


def _cut_by(tokenizer: Any, encoder: str, limit: int, prompts: Sequence[str]) -> Iterator[TruncatedPrompt]:
    for start in range(0, len(prompts), _TOGETHER):
        some = list(prompts[start : start + _TOGETHER])
        tokens = tokenizer(some, truncation=False, verbose=False).input_ids
        for prompt, ids in zip(some, tokens, strict=True):
            if len(ids) > limit and (words := _words_cut(tokenizer, limit, prompt)):
                yield TruncatedPrompt(prompt=prompt, encoder=encoder, words=words)


def _words_cut(tokenizer: Any, limit: int, prompt: str) -> str:
    """The end of ``prompt`` that does not fit, as written; as its tokens read where these tell no places."""
    kept = limit - tokenizer.num_special_tokens_to_add()
    if not tokenizer.is_fast:
        ids = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
        return str(tokenizer.decode(ids[kept:])).strip()
    tokens = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return prompt[_word_at(prompt, tokens.offset_mapping[kept][0]) :].strip()


def _word_at(text: str, start: int) -> int:
    """Where the word that ``start`` lies in begins: half a word is not read as that word. Where words are written
    without blanks between them, each character stands for itself."""

    def inside(place: int) -> bool:
        return text[place].isalnum() and unicodedata.east_asian_width(text[place]) not in "WF"

    while 0 < start < len(text) and inside(start) and inside(start - 1):
        start -= 1
    return start
