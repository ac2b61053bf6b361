"""How many pieces of the encoder's length a weighted text is read in, told by the tokenizers alone.

Images share a forward only where their texts have one length, so a plan that counts forwards, and the engine that
fills them, must know it before a model is loaded. compel's parser and splitting do the counting; no encoder is asked.
Source: ``EmbeddingsProvider._chunk_and_pad_token_ids``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.sources.adapters import AdapterFile
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.finder import ModelSource
from promptlab.engine.text.textual_inversion import clip_encoders, load_tokenizer, read_inversion, tokens_of
from promptlab.specs import Embedding, Variant

__all__ = ["pieces_of"]


def pieces_of(
    variants: Sequence[Variant],
    config: Configuration,
    source: ModelSource,
    embeddings: Sequence[Embedding],
    file_of: Callable[[Embedding], AdapterFile],
) -> tuple[int, ...]:
    """For each variant, the pieces of the longer of its two texts, in the encoder that makes the most of it.

    Args:
        embeddings: words of their own; one of several vectors is as many tokens.
        file_of: where each lies.
    """
    encoders = clip_encoders(config, source)
    own = [read_inversion(file_of(each), each.token, encoders) for each in embeddings]
    readers = []
    for part in encoders:
        name = part.replace("text_encoder", "tokenizer")
        tokenizer = load_tokenizer(source, name, config.parts[name])
        tokens = [tokens_of(each) for each in own if part in each.vectors]
        tokenizer.add_tokens([token for each in tokens for token in each])
        readers.append((_compel(tokenizer), {each[0]: " ".join(each) for each in tokens if len(each) > 1}))
    counted: dict[str, int] = {}

    def count(text: str) -> int:
        if text not in counted:
            counted[text] = max((_pieces(reader, _spelled(text, words)) for reader, words in readers), default=1)
        return counted[text]

    with quietly():
        return tuple(max(count(each.prompt), count(each.negative_prompt)) for each in variants)


def _compel(tokenizer: Any) -> Any:
    from compel import Compel

    return Compel(
        tokenizer=tokenizer, text_encoder=SimpleNamespace(device="cpu"), truncate_long_prompts=False, device="cpu"
    )


def _spelled(text: str, words: dict[str, str]) -> str:
    for word, tokens in words.items():
        text = text.replace(word, tokens)
    return text


def _pieces(reader: Any, text: str) -> int:
    """Parts of a conjunction are read one after the other, those of a blend beside one another."""
    return sum(
        max(_read(reader, flat) for flat in getattr(prompt, "prompts", [prompt]))
        for prompt in reader.parse_prompt_string(text).prompts
    )


def _read(reader: Any, flat: Any) -> int:
    texts = [fragment.text for fragment in flat.children if hasattr(fragment, "text")]
    provider = reader.conditioning_provider
    ids = provider.get_token_ids_and_expand_weights(texts, [1.0] * len(texts), "cpu")[0]
    return int(len(ids) // provider.max_token_count)
