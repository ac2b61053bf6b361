"""Holds an experiment: what is generated, with which settings, and what is varied.

It comes of a file, of options of the command line, or of both.

Invariants: there is one path from words to runs, :meth:`Experiment.sweep`, whatever the words came from; what is said
twice is an error, unless an option says again what a file said. An option that is not named changes nothing, and one
that is leaves no trace of what was there before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from promptlab.errors import InputError, ref
from promptlab.expand.axes import Axis, Exclude
from promptlab.expand.fields import find_setting, where_typed
from promptlab.expand.labels import labelled
from promptlab.expand.prompt_steps import Entry, PromptSteps
from promptlab.expand.ranges import parse_whole
from promptlab.expand.seeds import lower_bits
from promptlab.expand.sweep import Sweep, build_sweep
from promptlab.expand.templates import MAX_PROMPTS
from promptlab.expand.values import changed, changes, read_scheduler, read_value, read_values
from promptlab.expand.word_diff import cut
from promptlab.specs import MAX_SEED, Embedding, Lora, PipelineSpec, RunSpec, Variant
from promptlab.specs.settings import SETTINGS, Setting, setting_named

__all__ = ["Experiment", "Settings", "check_said_once"]

Settings = tuple[tuple[str, Any], ...]
"""Settings by their short names, and the one value of each; a scheduler is the text that was typed."""

_FIRST_SEED: Final = (0,)
_OWN: Final = ("experiment", "name", "note")
_STEPS: Final = ("replace", "fragments", "order")
_SIDES: Final = ("width", "height")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Holds what a file or a command line says, read and in range, but for what only the engine knows.

    Args:
        experiment, name, note: how what it makes is remembered; ``None`` where it does not say.
        workers, cluster: who makes it, as texts; no part of what is made.
        settings: what all runs have.
        entries: the prompts.
        seeds: ``None`` where it does not say; then seed 0.
        prompt_steps: what is done to all prompts alike.
        axes: settings that take several values; prompts are tuples of entries, schedulers the texts that were typed.
        zips: groups of them that vary together.
        excludes: combinations that are left out.
        file: what errors call the file; ``None`` where there is none.
        overridden: settings that an option said again: an exclude of theirs may match nothing.
        defaulted: settings that defaults files said, each with the file (:mod:`promptlab.expand.defaults`).
    """

    experiment: str | None = None
    name: str | None = None
    note: str | None = None
    workers: str | None = None
    cluster: str | None = None
    settings: Settings = ()
    entries: tuple[Entry, ...] = ()
    seeds: tuple[int, ...] | None = None
    prompt_steps: PromptSteps = field(default_factory=PromptSteps)
    axes: tuple[Axis, ...] = ()
    zips: tuple[tuple[Axis, ...], ...] = ()
    excludes: tuple[Exclude, ...] = ()
    file: str | None = None
    overridden: frozenset[str] = frozenset()
    defaulted: tuple[tuple[str, str], ...] = ()

    def with_options(self, **typed: Any) -> Experiment:
        """Return this experiment as the options of a command line would have it.

        An option that is named replaces what the file says of its setting: the value, the axis, or its part of a zip
        group, whose rows that come out the same become one. Several values make an axis, where the old one was, or
        behind all others. With another model, the file's revision, variant and config are gone: the old one's.

        Args:
            typed: by the names of settings: a value or, in a list or tuple, several; each as text or as the spec has
                it. ``experiment``, ``name``, ``note``, ``sample``, ``template_seed``; ``prompts``, ``replace``,
                ``fragments``, ``order`` as lists of texts (an ``order`` of True puts all that stands between commas in
                every order); ``seeds`` as text or numbers; ``arguments`` as a mapping, or
                as pairs, in which a name may come again.
                ``None`` and an empty tuple mean: not named.

        Raises:
            InputError: for what a setting cannot be; it names the field.
            TypeError: for a name that is no option.
        """
        named = {key: value for key, value in typed.items() if value is not None and value != ()}
        own: dict[str, Any] = {key: str(named.pop(key)) for key in _OWN if key in named}
        prompt_steps = _prompt_steps(self.prompt_steps, named)
        fields = _by_setting(named)
        if "size" in fields and (beside := [side for side in _SIDES if side in fields]):
            raise InputError(
                "size", problem=f"is said beside {ref(beside[0])}",
                allowed=f"{ref('size')}, or {ref('height')} and {ref('width')}",
            )  # fmt: skip
        made = replace(self, **own, prompt_steps=prompt_steps)
        if "model" in fields and _typed_values(SETTINGS["model"], fields["model"]) != (
            dict(made.settings).get("model"),
        ):
            for name in ("revision", "variant", "config"):
                made = _without(made, name)
        for name, said in fields.items():
            made = _with(made, find_setting(name, what=name), said)
        return replace(made, overridden=made.overridden | fields.keys() | own.keys())

    def changes(self) -> dict[str, Any]:
        """Return what its settings change in a spec, as :meth:`~promptlab.specs.RunSpec.vary` takes it.

        Raises:
            InputError: for a scheduler that there is none of.
        """
        found: dict[str, Any] = {}
        for name, value in self.settings:
            row = find_setting(name, what=name)
            found |= changes(found.get("arguments", ()), row, _meant(row, value))
        return found

    def sweep(self, *, default_model: str) -> Sweep:
        """Return the runs that it stands for; one, where it has no axis.

        Args:
            default_model: where no model is named.

        Raises:
            InputError: for what is wrong with prompts, schedulers, axes or excludes: all that can be known without a
                model.
        """
        settings = {name: _meant(find_setting(name, what=name), value) for name, value in self.settings}
        negative = settings.pop("negative", "")
        axes = tuple(self._axis(axis, negative) for axis in self.axes)
        zips = tuple(tuple(self._axis(axis, negative) for axis in group) for group in self.zips)
        varied = {axis.field: axis for axis in (*axes, *(axis for group in zips for axis in group))}
        base = RunSpec(
            pipeline=PipelineSpec(model=settings.pop("model", None) or default_model),
            variants=self._variants(varied, negative),
            seeds=_FIRST_SEED if self.seeds is None else self.seeds,
        )
        for name, value in settings.items():
            base = changed(base, find_setting(name, what=name), value)
        return build_sweep(base, axes, zips, self._excludes(varied, settings, negative))

    def _variants(self, varied: Mapping[str, Axis], negative: str) -> tuple[Variant, ...]:
        """Return the variants of the base: of the prompts or, where these are an axis, its first value."""
        own = next((entry for entry in self.entries if entry.negative is not None), None)
        if "negative" in varied and own is not None:
            problem = "is an axis, and a prompt has one of its own"
            raise InputError(varied["negative"].said, problem=problem, allowed="one of the two")
        if "prompts" in varied:
            variants: tuple[Variant, ...] = varied["prompts"].values[0]
            return variants
        if not self.entries and self.file is not None:
            raise InputError(
                self.file, problem="names no prompt", allowed=f"prompts or template, or {ref('prompts')} in the command"
            )
        return self.prompt_steps.variants(self.entries, negative=negative)

    def _axis(self, axis: Axis, negative: str) -> Axis:
        row = find_setting(axis.field, what=axis.said)
        if row.kind == "prompts":
            made: dict[tuple[Entry, ...], tuple[Variant, ...]] = {
                entries: self.prompt_steps.variants(entries, negative=negative)
                for entries in dict.fromkeys(axis.values)
            }
            shown = _prompt_labels(list(made))
            values = tuple(made[entries] for entries in axis.values)
            return replace(axis, values=values, shown=tuple(shown[entries] for entries in axis.values))
        if row.kind != "scheduler":
            return axis
        shown_as = tuple("default" if value is None else str(value) for value in axis.values)
        return replace(axis, values=tuple(_meant(row, value) for value in axis.values), shown=shown_as)

    def _excludes(self, varied: Mapping[str, Axis], settings: Mapping[str, Any], negative: str) -> list[Exclude]:
        """Return the excludes as the sweep wants them: of its axes only, what all runs have compared already."""
        plain = {**settings, "negative": negative}
        rules: list[Exclude] = []
        for exclude in self.excludes:
            values: dict[str, Sequence[Any]] = {}
            matches = bool(exclude.values)
            for name, wanted in exclude.values.items():
                axis = self._axis(Axis(field=name, values=tuple(wanted), what=exclude.what), negative)
                if name in varied:
                    values[name] = axis.values
                    if name in self.overridden and not set(axis.values) & set(varied[name].values):
                        matches = False
                elif name in plain or name in self.overridden:
                    matches = matches and plain.get(name) in axis.values
                else:
                    values[name] = axis.values  # the sweep says that there is no such axis
            if not matches and self.overridden & exclude.values.keys():
                continue
            if not matches or not values:
                problem = "leaves nothing to run" if matches else "matches no combination"
                raise InputError(exclude.what, problem=problem, allowed="values that the axes have")
            rules.append(replace(exclude, values=values))
        return rules


