"""Defines the plain values that specs are made of, and writes equal ones as one text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

__all__ = ["Options", "Scalar", "canonical_json", "options", "parse_scalar"]

Scalar = bool | int | float | str | None
"""A value an option can have: what JSON, a command line and a diffusers config all know."""

Options = tuple[tuple[str, Scalar], ...]
"""Named options in order of name. A tuple, so that specs stay hashable; build one with :func:`options`."""


def options(given: Mapping[str, Scalar] | None = None) -> Options:
    """Return ``given`` as sorted pairs, so that the order they were typed in means nothing."""
    return tuple(sorted((given or {}).items()))


def parse_scalar(text: str) -> Scalar:
    """Read a typed value: ``true``, ``false``, ``none``, a whole number, a number, or the text."""
    words: dict[str, Scalar] = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


_quoted: Final = json.encoder.encode_basestring


def canonical_json(value: Any) -> str:
    """Write JSON with sorted keys and no blanks; equal values give equal text, ``7`` and ``7.0`` included.

    Written here and not by :mod:`json`, which cannot write a float as the whole number it is: changing the values first
    takes twice the time, and a sweep has a hundred thousand settings.
    """
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if value is None or kind is bool:
        return "null" if value is None else "true" if value else "false"
    if kind is int:
        return repr(value)
    if kind is float and isfinite(value):
        return repr(int(value) if value.is_integer() else value)
    if kind is list or kind is tuple:
        return f"[{','.join([canonical_json(inner) for inner in value])}]"
    if kind is dict or isinstance(value, Mapping):
        pairs = sorted(value.items())
        return f"{{{','.join([f'{_quoted(key)}:{canonical_json(inner)}' for key, inner in pairs])}}}"
    if isinstance(value, float) and isfinite(value):
        return canonical_json(float(value))
    return canonical_json(list(value)) if isinstance(value, list | tuple) else json.dumps(value, ensure_ascii=False)
