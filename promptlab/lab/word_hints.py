"""Says what is odd about words before anything is made of them: what means nothing here.

Weights, networks and templates of other programs are plain words to a model, and to the bundled one most words are
nothing at all. That is nothing to refuse, for they may be meant so; it is never kept silent either.
Letters that no font here has are said, too: a grid names them in brackets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from promptlab.errors import one_line, ref, ref_value
from promptlab.models import DEFAULT_MODEL
from promptlab.models.vocabulary import without_known_words
from promptlab.specs import RunSpec

__all__ = ["font_hints", "syntax_hints", "vocabulary_hints", "word_hints"]

_SHOWN: Final = 80

_WEIGHT: Final = re.compile(r"(?<!\\)\([^()]{1,300}:\s{0,4}([0-9]{1,2}(?:\.[0-9]{1,4})?|\.[0-9]{1,4})\s{0,4}\)")
"""Matches AUTOMATIC1111's and ComfyUI's way to weight words: ``(hard rim light:1.3)``."""

_COMPEL: Final = re.compile(
    r"(?<!\\)\([^()]{1,300}\)(?:[0-9]?\.[0-9]{1,4}|[+-]{1,8})|\w{1,40}(?:\+{2,8}|-{2,8})(?=[\s,.]|$)"
)
"""Matches compel's: ``(hard rim light)1.3``, ``light++``."""

_NETWORK: Final = re.compile(r"<(lora|lyco|lycoris|hypernet):([^<>:]{1,200})(?::[^<>]{0,80})?>", re.IGNORECASE)
_SCHEDULED: Final = re.compile(r"(?<!\\)\[[^\[\]:]{0,200}:(?:[^\[\]:]{0,200}:)?\s{0,4}[0-9]{0,3}\.?[0-9]{1,4}\]")
"""Matches AUTOMATIC1111's prompt editing: ``[fox:cat:0.5]``."""

_TEMPLATE: Final = re.compile(r"(?<!\\)\{[^{}]{0,300}\|[^{}]{0,300}\}|__[^\W_][\w ./*-]{0,60}__")
_SYNTAX: Final[Mapping[str, re.Pattern[str]]] = {
    "weight": _WEIGHT, "compel": _COMPEL, "network": _NETWORK, "scheduled": _SCHEDULED,
}  # fmt: skip


def word_hints(specs: Sequence[RunSpec]) -> Iterator[str]:
    """Yield a line for each thing about the words of ``specs`` that is probably not meant."""
    yield from syntax_hints(specs)
    yield from vocabulary_hints(specs)
    yield from font_hints(specs)


def font_hints(specs: Sequence[RunSpec]) -> Iterator[str]:
    """Yield a line where no font here has letters of a prompt, with what installs one."""
    variants = [variant for spec in specs for variant in spec.variants]
    text = "".join(dict.fromkeys(text for one in variants for text in (one.prompt, one.negative_prompt)))
    if text.isascii():
        return
    from promptlab.images.font_packages import fonts_line

    line = fonts_line(text)
    if line is not None:
        yield line


def vocabulary_hints(specs: Sequence[RunSpec]) -> Iterator[str]:
    """Yield a line where the bundled model knows no word of a prompt; a painter draws for all."""
    if os.environ.get("PROMPTLAB_ENGINE") == "painter":
        return
    prompts = [variant.prompt for spec in specs if spec.pipeline.model == DEFAULT_MODEL for variant in spec.variants]
    strange = without_known_words(dict.fromkeys(prompts))
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        yield _line(
            f"the bundled model knows no word of '{one_line(strange[0], limit=_SHOWN)}'{more}: it draws portraits "
            f"(a king, an old warrior chief, a pirate in red …); for anything else type: {ref_value('model', 'MODEL')}"
        )


def syntax_hints(specs: Sequence[RunSpec]) -> Iterator[str]:
    """Yield a line for each syntax in prompts that means nothing here, with the first that is met."""
    weighting = any(spec.call.weighting for spec in specs)
    variants = dict.fromkeys((variant.prompt, variant.negative_prompt) for spec in specs for variant in spec.variants)
    texts = list(dict.fromkeys(text for pair in variants for text in pair))
    for kind, pattern in _SYNTAX.items():
        if kind == "compel" and weighting:
            continue
        found = next(filter(None, map(pattern.search, texts)), None)
        if found is not None:
            yield _line(_syntax_line(kind, found, weighting=weighting))
    negatives = dict.fromkeys(negative for _, negative in variants)
    template = next(filter(None, map(_TEMPLATE.search, negatives)), None)
    if template is not None:
        yield _line(
            f"'{_shown(template)}' is plain words in a negative prompt; for one run each type {ref('negative')} "
            "several times"
        )


def _syntax_line(kind: str, found: re.Match[str], *, weighting: bool) -> str:
    """Say what a syntax is here, and how its meaning is typed."""
    shown = _shown(found)
    if kind == "network":
        name = one_line(found[2], limit=_SHOWN)
        return f"'{shown}' is plain words here; a network is an option: {ref('lora')} '{name}'"
    if kind == "scheduled":
        return f"'{shown}' is plain words here: no words are exchanged while a picture is made"
    if kind == "weight":
        words = one_line(found.group().removeprefix("(").rpartition(":")[0], limit=_SHOWN)
        how = f"with {ref('weighting')}"
        how += "" if weighting else ", where the model's text encoders are all CLIP"
        return f"'{shown}' is plain words here, no weight; {how}: '({words}){found[1]}'"
    return f"'{shown}' is plain words without {ref('weighting')}, which reads it as a weight"


def _shown(found: re.Match[str]) -> str:
    return one_line(found.group(), limit=_SHOWN)


def _line(sentence: str) -> str:
    """Return a sentence with its fields spelled for whoever reads it now."""
    return one_line(sentence, limit=600)