def check_said_once(settings: Settings, axes: Sequence[Axis], *, what: Mapping[str, str]) -> None:
    """Refuse a field that two of them set; ``size`` sets width and height.

    Args:
        settings: what all runs have.
        axes: of all groups.
        what: where each of the settings was said.

    Raises:
        InputError: naming both.
    """
    setters: dict[str, str] = {}
    for name, place in [*((name, what[name]) for name, _ in settings), *((axis.field, axis.said) for axis in axes)]:
        row = find_setting(name, what=place)
        for part in (row.name,) if row.kind == "argument" else row.sets:
            if part in setters:
                beside = f", beside {setters[part]}" if setters[part] != name else ""
                raise InputError(place, problem=f"is said twice{beside}", allowed="once: as a value or as an axis")
            setters[part] = name


def _meant(row: Setting, value: Any) -> Any:
    """Return a value as the spec has it: the text of a scheduler, kept until now for labels, is read."""
    return read_scheduler(value, what=where_typed(value, row.name)) if row.kind == "scheduler" else value


def _prompt_labels(values: Sequence[tuple[Entry, ...]]) -> dict[tuple[Entry, ...], str]:
    """Label each list of prompts by what tells their texts apart."""
    texts = [" · ".join(entry.label or entry.text for entry in entries) for entries in values]
    made = labelled([Variant(prompt=text) for text in texts])
    return {entries: cut(each.label, 40) for entries, each in zip(values, made, strict=True)}


