"""Adds textual inversions to text encoders and removes them: vectors for a word of their own.

A word of several vectors becomes as many tokens, ``<cat>``, ``<cat>_1`` …, which is how diffusers' pipelines read them
(``maybe_convert_prompt``). Invariant: an encoder whose last inversion was taken out is to the byte the one it was, its
tokenizer too: both are put back, not patched. (diffusers' ``unload_textual_inversion`` counts on special tokens that
lie behind all others.)

Layouts that are read: diffusers' ``{token: vectors}``, AUTOMATIC1111's ``string_to_param`` and ``emb_params``, and
Stable Diffusion XL's ``clip_l`` with ``clip_g``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.sources.adapters import EMBEDDING, AdapterFile
from promptlab.engine.sources.configuration import Configuration, clip_encoders
from promptlab.engine.sources.files import PICKLES
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.errors import InputError, one_line, ref_value
from promptlab.specs import Embedding

if TYPE_CHECKING:
    import torch

__all__ = [
    "TextualInversion",
    "TextualInversions",
    "inversion_tokens",
    "load_tokenizer",
    "read_textual_inversion",
    "resolve_embeddings",
]

_NAMELESS: Final = frozenset({"*", "emb_params", "clip_l", "clip_g", "string_to_param"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TextualInversion:
    """Represents a word and its vectors for each encoder that has some.

    Args:
        token: as it is written in prompts.
        vectors: ``[tokens, width]``, by the encoder's name in the pipeline.
    """

    token: str
    vectors: Mapping[str, torch.Tensor]


def load_tokenizer(source: ModelSource, part: str, kind: str) -> Any:
    """Load the tokenizer ``part`` of a model, of the class ``kind``."""
    import transformers

    with quietly():
        return getattr(transformers, kind, transformers.AutoTokenizer).from_pretrained(
            str(source.folder / part), local_files_only=True
        )


def resolve_embeddings(
    asked: Sequence[Embedding], config: Configuration, source: ModelSource, finder: SourceFinder
) -> tuple[Embedding, ...]:
    """Return ``asked``, each with its file, its word and its identity.

    Raises:
        InputError: when the model has no CLIP encoder, a file is no embedding or one for another encoder, or the model
            knows the word already.
    """
    if not asked:
        return ()
    encoders = clip_encoders(config, source.folder)
    if not encoders:
        raise InputError(
            EMBEDDING.field, str(asked[0]), problem=f"means nothing to a {config.pipeline_class}, which has no CLIP",
            allowed="models with a CLIP text encoder", hint=ref_value(EMBEDDING.field, "none"),
        )  # fmt: skip
    resolved = []
    taken: set[str] = set()
    for each in asked:
        file = finder.adapter(each.name, EMBEDDING)
        inversion = read_textual_inversion(file, each.token, encoders)
        for encoder in inversion.vectors:
            part = encoder.replace("text_encoder", "tokenizer")
            _check_free(inversion, encoder, load_tokenizer(source, part, config.parts[part]), taken)
        taken.update(inversion_tokens(inversion))
        resolved.append(Embedding(name=file.name, token=inversion.token, identity=file.identity))
    return tuple(resolved)


def inversion_tokens(inversion: TextualInversion) -> tuple[str, ...]:
    """Return the tokens that its vectors become: one each."""
    count = max(vectors.shape[0] for vectors in inversion.vectors.values())
    return (inversion.token, *(f"{inversion.token}_{number}" for number in range(1, count)))


@dataclass(slots=True)
class _Original:
    """Holds an encoder's tokenizer and embedding table as they were, and what is in it now."""

    tokenizer: Any
    state: str
    weight: torch.Tensor
    inside: tuple[tuple[str | None, str | None], ...]


class TextualInversions:
    """Adds textual inversions to text encoders, which pipelines may share, and restores these."""

    def __init__(self) -> None:
        self._originals: WeakKeyDictionary[Any, _Original] = WeakKeyDictionary()

    def apply(self, pipeline: Any, wanted: Sequence[Embedding], files: Mapping[str, Path]) -> bool:
        """Put exactly ``wanted`` in the encoders of ``pipeline``.

        Args:
            files: where each lies, by its name.

        Returns:
            Whether anything was read for it.
        """
        encoders = {
            name: part
            for name, part in pipeline.components.items()
            if name.startswith("text_encoder") and part is not None
        }
        ids = tuple((each.identity, each.token) for each in wanted)
        changed = {name: part for name, part in encoders.items() if self._inside(part) != ids}
        if not changed:
            return False
        configs = {name: part.config.to_dict() for name, part in encoders.items()}
        read = [
            read_textual_inversion(
                AdapterFile(name=each.name, path=files[each.name], identity="", header={}), each.token, configs
            )
            for each in wanted
        ]
        for name, encoder in changed.items():
            self._restore(encoder)
            tokenizer = pipeline.components.get(name.replace("text_encoder", "tokenizer"))
            if wanted and tokenizer is not None:
                self._add(encoder, tokenizer, ids, [each for each in read if name in each.vectors], name)
        return bool(wanted)

    def _inside(self, encoder: Any) -> tuple[tuple[str | None, str | None], ...]:
        before = self._originals.get(encoder)
        return () if before is None else before.inside

    def _restore(self, encoder: Any) -> None:
        before = self._originals.pop(encoder, None)
        if before is not None:
            before.tokenizer._tokenizer = type(before.tokenizer._tokenizer).from_str(before.state)  # noqa: SLF001
            _resize(encoder, before.weight.shape[0])
            encoder.get_input_embeddings().weight.data = before.weight

    def _add(self, encoder: Any, tokenizer: Any, ids: Any, some: Sequence[TextualInversion], name: str) -> None:
        import torch

        weight = encoder.get_input_embeddings().weight.data
        state = tokenizer._tokenizer.to_str()  # noqa: SLF001 - as diffusers' own unloading does
        self._originals[encoder] = _Original(tokenizer=tokenizer, state=state, weight=weight, inside=ids)
        if not some:
            return
        added = [token for each in some for token in inversion_tokens(each)]
        tokenizer.add_tokens(added)
        rows = torch.cat([each.vectors[name].to(weight) for each in some])
        _resize(encoder, weight.shape[0] + rows.shape[0])
        table = encoder.get_input_embeddings().weight.data
        table[: weight.shape[0]] = weight
        for token, row in zip(added, rows, strict=True):
            table[tokenizer.convert_tokens_to_ids(token)] = row


