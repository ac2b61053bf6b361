"""Reads what is known of the models that people run: command, licence, size, what to expect.

``known_families.json`` is the one place where it stands. The pages under ``docs/quick-starts/`` and ``promptlab models
--known`` show it. Every fact names where it was read; what nobody has read is ``null``, and said to be not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["FACTS", "UNKNOWN", "KnownFact", "KnownFamily", "known_families"]

UNKNOWN: Final = "not known"

FACTS: Final = ("settings", "parameters", "download", "memory", "licence", "login", "expect")
"""Lists what is said of each model, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFact:
    """Holds what is said, in words, and the source where it was read."""

    says: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFamily:
    """Describes a model that people run. A fact is ``None`` where it is not known.

    Args:
        name: of its page, such as ``z-image-turbo``.
        title: for people.
        model: a Hub id, or a file's path as an example.
        family: diffusers' name of the family, as ``docs/families.md`` lists it.
        pipeline: diffusers' class.
        words: the options to begin with.
        settings: what it is mostly run with.
        parameters: how large it is.
        download: how many bytes are fetched, as far as is known.
        memory: of a card that runs it as it is.
        licence: of the weights.
        login: what the Hub asks for before it gives them.
        expect: what else one would want to have been told.
    """

    name: str
    title: str
    model: str
    family: str
    pipeline: str
    words: tuple[str, ...]
    settings: KnownFact | None
    parameters: KnownFact | None
    download: KnownFact | None
    memory: KnownFact | None
    licence: KnownFact | None
    login: KnownFact | None
    expect: KnownFact | None

    def facts(self) -> Iterator[tuple[str, KnownFact | None]]:
        """Yield the name of each fact, and the fact."""
        for name in FACTS:
            yield name, getattr(self, name)


def known_families() -> tuple[KnownFamily, ...]:
    """Return them, those first that are run most."""
    plain = json.loads(Path(__file__).with_name("known_families.json").read_text(encoding="utf-8"))
    return tuple(map(_family, plain))


def _family(plain: Mapping[str, Any]) -> KnownFamily:
    facts: dict[str, Any] = {name: plain[name] and KnownFact(**plain[name]) for name in FACTS}
    return KnownFamily(**{**plain, **facts, "words": tuple(plain["words"])})
