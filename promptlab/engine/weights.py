"""Holds the weights that are found under a request's names against those that its recipe is of.

Invariant: no image is made under a recipe key by other weights than the key's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from promptlab.engine.model_files import ModelFiles
from promptlab.engine.sources.adapters import AdapterFile
from promptlab.errors import InputError
from promptlab.plan import ImageRequest

__all__ = ["check_identities"]


def check_identities(
    request: ImageRequest,
    model: ModelFiles,
    loras: Mapping[str, AdapterFile],
    embeddings: Mapping[str, AdapterFile],
) -> None:
    """Compare identities: ``commit:<sha>`` or ``sha256:<hex>``.

    Raises:
        InputError: for the first that is another.
    """
    pipeline = request.pipeline

    def pairs() -> Iterator[tuple[str, str | None, str | None, str | None]]:
        yield "model", pipeline.model, request.model_identity, model.source.identity
        yield "vae", pipeline.vae, request.vae_identity, None if model.vae is None else model.vae.source.identity
        yield from (("loras", each.name, each.identity, loras[each.name].identity) for each in pipeline.loras)
        yield from (("embeddings", e.name, e.identity, embeddings[e.name].identity) for e in pipeline.embeddings)

    for field, name, wanted, found in pairs():
        if wanted != found:
            raise InputError(
                field, name, problem=f"is not what the image is to be made by ({_short(wanted)} was asked for, "
                f"{_short(found)} is there)", allowed="the same weights",
            )  # fmt: skip


def _short(identity: str | None) -> str:
    kind, _, digits = (identity or "none").partition(":")
    return f"{kind}:{digits[:12]}" if digits else kind
