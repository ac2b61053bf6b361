"""Finds the words that a text encoder would not see, and counts the chunks it reads of long prompts.

Only tokenizers are loaded. A pipeline cuts a prompt at its encoder's length and mentions it in a log. The lengths are
the pipelines' own: a CLIP reads as many tokens as its tokenizer says (77, two of them the start and the end); another
encoder (T5, a language model) as many as the call's ``max_sequence_length``, where the pipeline has one. Sources:
``encode_prompt`` of diffusers' StableDiffusionPipeline, StableDiffusionXLPipeline, StableDiffusion3Pipeline,
FluxPipeline.

With weighting nothing is cut: a long text is read in chunks of the encoder's length. Images share a forward only where
their texts have equally many, so a plan that counts forwards, and the engine that fills them, must know it before a
model is loaded. compel's parser and splitting do the counting; source: ``EmbeddingsProvider._chunk_and_pad_token_ids``.

What a pipeline writes around a prompt of its own accord (templates of language models) is not counted.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

from promptlab.engine.errors import translate_errors
from promptlab.engine.machine.packrat import remembering
from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.pipelines.calls import pipeline_class
from promptlab.engine.pipelines.traits import call_parameters
from promptlab.engine.sources.adapters import EMBEDDING
from promptlab.engine.sources.configuration import Configuration, clip_encoders, read_configuration
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.engine.text.textual_inversion import (
    TextualInversion,
    inversion_tokens,
    load_tokenizer,
    read_textual_inversion,
)
from promptlab.plan import ResolvedSpec, TruncatedPrompt
from promptlab.specs import CallSpec, Embedding, PipelineSpec, Variant

__all__ = ["Tokenizers", "count_chunks"]

_UNLIMITED: Final = 1_000_000
"""Tokens. A tokenizer without a length of its own says 10³⁰."""

_BATCH: Final = 1000
"""Prompts a tokenizer is given at once: many, because each call has a price, and few enough for any memory."""

_SEQUENCE: Final = "max_sequence_length"


class Tokenizers:
    """Caches the tokenizers of the models looked at so far. They are small and stay."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, str], Any] = {}

    def truncated_prompts(self, resolved: Sequence[ResolvedSpec], finder: SourceFinder) -> tuple[TruncatedPrompt, ...]:
        """Return the prompts and negative prompts that a text encoder cuts, once for every encoder that does.

        Raises:
            EngineError: when a tokenizer will not load.
        """
        found: dict[TruncatedPrompt, None] = {}
        for (pipeline, length), prompts in _prompts_by_model(resolved).items():
            with translate_errors(f"the words for {pipeline.model} could not be counted"):
                source = finder.model_of(pipeline)
                config = read_configuration(source.folder, source.name)
                inversions = _inversions(pipeline.embeddings, config, source, finder)
                for part, kind in _tokenizers_of(config):
                    tokenizer, spellings = self._tokenizer(source, part, kind, inversions)
                    limit = _limit(tokenizer, kind, length or _default_length(config, source))
                    if limit is None:
                        continue
                    texts = {_expanded(text, spellings): text for text in prompts}
                    for cut in _truncated(tokenizer, part, limit, list(texts)):
                        words = _as_written(cut.words, spellings)
                        found[replace(cut, prompt=texts[cut.prompt], words=words)] = None
        return tuple(found)

    def _tokenizer(
        self, source: ModelSource, part: str, kind: str, inversions: Sequence[TextualInversion]
    ) -> tuple[Any, dict[str, str]]:
        """Return a tokenizer that knows the inversions, and how those of several vectors are spelled."""
        key = source.identity, part
        if key not in self._loaded:
            self._loaded[key] = load_tokenizer(source, part, kind)
        if not inversions:
            return self._loaded[key], {}
        tokenizer = copy.deepcopy(self._loaded[key])
        return tokenizer, _add_tokens(tokenizer, part.replace("tokenizer", "text_encoder"), inversions)


def count_chunks(
    variants: Sequence[Variant],
    config: Configuration,
    source: ModelSource,
    embeddings: Sequence[Embedding],
    finder: SourceFinder,
) -> tuple[int, ...]:
    """Count each variant's chunks: of the longer of its texts, in the encoder that makes the most of it.

    Args:
        embeddings: textual inversions; one of several vectors is as many tokens.
        finder: finds their files.
    """
    inversions = _inversions(embeddings, config, source, finder)
    readers: list[tuple[Any, dict[str, str]]] = []
    for part in clip_encoders(config, source.folder):
        name = part.replace("text_encoder", "tokenizer")
        tokenizer = load_tokenizer(source, name, config.parts[name])
        spellings = _add_tokens(tokenizer, part, inversions)
        readers.append((_compel(tokenizer), spellings))
    counted: dict[str, int] = {}

    def count(text: str) -> int:
        if text not in counted:
            counted[text] = max((_chunks(reader, _expanded(text, tokens)) for reader, tokens in readers), default=1)
        return counted[text]

    with quietly(), remembering():
        return tuple(max(count(each.prompt), count(each.negative_prompt)) for each in variants)


