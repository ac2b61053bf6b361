"""An experiment: what is drawn, with which settings, and what is varied; from a file, from options, or from both.

Invariant: there is one path from words to runs, :meth:`Experiment.sweep`, whatever the words came from; what is said
twice is an error, unless an option says again what a file said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from promptlab.errors import InputError
from promptlab.expand.fields import Field, field_named, what_is
from promptlab.expand.labels import labelled
from promptlab.expand.prompt_steps import Entry, PromptSteps
from promptlab.expand.sweep import Axis, Exclude, Sweep, build_sweep
from promptlab.expand.values import ParseScheduler, changed, read_value
from promptlab.expand.word_diff import cut
from promptlab.specs import PipelineSpec, RunSpec, Variant

__all__ = ["Experiment", "Settings", "check_said_once"]

Settings = tuple[tuple[str, Any], ...]
"""Fields of a run by their short names, and the one value of each; a scheduler may still be text."""

_FIRST_SEED: Final = (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What an experiment file or a command line says, read and in range, but for what only the engine knows.

    Args:
        experiment, name, note: how what it makes is remembered; ``None`` where it does not say.
        settings: what all runs have.
        entries: the prompts.
        seeds: ``None`` where it does not say; then seed 0.
        phrasing: what is done to all prompts alike.
        axes: fields that take several values; prompts are tuples of entries, schedulers may still be text.
        zips: groups of them that vary together.
        excludes: combinations that are left out.
        file: what errors call the file; ``None`` where there is none.
        overridden: fields that an option said again: an exclude of theirs may match nothing.
    """

    experiment: str | None = None
    name: str | None = None
    note: str | None = None
    settings: Settings = ()
    entries: tuple[Entry, ...] = ()
    seeds: tuple[int, ...] | None = None
    phrasing: PromptSteps = dataclasses.field(default_factory=PromptSteps)
    axes: tuple[Axis, ...] = ()
    zips: tuple[tuple[Axis, ...], ...] = ()
    excludes: tuple[Exclude, ...] = ()
    file: str | None = None
    overridden: frozenset[str] = frozenset()

    def with_options(self, **typed: Any) -> Experiment:
        """This experiment as the options of a command line would have it.

        An option that is named replaces what the file says of its field: the value, the axis, or its part of a zip
        group, whose rows that come out the same become one. Several values make an axis, where the old one was, or
        behind all others. With another model, the file's revision, variant and config are gone: the old one's.

        Args:
            typed: by the names of fields: a value or, in a list or tuple, several; each as text or as the spec has it.
                ``experiment``, ``name``, ``note``, ``sample``, ``template_seed``; ``prompts``, ``replace``,
                ``fragments``, ``order`` as lists of texts; ``seeds`` as text or numbers; ``arguments`` as a mapping, or
                as pairs, in which a name may come again.
                ``None`` and an empty tuple mean: not named.

        Raises:
            InputError: for what a field cannot be; it names the option.
            TypeError: for a name that is no option.
        """
        from promptlab.expand.overrides import overridden

        return overridden(self, typed)

    def sweep(self, *, default_model: str, parse_scheduler: ParseScheduler) -> Sweep:
        """The runs that it stands for; one, where it has no axis.

        Args:
            default_model: where no model is named.
            parse_scheduler: reads a scheduler's name and options.

        Raises:
            InputError: for what is wrong with prompts, schedulers, axes or excludes: all that can be known without a
                model.
        """
        settings = {name: self._meant(name, value, parse_scheduler) for name, value in self.settings}
        negative = settings.pop("negative", "")
        axes = tuple(self._axis(axis, negative, parse_scheduler) for axis in self.axes)
        zips = tuple(tuple(self._axis(axis, negative, parse_scheduler) for axis in group) for group in self.zips)
        varied = {axis.field: axis for axis in (*axes, *(axis for group in zips for axis in group))}
        own = next((entry for entry in self.entries if entry.negative is not None), None)
        if "negative" in varied and own is not None:
            problem = "is an axis, and a prompt has one of its own"
            raise InputError(varied["negative"].said, problem=problem, allowed="one of the two")
        if "prompts" in varied:
            variants = varied["prompts"].values[0]
        elif not self.entries and self.file is not None:
            raise InputError(
                self.file, problem="names no prompt", allowed="prompts or template, or PROMPT in the command"
            )
        else:
            variants = self.phrasing.variants(self.entries, negative=negative)
        base = RunSpec(
            pipeline=PipelineSpec(model=settings.pop("model", None) or default_model),
            variants=variants,
            seeds=_FIRST_SEED if self.seeds is None else self.seeds,
        )
        for name, value in settings.items():
            base = changed(base, field_named(name, what=name), value)
        return build_sweep(base, axes, zips, self._excludes(varied, settings, negative, parse_scheduler))

    def _axis(self, axis: Axis, negative: str, parse_scheduler: ParseScheduler) -> Axis:
        field = field_named(axis.field, what=axis.said)
        if field.kind == "prompts":
            made: dict[tuple[Entry, ...], tuple[Variant, ...]] = {
                entries: self.phrasing.variants(entries, negative=negative) for entries in dict.fromkeys(axis.values)
            }
            shown = _prompt_labels(list(made))
            values = tuple(made[entries] for entries in axis.values)
            return dataclasses.replace(axis, values=values, shown=tuple(shown[entries] for entries in axis.values))
        if field.kind != "scheduler":
            return axis
        values = tuple(self._meant(field.name, value, parse_scheduler) for value in axis.values)
        shown_as = tuple("default" if value is None else str(value) for value in axis.values)
        return dataclasses.replace(axis, values=values, shown=shown_as)

    @staticmethod
    def _meant(name: str, value: Any, parse_scheduler: ParseScheduler) -> Any:
        if name != "scheduler" or value is None:
            return value
        field = field_named(name, what=name)
        return read_value(field, value, what=what_is(value, name), parse_scheduler=parse_scheduler)

    def _excludes(
        self, varied: dict[str, Axis], settings: dict[str, Any], negative: str, parse_scheduler: ParseScheduler
    ) -> list[Exclude]:
        """The excludes as the sweep wants them: of its axes only, what all runs have compared already."""
        plain = {**settings, "negative": negative}
        rules: list[Exclude] = []
        for exclude in self.excludes:
            values: dict[str, Sequence[Any]] = {}
            matches = bool(exclude.values)
            for name, wanted in exclude.values.items():
                axis = self._axis(Axis(field=name, values=tuple(wanted), what=exclude.what), negative, parse_scheduler)
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
            rules.append(dataclasses.replace(exclude, values=values))
        return rules


def check_said_once(settings: Settings, axes: Sequence[Axis], *, what: dict[str, str]) -> None:
    """No field is set by two of them; ``size`` sets width and height.

    Args:
        settings: what all runs have.
        axes: of all groups.
        what: where each of the settings was said.

    Raises:
        InputError: naming both.
    """
    setters: dict[str, str] = {}
    for name, place in [*((name, what[name]) for name, _ in settings), *((axis.field, axis.said) for axis in axes)]:
        for part in _parts(field_named(name, what=place)):
            if part in setters:
                beside = f", beside {setters[part]}" if setters[part] != name else ""
                raise InputError(place, problem=f"is said twice{beside}", allowed="once: as a value or as an axis")
            setters[part] = name


def _parts(field: Field) -> tuple[str, ...]:
    return (field.name,) if field.kind == "argument" else field.sets


def _prompt_labels(values: Sequence[tuple[Entry, ...]]) -> dict[tuple[Entry, ...], str]:
    """A few words for each list of prompts: what tells their texts apart."""
    texts = [" · ".join(entry.label or entry.text for entry in entries) for entries in values]
    made = labelled([Variant(prompt=text) for text in texts])
    return {entries: cut(each.label, 40) for entries, each in zip(values, made, strict=True)}