def _prompt_steps(steps: PromptSteps, named: dict[str, Any]) -> PromptSteps:
    """Return ``steps`` with those that are named; takes them out of ``named``."""
    own: dict[str, Any] = {}
    if named.get("order") is True:
        del named["order"]
        own["order"] = None
    own |= {key: tuple(map(str, _several(named.pop(key)))) for key in _STEPS if key in named}
    if "sample" in named:
        own["sample"] = parse_whole(named.pop("sample"), 1, MAX_PROMPTS, what="sample")
        own["sample_what"] = "sample"
    if "template_seed" in named:
        own["template_seed"] = parse_whole(named.pop("template_seed"), 0, MAX_SEED, what="template_seed")
    return replace(steps, **own)


def _by_setting(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed by the short names of settings."""
    found: dict[str, Any] = {}
    for key, said in named.items():
        if key == "arguments":
            for name, value in said.items() if isinstance(said, Mapping) else said:
                several = _several(value)
                found[f"arguments.{name}"] = [*found.get(f"arguments.{name}", ()), *several]
            continue
        row = setting_named(key)
        if row is None or row.name in found:
            raise TypeError(f"with_options() got an unexpected or repeated option '{key}'")
        found[row.name] = said
    return found


def _several(said: Any) -> tuple[Any, ...]:
    return tuple(said) if isinstance(said, list | tuple) else (said,)


def _with(experiment: Experiment, row: Setting, said: Any) -> Experiment:
    values = _typed_values(row, said)
    place = next((at for at, axis in enumerate(experiment.axes) if axis.field == row.name), len(experiment.axes))
    experiment = _sides_apart(experiment, row)
    for name in (row.name, *(_SIDES if row.name == "size" else ())):
        experiment = _without(experiment, name)
    if row.kind == "prompts":
        return replace(experiment, entries=values)
    if row.kind == "seeds" and len(values) == 1:
        return replace(experiment, seeds=values[0])
    if len(values) == 1:
        return replace(experiment, settings=(*experiment.settings, (row.name, values[0])))
    axis = Axis(field=row.name, values=values, what=row.field)
    return replace(experiment, axes=(*experiment.axes[:place], axis, *experiment.axes[place:]))


def _typed_values(row: Setting, said: Any) -> tuple[Any, ...]:
    """Return the values of a setting that an option names, once or several times."""
    if row.kind == "prompts":
        return tuple(each if isinstance(each, Entry) else Entry(text=str(each)) for each in _several(said))
    numbers = isinstance(said, list | tuple) and all(type(each) is int for each in said)
    if row.kind == "seeds" and numbers:
        return (tuple(map(lower_bits, said)),)
    if row.kind == "argument":  # its texts are what they are, never ranges
        return tuple(read_value(row, each, what=row.field) for each in said)
    if row.kind == "parts" and isinstance(said, tuple) and all(isinstance(each, Lora | Embedding) for each in said):
        return (said,)
    if not isinstance(said, list | tuple) or (row.kind == "size" and numbers and len(said) == 2):
        return read_values(row, said, what=row.field)
    return tuple(value for each in said for value in read_values(row, each, what=row.field))


def _sides_apart(experiment: Experiment, row: Setting) -> Experiment:
    """Split the size that a file says into its two sides, where only one of them is typed."""
    if row.name not in _SIDES:
        return experiment

    def sides(axis: Axis) -> tuple[Axis, ...]:
        if axis.field != "size":
            return (axis,)
        return tuple(
            replace(axis, field=side, values=tuple(value and value[at] for value in axis.values), shown=())
            for at, side in enumerate(_SIDES)
        )

    settings = [
        pair
        for name, value in experiment.settings
        for pair in (zip(_SIDES, value or (None, None), strict=True) if name == "size" else ((name, value),))
    ]
    grouped = tuple(tuple(each for axis in group for each in sides(axis)) for group in experiment.zips)
    plain = tuple(axis for axis in experiment.axes if axis.field != "size")
    sizes = tuple(sides(axis) for axis in experiment.axes if axis.field == "size")
    return replace(experiment, settings=tuple(settings), axes=plain, zips=(*grouped, *sizes))


def _without(experiment: Experiment, name: str) -> Experiment:
    """Drop every word of a setting; rows of a zip group that differed in it alone become one."""
    groups: list[tuple[Axis, ...]] = []
    for group in experiment.zips:
        left = tuple(axis for axis in group if axis.field != name)
        if left and len(left) < len(group):
            left = _distinct_rows(left)
        if left:
            groups.append(left)
    return replace(
        experiment,
        settings=tuple(pair for pair in experiment.settings if pair[0] != name),
        axes=tuple(axis for axis in experiment.axes if axis.field != name),
        zips=tuple(groups),
    )


def _distinct_rows(group: Sequence[Axis]) -> tuple[Axis, ...]:
    rows = dict.fromkeys(zip(*(axis.values for axis in group), strict=True))
    columns = zip(*rows, strict=True)
    return tuple(replace(axis, values=column, shown=()) for axis, column in zip(group, columns, strict=True))
