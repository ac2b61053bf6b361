"""Defines what a page asks for: words, seeds and settings as typed, and what they are varied from.

Invariant: a request holds texts alone, of bounded length; what they mean is understood where the command line's are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from types import MappingProxyType
from typing import Any, Final

from promptlab.errors import InputError, PromptLabError, UnknownValue
from promptlab.expand import parse, show_seeds
from promptlab.expand.grammar import escape
from promptlab.expand.values import DEFAULT
from promptlab.lab.history.rerun import RunOrImage
from promptlab.page.typed_settings import ARGUMENT, WORDS, form_settings
from promptlab.records import RunRecord
from promptlab.specs import Variant
from promptlab.specs.settings import SETTINGS

__all__ = ["PageRequest", "field_of", "read_request", "request_of", "request_of_sweep"]

_NOTHING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
_MOST_VALUES: Final = 1000
_LONGEST: Final = 200_000
"""Characters of all texts together."""

_FIELDS: Final = frozenset({"prompt", "negatives", "seeds", "settings", "parent", "experiment", "again"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Asks for a run or a sweep.

    Args:
        prompt: one template.
        negatives: none, one, or those of a sweep.
        seeds: as one types them; empty takes those of the parent, or seed 0.
        settings: by their names, each with the texts that are typed behind its option.
        parent: what it is varied from: a run's number, and the position of an image there.
        experiment: ``None`` takes the parent's, or the usual one.
        again: make anew what is there.
    """

    prompt: str
    negatives: tuple[str, ...] = ()
    seeds: str = ""
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    parent: tuple[int, int | None] | None = None
    experiment: str | None = None
    again: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as a page reads and writes it."""
        return {
            "prompt": self.prompt,
            "negatives": list(self.negatives),
            "seeds": self.seeds,
            "settings": {name: list(texts) for name, texts in self.settings.items()},
            "parent": None if self.parent is None else {"run": self.parent[0], "position": self.parent[1]},
            "experiment": self.experiment,
            "again": self.again,
        }


def read_request(plain: object) -> PageRequest:
    """Read what a page sent.

    Raises:
        InputError: naming the field that is not as it must be.
    """
    if not isinstance(plain, Mapping) or (unknown := plain.keys() - _FIELDS):
        what = "request" if not isinstance(plain, Mapping) else str(min(map(str, unknown)))[:80]
        raise InputError(what, problem="is nothing that a request has", allowed=", ".join(sorted(_FIELDS)))
    settings = {} if plain.get("settings") is None else plain["settings"]
    if not isinstance(settings, Mapping):
        raise InputError("settings", problem="are no object")
    read = {str(name): _texts(texts, str(name)) for name, texts in settings.items()}
    for name in read:
        if not name.startswith(ARGUMENT) and (name in WORDS or name not in SETTINGS):
            raise UnknownValue("setting", name[:80], [row for row in SETTINGS if row not in WORDS])
    request = PageRequest(
        prompt=_text(plain.get("prompt", ""), "prompt"),
        negatives=_texts(plain.get("negatives", []), "negatives"),
        seeds=_text(plain.get("seeds") or "", "seeds").strip(),
        settings={name: read[name] for name in [*SETTINGS, *sorted(read)] if read.get(name)},
        parent=_parent(plain.get("parent")),
        experiment=_text(plain.get("experiment") or "", "experiment").strip() or None,
        again=plain.get("again") is True,
    )
    length = len(request.prompt) + sum(map(len, [*request.negatives, request.seeds, request.experiment or ""]))
    if length + sum(len(text) for texts in read.values() for text in texts) > _LONGEST:
        raise InputError("request", problem="is too long", allowed=f"{_LONGEST:,} characters")
    return request


def field_of(error: PromptLabError) -> str | None:
    """Return the part of a request that an error names, as the request calls it."""
    if not isinstance(error, InputError):
        return None
    name = error.field
    row = next((row for row in SETTINGS.values() if name in row.names), None)
    called: str = name if row is None else row.name
    renamed = {"prompts": "prompt", "replace": "prompt", "negative": "negatives", "ref": "parent"}
    return str(renamed.get(called, called))


def request_of(source: RunOrImage) -> PageRequest:
    """Return the request that asks for a run or an image once more: what a form is filled with to vary it."""
    spec, run = source.spec(), source.run
    negative = spec.variants[0].negative_prompt
    return PageRequest(
        prompt=_template(spec.variants),
        negatives=(negative,) if negative else (),
        seeds=show_seeds(spec.seeds),
        settings={name: (text,) for name, text in form_settings(spec).items()},
        parent=(run.id, source.position),
        experiment=run.experiment,
    )


def request_of_sweep(runs: Sequence[RunRecord]) -> PageRequest:
    """Return the request that asks for all runs of a sweep once more.

    Args:
        runs: one or more, in their order.

    Raises:
        InputError: when they are not every combination of their values, which a form cannot ask for.
    """
    each = [request_of(RunOrImage(run=run)) for run in runs]
    settings = {
        name: tuple(dict.fromkeys(one.settings.get(name, (DEFAULT,))[0] for one in each))
        for name in dict.fromkeys(name for one in each for name in one.settings)
    }
    negatives = tuple(dict.fromkeys((one.negatives or ("",))[0] for one in each))
    alike = len({(one.prompt, one.seeds) for one in each}) == 1
    if not alike or prod(map(len, settings.values())) * len(negatives) != len(runs):
        raise InputError(
            "sweep", runs[0].sweep_id, problem="is not every combination of its values, so that no form can ask for it",
            hint=f"promptlab show sweep:{runs[0].sweep_id}",
        )  # fmt: skip
    return replace(each[0], settings=settings, negatives=() if negatives == ("",) else negatives)


def _template(variants: tuple[Variant, ...]) -> str:
    """Return one template that stands for these prompts; the first prompt, where none does."""
    prompts = tuple(variant.prompt for variant in variants)
    every = [variant.template for variant in variants if variant.template is not None]
    joined = "{" + "|".join(map(escape, prompts)) + "}" if len(prompts) > 1 else ""
    candidates: list[str] = [*every[: len(set(every)) == 1], prompts[0], escape(prompts[0]), joined]
    return next((text for text in candidates if text and _stands_for(text, prompts)), escape(prompts[0]))


def _stands_for(template: str, prompts: tuple[str, ...]) -> bool:
    try:
        read = parse(template, what="prompt")
        return read.count() == len(prompts) and read.expand() == prompts
    except InputError:
        return False


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InputError(what, problem="is no text")
    return value


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_VALUES:
        raise InputError(what, problem="is no list of texts", allowed=f"at most {_MOST_VALUES:,}")
    return tuple(_text(each, what) for each in value)


def _parent(value: object) -> tuple[int, int | None] | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        run, position = value.get("run"), value.get("position")
        numbers = [each for each in (run, position) if each is not None]
        if type(run) is int and all(type(each) is int and 0 <= each < 10**9 for each in numbers):
            return run, position
    raise InputError("parent", problem="is no run and no image", allowed='{"run": 3, "position": 1}')
