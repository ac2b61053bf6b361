"""Finds the weights again that a run was made by, before a verify or a resume makes anything.

Weights are told apart by content. Invariant: nothing is made in the name of a run by other weights than its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from promptlab.engine import Engine, Permissions
from promptlab.errors import InputError, NotFound, ref_value
from promptlab.plan import ResolvedSpec
from promptlab.records import RunRecord
from promptlab.specs import Embedding, Lora, RunSpec

__all__ = ["as_recorded", "check_weights", "said_of"]

_WEIGHTS: Final = ("model", "config", "vae", "loras", "embeddings")


def as_recorded(engine: Engine, runs: Sequence[RunRecord], *, permissions: Permissions) -> list[ResolvedSpec]:
    """Resolve the runs' specs here and now to the weights that they were begun with.

    Raises:
        InputError: when weights changed under their name, or are gone.
    """
    specs = [run.spec for run in runs]
    try:
        resolved = engine.resolve(specs, permissions=permissions)
    except NotFound:
        for run in runs:  # whose it is
            with said_of(f"run {run.id}", f"promptlab rerun {run.id}"):
                engine.resolve([run.spec], permissions=permissions)
        raise
    return [
        check_weights(
            one, run.spec, model=run.model_identity, vae=run.vae_identity, whose=f"run {run.id}",
            hint=f"promptlab rerun {run.id}",
        )
        for run, one in zip(runs, resolved, strict=True)
    ]  # fmt: skip


def check_weights(
    resolved: ResolvedSpec, recorded: RunSpec, *, model: str, vae: str | None, whose: str, hint: str
) -> ResolvedSpec:
    """Return ``resolved``, when it names the weights that an image or a run was made by.

    Args:
        recorded: what it was made from, with the identities of LoRAs and embeddings then.
        model, vae: their identities then.
        whose: ``run 3``, or a file.
        hint: what to type to use the weights that are here.

    Raises:
        InputError: when a model, or what was added to it, changed under its name.
    """
    pipeline = resolved.spec.pipeline
    for option, name, was, now in (
        ("model", pipeline.model, model, resolved.model_identity),
        ("vae", pipeline.vae, vae, resolved.vae_identity),
        *_parts("loras", recorded.pipeline.loras, pipeline.loras),
        *_parts("embeddings", recorded.pipeline.embeddings, pipeline.embeddings),
    ):
        if was != now:
            config = f"with {ref_value('config', pipeline.config)} " if option == "model" and pipeline.config else ""
            raise InputError(
                option, name, allowed="the same weights", hint=hint,
                problem=f"{config}is not what {whose} was made by ({_short(was)} then, {_short(now)} now)",
            )  # fmt: skip
    return resolved


@contextmanager
def said_of(whose: str, hint: str) -> Iterator[None]:
    """Say, where weights are gone, what was made by them, and what to type to go on without.

    Args:
        whose: ``run 3``, or a file.
        hint: a command that takes other weights.
    """
    try:
        yield
    except NotFound as error:
        if error.field not in _WEIGHTS:
            raise
        raise InputError(
            error.field, error.value, problem=f"does not exist any more, and {whose} was made by it",
            allowed="the same weights in the same place", hint=f"{hint} {ref_value(error.field, 'ANOTHER')}",
        ) from error  # fmt: skip


def _short(identity: str | None) -> str:
    kind, _, digits = (identity or "none").partition(":")
    return f"{kind}:{digits[:12]}" if digits else kind


def _parts(
    option: str, before: Sequence[Lora | Embedding], now: Sequence[Lora | Embedding]
) -> Iterator[tuple[str, str, str | None, str | None]]:
    pairs = zip(before, now, strict=True)
    return ((option, new.name, old.identity, new.identity) for old, new in pairs if old.identity is not None)
