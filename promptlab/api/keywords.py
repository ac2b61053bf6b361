"""Reads the keywords of Python calls as the command line reads its options: by the table of settings.

Invariant: no setting is named here. A keyword is any name that a setting goes by, in a spec or as an option, with
underscores for hyphens; what is done to the words are the fields of the two dataclasses below.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from promptlab.api.progress import say
from promptlab.errors import InputError, NotFound, one_line, ref
from promptlab.expand.defaults import Defaults
from promptlab.expand.experiment import Experiment
from promptlab.expand.styles import chosen_styles, styled
from promptlab.lab.history.prompt_edit import PromptEdit
from promptlab.specs import Embedding, Lora
from promptlab.specs.settings import SETTINGS

if TYPE_CHECKING:
    from promptlab.expand import Sweep

__all__ = ["Derivation", "RerunWords", "RunWords", "asked_experiment", "asked_rerun", "one_run", "takes_keywords"]

Texts = str | Sequence[str]
"""One text, or several in their order."""

Method = TypeVar("Method", bound=Callable[..., Any])
Words = TypeVar("Words", "RunWords", "RerunWords")

_BETWEEN_COMMAS: Final = ","
_TYPED_AS: Final[Mapping[str, str]] = MappingProxyType({"set": "arguments", "fragment": "fragments"})
"""Options of the command line whose field has another name."""

_NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})
_NO_DEFAULTS: Final = Defaults()

_SETTING_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{name: row.name for row in SETTINGS.values() for name in (*row.names, *row.option_names)},
        **{name: name for name in SETTINGS},
    }
)
"""The setting that each keyword means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWords:
    """Holds keywords of a run that are no settings.

    Args:
        file: an experiment file (YAML), under the other keywords.
        like: a picture whose words, seed and setting are started from.
        prompts_file: more prompts, one a line.
        replace: ``OLD=>NEW``, one or several; ``{a|b||c}`` in NEW gives a row each.
        fragments: words behind every prompt, switched on and off.
        style: names of styles that prompts and negative prompts are put in, one after the other.
        order: parts of the prompt in every order; ``","`` for all between commas.
        sample: how many of the prompts that templates give are drawn.
        template_seed: what they are drawn with, 0 by default.
        arguments: further arguments of the pipeline's call, by their diffusers names: ``{"eta": 0.5}``.
    """

    file: str | os.PathLike[str] | None = None
    like: str | os.PathLike[str] | None = None
    prompts_file: str | os.PathLike[str] | None = None
    replace: Texts = ()
    fragments: Texts = ()
    order: Texts = ()
    style: Texts = ()
    sample: int | None = None
    template_seed: int | None = None
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunWords:
    """Holds keywords of a rerun that are no settings.

    Args:
        seed: which of the parent's seeds are kept; ``seeds`` are others instead.
        append, prepend: words after or before every prompt; several are joined in the order given.
        replace: ``OLD=>NEW``, one or several.
        arguments: further arguments of the pipeline's call, beside the parent's.
    """

    seed: Any = None
    append: Texts = ()
    prepend: Texts = ()
    replace: Texts = ()
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """Holds what a rerun does to its parent; the fields are arguments of :meth:`promptlab.lab.Lab.rerun`."""

    seeds: tuple[int, ...]
    edit: PromptEdit
    changes: Mapping[str, Any]


def asked_experiment(
    prompts: Texts,
    given: Mapping[str, Any],
    *,
    call: str,
    remembered: Mapping[str, str | None] = _NOTHING,
    defaults: Defaults = _NO_DEFAULTS,
) -> Experiment:
    """Return what the keywords of a run, a sweep or a plan ask for.

    Args:
        prompts: templates, before those of ``prompts_file``.
        given: the keywords, without those of the method itself.
        call: the method, for errors.
        remembered: ``experiment``, ``name`` and ``note``, over what a file says; None where they are not named.
        defaults: of the workspace, for what is not named.

    Raises:
        NotFound: for a keyword that there is none of; it names the nearest.
        InputError: for what a setting cannot be.
    """
    words, settings = _split(given, RunWords, call)
    if "prompts" in settings and prompts:
        raise InputError("prompts", problem="is said twice", allowed=f"once: first in {call}(), or as a keyword")
    more = _read_prompts(words.prompts_file)
    said = {**settings, "prompts": (*_several(settings.get("prompts", prompts), "prompts"), *more)}
    asked = _begun(words, defaults, model_named="model" in settings).with_options(
        **said,
        **remembered,
        replace=_several(words.replace, "replace"),
        fragments=_several(words.fragments, "fragments"),
        order=True if words.order == _BETWEEN_COMMAS else words.order,
        sample=words.sample,
        template_seed=words.template_seed,
        arguments=words.arguments or None,
    )
    return styled(asked, chosen_styles(_several(words.style, "style"), defaults.styles))


def one_run(experiment: Experiment) -> Sweep:
    """Return an experiment that is one run, as a sweep of one cell.

    Raises:
        InputError: when a setting has several values.
    """
    from promptlab.models import DEFAULT_MODEL

    sweep = experiment.sweep(default_model=DEFAULT_MODEL)
    if len(sweep.cells) > 1:
        axis = next(axis for group in ((*experiment.axes,), *experiment.zips) for axis in group)
        raise InputError(
            axis.said, problem=f"has {len(axis.values)} values", allowed="one here; several are for Lab.sweep()"
        )
    return sweep


