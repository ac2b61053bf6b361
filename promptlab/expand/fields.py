"""Finds settings by the names people type, and names the place where a value was typed.

A setting has a short name (``steps``), which options, files, axes and labels use, and sets one or two fields of the
spec (``num_inference_steps``), whose names are accepted, too. Errors name the field, or the place in a file.

Invariant: a name has one meaning, wherever it is typed; :mod:`promptlab.specs.settings` has them all but the further
arguments of a pipeline's call, which are called ``arguments.NAME`` by their diffusers names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from promptlab.errors import InputError, UnknownValue
from promptlab.expand.located_yaml import where
from promptlab.specs.call import FORMER_ARGUMENTS
from promptlab.specs.settings import SETTINGS, Setting, setting_named

__all__ = ["ARGUMENT", "errors_at", "find_setting", "where_typed"]

ARGUMENT: Final = "arguments."

_TEXTS: Final = frozenset(
    {"prompts", "arguments", "append", "fragments", "order", "prepend", "replace", "sample", "template_seed"}
)
"""Fields of an experiment that are no settings; where a place is known, it says which is meant."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def find_setting(name: str, *, what: str) -> Setting:
    """Return the setting that goes by ``name``.

    Args:
        name: any of its names; ``arguments.NAME`` for a call argument by its diffusers name.
        what: the field or the place in a file where it was typed, for what errors say.

    Raises:
        UnknownValue: naming the nearest.
    """
    row = setting_named(name)
    if row is not None:
        return row
    argument = name.removeprefix(ARGUMENT)
    if argument == name or not _NAME.fullmatch(argument):
        raise UnknownValue(what, name, [*SETTINGS, f"{ARGUMENT}NAME"], problem="is no field of a run")
    row = setting_named(argument)
    if row is None:
        return Setting(
            name=str(name), kind="argument", part="call", sets=("arguments",), help="A call argument.", example="1"
        )
    if argument in FORMER_ARGUMENTS:  # files and images of earlier versions name them so
        return row
    raise InputError(what, name, problem="has a name of its own", allowed=row.name)


def where_typed(said: object, key: str) -> str:
    """Return how an error names ``said``: by its place in a file, or else by the field of ``key``."""
    place = where(said)
    if place is not None:
        return f"{place}: {key}"
    row = setting_named(key)
    return key if row is None else row.field


@contextmanager
def errors_at(what: str) -> Iterator[None]:
    """Name ``what`` in the errors of a block as the field or place that is wrong.

    In a file, the place of the value is what helps, and what to type as an option does not.
    """
    try:
        yield
    except InputError as error:
        if error.field == what or error.field.startswith((f"{what},", f"{what}:")):
            raise
        known = error.field in _TEXTS or setting_named(error.field) is not None
        inner = "" if known else f": {error.field}"
        in_file = _FIELD.fullmatch(what) is None
        hint = None if in_file and (error.hint or "").startswith("\x02") else error.hint
        raise InputError(what + inner, error.value, problem=error.problem, allowed=error.allowed, hint=hint) from error
