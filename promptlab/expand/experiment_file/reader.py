"""Reads an experiment file: YAML → its shape → an :class:`~promptlab.expand.experiment.Experiment`.

Invariant: whatever is in the file, there is an experiment or one error that says where, what, and what is allowed.
Nothing is loaded or looked up but the lists that the file names and those in ``lists`` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab.errors import InputError, ref_value
from promptlab.expand.axes import Axis, Exclude
from promptlab.expand.experiment import Experiment, Settings, check_said_once
from promptlab.expand.experiment_file.entries import entries_of, entry_of, plain_text, words_of
from promptlab.expand.fields import errors_at, find_setting, where_typed
from promptlab.expand.grammar import read_entry
from promptlab.expand.located_yaml import (
    MAX_BYTES,
    LocatedList,
    LocatedMapping,
    LocatedStr,
    read_yaml,
    where,
)
from promptlab.expand.prompt_steps import Entry, PromptSteps
from promptlab.expand.prompts_file import decoded, read_text
from promptlab.expand.ranges import parse_whole
from promptlab.expand.seeds import parse_seeds
from promptlab.expand.templates import MAX_PROMPTS
from promptlab.expand.values import read_value, read_values
from promptlab.expand.wildcards import Wildcards, read_list
from promptlab.specs import MAX_SEED
from promptlab.specs.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from promptlab.expand.experiment_file.model import Row

__all__ = ["parse_experiment", "read_experiment"]

_STDIN: Final = "-"
_FILE: Final = "file"


def read_experiment(path: str | Path) -> Experiment:
    """Read the experiment in a YAML file.

    Args:
        path: of the file, in UTF-8; ``-`` reads standard input, and lists lie in the current folder then.

    Raises:
        NotFound: when there is no such file.
        InputError: for anything in it that cannot be; it names file, line and column.
    """
    if str(path) == _STDIN:
        import sys

        raw = sys.stdin.buffer.read(MAX_BYTES + 4)
        return parse_experiment(decoded(raw, shown=_STDIN, what=_FILE), file="standard input", folder=Path())
    text = read_text(path, what=_FILE, hint=f"promptlab run {ref_value(_FILE, 'experiment.yaml')}")
    return parse_experiment(text, file=Path(path).name, folder=Path(path).parent)


def parse_experiment(text: str, *, file: str, folder: Path | None = None) -> Experiment:
    """Read the experiment that ``text`` is.

    Args:
        text: YAML.
        file: what errors call it.
        folder: what file names of lists are relative to, and where ``lists`` lies; without it, there are no files.

    Raises:
        InputError: see :func:`read_experiment`.
    """
    tree = read_yaml(text, file=file)
    if tree is None:
        raise InputError(file, problem="says nothing", allowed="keys and values, such as prompts: a fox")
    if not isinstance(tree, LocatedMapping):
        raise InputError(
            where(tree) or file, problem="is not an experiment", allowed="keys and values, such as prompts: a fox"
        )
    from promptlab.expand.experiment_file.model import read_shape

    return _Reader(read_shape(tree), file, folder).experiment()


class _Reader:
    """Makes an experiment of a file's shape: says what its words mean."""

    def __init__(self, shape: Any, file: str, folder: Path | None) -> None:
        self._shape, self._file, self._folder = shape, file, folder

    def experiment(self) -> Experiment:
        shape = self._shape
        settings, places = self._settings()
        entries = self._entries()
        axes = tuple(self._axis("axes", key, said) for key, said in shape.axes)
        zips = [tuple(self._axis("zip", key, said) for key, said in row) for row in shape.zip]
        seeds = self._seeds(shape.seeds)
        beside = [*axes, *(axis for group in zips for axis in group)]
        _once("prompts", bool(entries), beside)
        _once("seeds", seeds is not None, beside)
        if shape.ladder:
            ladder = self._ladder(shape.ladder, dict(settings), entries, seeds)
            stepped = {axis.field for axis in ladder}
            settings = tuple((name, value) for name, value in settings if name not in stepped)
            zips.append(ladder)
            beside += ladder
        check_said_once(settings, beside, what=places)
        return Experiment(
            file=self._file,
            experiment=plain_text(shape.experiment),
            name=plain_text(shape.name),
            note=plain_text(shape.note),
            workers=plain_text(shape.workers),
            cluster=plain_text(shape.cluster),
            settings=settings,
            entries=entries,
            seeds=seeds,
            prompt_steps=self._prompt_steps(),
            axes=axes,
            zips=tuple(zips),
            excludes=tuple(self._exclude(row) for row in shape.exclude),
        )

    def _settings(self) -> tuple[Settings, dict[str, str]]:
        said: list[tuple[Setting, object, str]] = []
        for name, row in SETTINGS.items():
            word = None if row.kind in ("prompts", "seeds") else getattr(self._shape, name)
            if word not in (None, ()):
                said.append((row, word, where_typed(word[0] if isinstance(word, tuple) else word, name)))
        for key, value in self._shape.arguments:
            what = f"{key.where}: arguments.{key}"
            if not (value is None or isinstance(value, LocatedStr)):
                raise InputError(what, problem="is a list", allowed="one value; several are an axis")
            said.append((find_setting(f"arguments.{key}", what=f"{key.where}: arguments"), value, what))
        settings = tuple((row.name, read_value(row, word, what=what)) for row, word, what in said)
        return settings, {row.name: what for row, _, what in said}

    def _entries(self) -> tuple[Entry, ...]:
        shape = self._shape
        entries = tuple(entry_of(prompt) for prompt in shape.prompts)
        if shape.template is None:
            return entries
        if entries:
            raise InputError(
                where_typed(shape.template, "template"), problem="is said beside prompts", allowed="one of the two"
            )
        return (Entry(text=shape.template),)

    def _prompt_steps(self) -> PromptSteps:
        shape = self._shape
        sample, seed, order = shape.sample, shape.template_seed, shape.order
        return PromptSteps(
            replace=shape.replace,
            fragments=shape.fragments,
            order=None if order is True else order or (),
            sample=None if sample is None else parse_whole(sample, 1, MAX_PROMPTS, what=where_typed(sample, "sample")),
            sample_what=where_typed(sample, "sample"),
            template_seed=0
            if seed is None
            else parse_whole(seed, 0, MAX_SEED, what=where_typed(seed, "template_seed")),
            lists=self._lists(),
        )

    def _lists(self) -> Wildcards:
        lists: dict[str, tuple[str, ...]] = {}
        for name, said in self._shape.lists:
            what = f"{name.where}: list '{name}'"
            if said is None:
                raise InputError(what, problem="is empty", allowed="texts, or the name of a text file")
            if isinstance(said, LocatedStr):
                lists[str(name)] = self._list_file(said, what)
                continue
            for number, entry in enumerate(said, 1):
                if not isinstance(entry, LocatedStr):
                    raise InputError(what, problem=f"has no text as entry {number}", allowed="texts")
                read_entry(str(entry), what=f"{entry.where}: list '{name}', entry {number}")
            lists[str(name)] = tuple(map(str, said))
        beside = None if self._folder is None else self._folder / "lists"
        return Wildcards(lists, beside if beside is not None and beside.is_dir() else None)

    def _list_file(self, said: LocatedStr, what: str) -> tuple[str, ...]:
        if self._folder is None or not said.endswith(".txt"):
            problem = "is one text" if self._folder is not None else "is a file, and there are none here"
            raise InputError(what, str(said), problem=problem, allowed="a list of texts, or the name of a .txt file")
        with errors_at(what):
            return read_list(self._folder / str(said), what=what)

    @staticmethod
    def _seeds(said: Sequence[LocatedStr]) -> tuple[int, ...] | None:
        if not said:
            return None
        what = where_typed(said[0], "seeds")
        with errors_at(what):
            return parse_seeds(",".join(said))

    def _axis(self, group: str, key: LocatedStr, said: Any) -> Axis:
        what = f"{key.where}: {group}.{key}"
        row = find_setting(str(key), what=f"{key.where}: {group}")
        values = self._values(row, said, what)
        if not isinstance(said, LocatedList) and not (row.is_numeric and isinstance(said, LocatedStr)):
            shown = "" if said is None else str(said)
            raise InputError(what, shown, problem="is no list", allowed=f"several values: [{row.example}, …]")
        return Axis(field=row.name, values=values, what=what)

    def _values(self, row: Setting, said: Any, what: str) -> tuple[Any, ...]:
        """Read what stands behind a field of an axis: a list, of which numbers may be ranges, or one range."""
        values: list[Any] = []
        for item in said if isinstance(said, LocatedList) else [said]:
            place = where_typed(item, what.rpartition(": ")[2]) if where(item) else what
            if isinstance(item, LocatedList) and row.kind not in ("prompts", "seeds", "parts"):
                raise InputError(place, problem="is a list within a list", allowed="values")
            if row.kind == "prompts":
                values.append(entries_of(item, place))
            elif row.kind == "seeds":
                seeds = self._seeds(words_of(item, place))
                values.append(seeds)
            elif (row.kind == "argument" and isinstance(said, LocatedList)) or isinstance(item, LocatedList):
                values.append(read_value(row, item, what=place))
            else:
                values += read_values(row, item, what=place)
        return tuple(values)

    def _exclude(self, pairs: Row) -> Exclude:
        values: dict[str, tuple[Any, ...]] = {}
        what = "exclude"
        for key, said in pairs:
            place = f"{key.where}: exclude.{key}"
            what = what if values else place
            row = find_setting(str(key), what=f"{key.where}: exclude")
            if row.name in values:
                raise InputError(place, problem="is said twice", allowed="once")
            if row.kind == "argument" and not isinstance(said, LocatedList):
                values[row.name] = (read_value(row, said, what=place),)
            else:
                values[row.name] = self._values(row, said, place)
        return Exclude(values=values, what=what)

    def _ladder(
        self, rows: Sequence[Row], plain: Mapping[str, Any], entries: tuple[Entry, ...], seeds: tuple[int, ...] | None
    ) -> tuple[Axis, ...]:
        """Turn steps into columns: what a step leaves out is as in the one before, or as in the file."""
        start: dict[str, Any] = {"negative": "", **plain, "seeds": seeds or (0,)}
        if entries:
            start["prompts"] = entries
        places: dict[str, str] = {}
        steps: list[dict[str, Any]] = []
        for number, pairs in enumerate(rows, 1):
            step: dict[str, Any] = {}
            for key, said in pairs:
                what = f"{key.where}: ladder.{key}"
                row = find_setting(str(key), what=f"{key.where}: ladder")
                places.setdefault(row.name, what)
                values = self._values(
                    row, LocatedList([said]) if row.kind in ("prompts", "argument", "parts") else said, what
                )
                if len(values) != 1 or row.name in step:
                    raise InputError(what, problem="is more than one value", allowed="one a step")
                step[row.name] = values[0]
            if not step:
                raise InputError(next(iter(places.values()), "ladder"), problem=f"says nothing in step {number}")
            steps.append(step)
        for name, what in places.items():
            if name in ("model", "prompts") and name not in start and name not in steps[0]:
                raise InputError(
                    what, problem="is not in the first step, and not above the ladder", allowed="one of both"
                )
        columns: dict[str, list[Any]] = {name: [] for name in places}
        for step in steps:
            start.update(step)
            for name, column in columns.items():
                column.append(start.get(name))
        return tuple(Axis(field=name, values=tuple(column), what=places[name]) for name, column in columns.items())


def _once(name: str, plain: bool, axes: Sequence[Axis]) -> None:
    axis = next((axis for axis in axes if axis.field == name), None)
    if plain and axis is not None:
        raise InputError(axis.said, problem="is said twice", allowed="once: as a value or as an axis")