def _resize(encoder: Any, rows: int) -> None:
    """Resize the embedding table without drawing new rows: they are overwritten at once."""
    encoder.resize_token_embeddings(rows, mean_resizing=False)


def read_textual_inversion(
    file: AdapterFile, token: str | None, encoders: Mapping[str, Mapping[str, Any]]
) -> TextualInversion:
    """Read the word and vectors in ``file``; each set goes to the encoder whose width it has."""
    named, sets = _vectors(file)
    widths = {name: int(config["hidden_size"]) for name, config in encoders.items() if "hidden_size" in config}
    vectors: dict[str, torch.Tensor] = {}
    for some in sets:
        home = next((name for name, width in widths.items() if width == some.shape[-1] and name not in vectors), None)
        if home is not None:
            vectors[home] = some
    if not vectors:
        raise InputError(
            EMBEDDING.field, file.name, problem=f"has vectors of {sets[0].shape[-1]} numbers",
            allowed=f"one of {' or '.join(dict.fromkeys(map(str, widths.values())))} numbers, trained for this model",
            hint=ref_value(EMBEDDING.field, "none"),
        )  # fmt: skip
    if len(vectors) < len(sets):
        sizes = " and ".join(str(each.shape[-1]) for each in sets)
        raise InputError(
            EMBEDDING.field, file.name,
            problem=f"has vectors for {len(sets)} text encoders, of {sizes} numbers, as those of SDXL, and "
            f"only {len(vectors)} of them fits this model",
            allowed="an embedding that was trained for this model", hint=ref_value(EMBEDDING.field, "none"),
        )  # fmt: skip
    return TextualInversion(token=token or named or file.path.stem, vectors=vectors)


def _vectors(file: AdapterFile) -> tuple[str | None, list[torch.Tensor]]:
    """Return the word that the file names, and its tensors, ``[tokens, width]`` each."""
    import torch

    state = _state_of(file)
    named = state.get("name") if isinstance(state.get("name"), str) else None
    if isinstance(state.get("string_to_param"), Mapping):
        state = dict(state["string_to_param"])
    found = {
        str(key): value for key, value in state.items() if isinstance(value, torch.Tensor) and value.is_floating_point()
    }
    sets = [value.detach().reshape(-1, value.shape[-1]) for value in found.values() if value.dim() in (1, 2)]
    layouts = len(found) == 1 or found.keys() == {"clip_l", "clip_g"}
    if not layouts or len(sets) != len(found):
        raise InputError(
            EMBEDDING.field, file.name, problem="is no embedding", hint=ref_value(EMBEDDING.field, "FILE.safetensors"),
            allowed="vectors for one word, as diffusers or AUTOMATIC1111 write them",
        )  # fmt: skip
    if len(found) == 1 and next(iter(found)) not in _NAMELESS:
        named = next(iter(found))
    return named, sets


def _state_of(file: AdapterFile) -> dict[str, Any]:
    import safetensors.torch
    import torch

    try:
        if file.path.suffix in PICKLES:
            state = torch.load(file.path, map_location="cpu", weights_only=True)
            return dict(state) if isinstance(state, Mapping) else {"*": state}
        return dict(safetensors.torch.load_file(file.path, device="cpu"))
    except Exception as error:
        raise InputError(
            EMBEDDING.field, file.name, problem=f"cannot be read: {one_line(error, limit=120)}",
            allowed="an embedding", hint=ref_value(EMBEDDING.field, "FILE.safetensors"),
        ) from error  # fmt: skip


def _check_free(inversion: TextualInversion, encoder: str, tokenizer: Any, taken: set[str]) -> None:
    known = tokenizer.get_vocab().keys() | taken
    odd = next((token for token in inversion_tokens(inversion) if token in known or f"{token}</w>" in known), None)
    if odd is not None or inversion.token.split() != [inversion.token]:
        raise InputError(
            EMBEDDING.field, inversion.token,
            problem=f"is a word that {encoder} knows already" if odd else "has blanks in it",
            allowed="a word of its own, such as <cat-toy>",
            hint=ref_value(EMBEDDING.field, f"FILE:<{inversion.token[:20]}>"),
        )  # fmt: skip