def _inversions(
    embeddings: Sequence[Embedding], config: Configuration, source: ModelSource, finder: SourceFinder
) -> list[TextualInversion]:
    encoders = clip_encoders(config, source.folder) if embeddings else {}
    return [read_textual_inversion(finder.adapter(each.name, EMBEDDING), each.token, encoders) for each in embeddings]


def _add_tokens(tokenizer: Any, part: str, inversions: Iterable[TextualInversion]) -> dict[str, str]:
    """Add the inversions' tokens of the encoder ``part``; return how those of several vectors are spelled."""
    tokens = [inversion_tokens(each) for each in inversions if part in each.vectors]
    tokenizer.add_tokens([token for each in tokens for token in each])
    return {each[0]: " ".join(each) for each in tokens if len(each) > 1}


def _expanded(text: str, spellings: Mapping[str, str]) -> str:
    for token, spelling in spellings.items():
        text = text.replace(token, spelling)
    return text


def _as_written(text: str, spellings: Mapping[str, str]) -> str:
    """Undo :func:`_expanded`; a text that begins inside a token's vectors begins with that token."""
    for token, spelling in spellings.items():
        text = text.replace(spelling, token)
        rest = re.sub(rf"^(?:{re.escape(token)}_\d+ ?)+", "", text)
        text = text if rest == text else f"{token} {rest}"
    return text.strip()


def _prompts_by_model(resolved: Iterable[ResolvedSpec]) -> dict[tuple[PipelineSpec, int | None], dict[str, None]]:
    """Return the distinct texts that each model is given, negative ones too, in order of first appearance."""
    groups: dict[tuple[PipelineSpec, int | None], dict[str, None]] = {}
    models: dict[int, PipelineSpec] = {}
    seen: set[tuple[PipelineSpec, int | None, int]] = set()
    for each in resolved:
        spec = each.spec
        if spec.call.weighting:  # long texts are read in chunks
            continue
        pipeline = models.get(id(spec.pipeline)) or models.setdefault(id(spec.pipeline), _model_of(spec.pipeline))
        key = pipeline, _asked_length(spec.call)
        if (*key, id(spec.variants)) not in seen:
            seen.add((*key, id(spec.variants)))
            groups.setdefault(key, {}).update(_texts(spec.variants))
    return groups


def _model_of(pipeline: PipelineSpec) -> PipelineSpec:
    """Return what of ``pipeline`` decides how texts are read: the model and its embeddings.

    Its quantization says besides which weights need not be here.
    """
    return PipelineSpec(
        model=pipeline.model, revision=pipeline.revision, variant=pipeline.variant, config=pipeline.config,
        quantization=pipeline.quantization, embeddings=pipeline.embeddings,
    )  # fmt: skip


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
    """Return the tokens that the encoder reads, start and end included; ``None`` where nothing is cut."""
    if sequence_length is not None and not kind.startswith("CLIP"):
        return sequence_length
    own = tokenizer.model_max_length
    return int(own) if own < _UNLIMITED else None


def _truncated(tokenizer: Any, part: str, limit: int, prompts: Sequence[str]) -> Iterator[TruncatedPrompt]:
    for start in range(0, len(prompts), _BATCH):
        some = list(prompts[start : start + _BATCH])
        tokens = tokenizer(some, truncation=False, verbose=False).input_ids
        for prompt, ids in zip(some, tokens, strict=True):
            if len(ids) > limit and (words := _words_cut(tokenizer, limit, prompt)):
                yield TruncatedPrompt(prompt=prompt, encoder=part, words=words)


def _words_cut(tokenizer: Any, limit: int, prompt: str) -> str:
    """Return the end of ``prompt`` that does not fit; as its tokens read where these tell no places."""
    kept = limit - tokenizer.num_special_tokens_to_add()
    if not tokenizer.is_fast:
        ids = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
        return str(tokenizer.decode(ids[kept:])).strip()
    tokens = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return prompt[_word_start(prompt, tokens.offset_mapping[kept][0]) :].strip()


def _word_start(text: str, start: int) -> int:
    """Return where the word that ``start`` lies in begins: half a word is not read as that word.

    Where words are written without blanks between them, each character stands for itself.
    """

    def inside(place: int) -> bool:
        return text[place].isalnum() and unicodedata.east_asian_width(text[place]) not in "WF"

    while 0 < start < len(text) and inside(start) and inside(start - 1):
        start -= 1
    return start


def _compel(tokenizer: Any) -> Any:
    from compel import Compel

    return Compel(
        tokenizer=tokenizer, text_encoder=SimpleNamespace(device="cpu"), truncate_long_prompts=False, device="cpu"
    )


def _chunks(reader: Any, text: str) -> int:
    """Count a text's chunks: a conjunction's parts are read one after the other, a blend's side by side."""
    return sum(
        max(_chunks_of_fragments(reader, flat) for flat in getattr(prompt, "prompts", [prompt]))
        for prompt in reader.parse_prompt_string(text).prompts
    )


def _chunks_of_fragments(reader: Any, flat: Any) -> int:
    texts = [fragment.text for fragment in flat.children if hasattr(fragment, "text")]
    provider = reader.conditioning_provider
    ids = provider.get_token_ids_and_expand_weights(texts, [1.0] * len(texts), "cpu")[0]
    return int(len(ids) // provider.max_token_count)
