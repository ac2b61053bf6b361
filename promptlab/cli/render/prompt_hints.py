"""Renders what is odd about the words that were typed, before anything is made of them. Pure.

Weights, networks and templates of other programs are plain words to a model. That is nothing to refuse, for they may be
meant so; it is never kept silent either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from promptlab.errors import one_line
from promptlab.models import DEFAULT_MODEL
from promptlab.models.vocabulary import without_known_words
from promptlab.specs import RunSpec

__all__ = ["prompt_hints", "syntax_hints"]

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


def prompt_hints(typed: Sequence[str], specs: Sequence[RunSpec], *, vocabulary: bool = True) -> Iterator[str]:
    """Yield a line for each thing that is probably not meant.

    Args:
        typed: the prompts as the shell handed them over.
        specs: what was understood.
        vocabulary: whether words matter that the bundled model does not know.
    """
    if len(typed) > 1 and not any(" " in prompt.strip() for prompt in typed):
        sentence = one_line(" ".join(typed), limit=_SHOWN)
        yield f'{len(typed)} prompts of a word each; quotes make them one: promptlab run "{sentence}"'
        return  # what the words mean is asked once they are what was meant
    yield from syntax_hints(specs)
    if not vocabulary:
        return
    prompts = [variant.prompt for spec in specs if spec.pipeline.model == DEFAULT_MODEL for variant in spec.variants]
    strange = without_known_words(dict.fromkeys(prompts))
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        yield (
            f"the bundled model knows no word of '{one_line(strange[0], limit=_SHOWN)}'{more}: it draws portraits "
            "(a king, an old warrior chief, a pirate in red …); for anything else type: --model MODEL"
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
            yield _syntax_line(kind, found, weighting=weighting)
    negatives = dict.fromkeys(negative for _, negative in variants)
    template = next(filter(None, map(_TEMPLATE.search, negatives)), None)
    if template is not None:
        yield (
            f"'{_shown(template)}' is plain words in a negative prompt; for one run each type --negative several times"
        )


def _syntax_line(kind: str, found: re.Match[str], *, weighting: bool) -> str:
    """Say what a syntax is here, and how its meaning is typed."""
    shown = _shown(found)
    if kind == "network":
        name = one_line(found[2], limit=_SHOWN)
        return f"'{shown}' is plain words here; a network is an option: --lora '{name}'"
    if kind == "scheduled":
        return f"'{shown}' is plain words here: no words are exchanged while a picture is made"
    if kind == "weight":
        words = one_line(found.group().removeprefix("(").rpartition(":")[0], limit=_SHOWN)
        how = "with --weighting" if weighting else "with --weighting, where the model's text encoders are all CLIP"
        return f"'{shown}' is plain words here, no weight; {how}: '({words}){found[1]}'"
    return f"'{shown}' is plain words without --weighting, which reads it as a weight"


def _shown(found: re.Match[str]) -> str:
    return one_line(found.group(), limit=_SHOWN)