def asked_rerun(given: Mapping[str, Any]) -> Derivation:
    """Return what the keywords of a rerun ask for.

    Raises:
        NotFound: for a keyword that there is none of; it names the nearest.
        InputError: for what a setting cannot be, and for several values of one: a rerun is one run.
    """
    words, settings = _split(given, RerunWords, "rerun")
    prompts, negative = settings.pop("prompts", ()), settings.pop("negative", None)
    if negative is not None and not isinstance(negative, str):
        raise InputError("negative_prompt", problem=f"has {len(negative)} values", allowed="one in a rerun")
    if words.seed is not None and "seeds" in settings:
        problem = f"is said beside {ref('seed')}"
        raise InputError("seeds", problem=problem, allowed=f"{ref('seed')} to keep, or {ref('seeds')} for others")
    kept = Experiment().with_options(seeds=_value("seeds", words.seed)).seeds
    said = Experiment().with_options(**settings, arguments=words.arguments or None)
    for axis in said.axes:
        raise InputError(
            axis.said, problem=f"has {len(axis.values)} values", allowed="one in a rerun; several are for Lab.sweep()"
        )
    return Derivation(
        seeds=kept or (),
        edit=PromptEdit(
            prompts=_several(prompts, "prompts"), append=_several(words.append, "append"),
            prepend=_several(words.prepend, "prepend"), replace=_several(words.replace, "replace"),
            negative_prompt=negative,
        ),
        changes=said.changes() | ({} if said.seeds is None else {"seeds": said.seeds}),
    )  # fmt: skip


def takes_keywords(words: type[RunWords | RerunWords]) -> Callable[[Method], Method]:
    """Show ``help()`` and completion every keyword that a method's ``**keywords`` may be."""

    def shown(method: Method) -> Method:
        own = [each for each in inspect.signature(method).parameters.values() if each.kind is not each.VAR_KEYWORD]
        names = dict.fromkeys((*(each.name for each in fields(words)), *SETTINGS))
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
            for name in names
            if name not in {each.name for each in own}
        ]
        method.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
        return method

    return shown


def _split(given: Mapping[str, Any], words: type[Words], call: str) -> tuple[Words, dict[str, Any]]:
    """Return the keywords that are no settings, and the settings by their short names, None left out."""
    own = {each.name for each in fields(words)}
    given = {_TYPED_AS[name] if _TYPED_AS.get(name) in own else name: value for name, value in given.items()}
    settings: dict[str, Any] = {}
    for name, value in given.items():
        if name in own or value is None:
            _known(name, own, call)
            continue
        row = _known(name, own, call)
        if row in settings:
            raise InputError(name, problem=f"is said twice, beside {ref(row)}", allowed="once")
        settings[row] = _value(row, value)
    return words(**{name: value for name, value in given.items() if name in own and value is not None}), settings


def _known(name: str, own: set[str], call: str) -> str:
    if name not in own and name not in _SETTING_OF:
        raise NotFound(
            f"keyword of {call}()", name, names=[*own, *_SETTING_OF],
            allowed="the options of the command, with underscores", hint=f"help(Lab.{call})",
        )  # fmt: skip
    return _SETTING_OF.get(name, name)


def _value(setting: str, value: Any) -> Any:
    """Return a value as :meth:`Experiment.with_options` takes it: of any iterable, a list."""
    if isinstance(value, Lora | Embedding):
        return (value,)
    plain = _plain(value)
    if setting == "seeds" and isinstance(plain, list | tuple) and any(isinstance(each, str) for each in plain):
        return ",".join(map(str, plain))
    return plain


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numbers and arrays of numpy, columns of pandas
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return [*map(_plain, value)]
    return value


def _several(texts: Texts, what: str) -> tuple[str, ...]:
    """Return texts, of which there may be one.

    Raises:
        InputError: where one is none, such as a spec among prompts.
    """
    found = (texts,) if isinstance(texts, str) or not isinstance(texts, Iterable) else tuple(texts)
    for each in found:
        if not isinstance(each, str):
            raise InputError(what, problem=f"is no text but {type(each).__name__}", allowed="a text, or several")
    return found


def _read_prompts(file: str | os.PathLike[str] | None) -> tuple[str, ...]:
    if file is None:
        return ()
    from promptlab.expand import read_prompts

    return read_prompts(os.fspath(file))


def _begun(words: RunWords, defaults: Defaults, *, model_named: bool) -> Experiment:
    """Return what keywords are laid over: a picture's experiment, or defaults with a file's over them."""
    if words.file is not None and words.like is not None:
        raise InputError("like", str(words.like), problem=f"is said beside {ref('file')}", allowed="one of the two")
    if words.file is not None:
        from promptlab.expand import read_experiment

        return defaults.under(read_experiment(os.fspath(words.file)))
    if words.like is None:
        return defaults.experiment()
    from promptlab.lab.history.experiment_like import experiment_like
    from promptlab.lab.history.refs import read_picture

    picture = Path(words.like)
    found = read_picture(picture)
    spec = found.spec
    if found.lost:
        lost = "; ".join(map(str, found.lost))
        say(f"like {picture.name}: made by {found.program}; not carried over: {one_line(lost, limit=600)}")
    if not spec.pipeline.model and not model_named:
        raise InputError("model", problem=f"is missing: {picture.name} does not say which it was")
    return experiment_like(spec, file=picture.name)
