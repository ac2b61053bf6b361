"""Applies styles: words with a name, which are put around every prompt before it is expanded.

They come from defaults files, or from the ``styles.csv`` of AUTOMATIC1111
(https://github.com/AUTOMATIC1111/stable-diffusion-webui/blob/master/modules/styles.py): its columns, and its rule that
words without ``{prompt}`` go behind the prompt.

Invariant: a style only writes words; what they mean is understood where typed words are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from promptlab.errors import InputError, NotFound, UnknownValue, one_line
from promptlab.expand.axes import Axis
from promptlab.expand.experiment import Experiment
from promptlab.expand.prompt_steps import Entry
from promptlab.expand.prompts_file import read_text

__all__ = ["PromptStyle", "chosen_styles", "read_styles", "styled"]

_PLACE: Final = "{prompt}"
_NEGATIVE: Final = "negative"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptStyle:
    """Holds the words of a style.

    Args:
        name: how it is asked for.
        prompt, negative: what becomes of a prompt, which stands for ``{prompt}``; without it they go behind. Empty
            leaves the words as they are.
        file: where it was read.
    """

    name: str
    prompt: str = ""
    negative: str = ""
    file: str = ""

    def of_prompt(self, words: str) -> str:
        """Return a prompt in this style."""
        return _merged(self.prompt, words)

    def of_negative(self, words: str) -> str:
        """Return a negative prompt in this style."""
        return _merged(self.negative, words)


def read_styles(path: Path, *, shown: str) -> tuple[PromptStyle, ...]:
    """Read the styles of AUTOMATIC1111's ``styles.csv``: name, prompt, negative_prompt.

    Args:
        path: of the file.
        shown: what errors call it.

    Raises:
        NotFound: when there is no such file.
        InputError: for one that cannot be read, or has no column of names.
    """
    rows = csv.DictReader(io.StringIO(read_text(path, what=shown), newline=""), strict=False)
    found: dict[str, PromptStyle] = {}
    try:
        if rows.fieldnames is None or "name" not in rows.fieldnames:
            raise InputError(shown, problem="has no column 'name'", allowed="name,prompt,negative_prompt in line 1")
        for row in rows:
            name = (row.get("name") or "").strip()
            words = row.get("prompt") or row.get("text") or ""  # 'text' is what its first versions wrote
            negative = row.get("negative_prompt") or ""
            if name and (words.strip() or negative.strip()):
                found[name] = PromptStyle(name=name, prompt=words, negative=negative, file=shown)
    except csv.Error as error:
        raise InputError(shown, problem=f"is no CSV ({one_line(error)}, line {rows.line_num})") from None
    return tuple(found.values())


def chosen_styles(names: Iterable[str], known: Mapping[str, PromptStyle]) -> tuple[PromptStyle, ...]:
    """Return the styles that were asked for, in that order.

    Raises:
        InputError: for a name that there is none of; it names the nearest.
    """
    chosen: list[PromptStyle] = []
    for name in names:
        if name not in known:
            if not known:
                raise NotFound("style", name, allowed="[styles.NAME] in promptlab.toml, or a styles.csv beside it")
            raise UnknownValue("style", name, list(known))
        chosen.append(known[name])
    return tuple(chosen)


def styled(experiment: Experiment, styles: Sequence[PromptStyle]) -> Experiment:
    """Return ``experiment`` with all its words in ``styles``, one after the other."""
    for style in styles:
        experiment = _styled(experiment, style)
    return experiment


def _styled(experiment: Experiment, style: PromptStyle) -> Experiment:
    axes = tuple(_axis(axis, style) for axis in experiment.axes)
    zips = tuple(tuple(_axis(axis, style) for axis in group) for group in experiment.zips)
    settings = dict(experiment.settings)
    if style.negative and not any(axis.field == _NEGATIVE for axis in (*axes, *(each for row in zips for each in row))):
        settings[_NEGATIVE] = style.of_negative(settings.get(_NEGATIVE) or "")
    return replace(
        experiment, entries=_entries(experiment.entries, style), settings=tuple(settings.items()), axes=axes, zips=zips
    )


def _axis(axis: Axis, style: PromptStyle) -> Axis:
    changed: Mapping[str, Any] = {"prompts": _entries, _NEGATIVE: lambda words, style: style.of_negative(words or "")}
    change = changed.get(axis.field)
    return axis if change is None else replace(axis, values=tuple(change(value, style) for value in axis.values))


def _entries(entries: Iterable[Entry], style: PromptStyle) -> tuple[Entry, ...]:
    return tuple(_entry(entry, style) for entry in entries)


def _entry(entry: Entry, style: PromptStyle) -> Entry:
    negative = None if entry.negative is None else style.of_negative(str(entry.negative))
    recorded = entry.recorded
    if recorded is not None:
        recorded = replace(recorded, prompt=style.of_prompt(recorded.prompt), template=None)
    text = entry.text if not style.prompt else style.of_prompt(str(entry.text))
    return replace(entry, text=text, negative=negative, recorded=recorded)


def _merged(style: str, words: str) -> str:
    if _PLACE in style:
        return style.replace(_PLACE, words)
    return ", ".join(filter(None, (words.strip(), style.strip()))) if style.strip() else words
