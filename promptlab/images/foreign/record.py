"""Holds what another program wrote about an image, and makes values in it safe to hold.

Nothing here trusts what it is given: numbers may be endless or none, texts may hold half a surrogate pair, lists may
nest without end. What comes out fits a :class:`~promptlab.specs.RunSpec` and every database and terminal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any, Final

from promptlab.errors import one_line
from promptlab.records import ImportGap
from promptlab.specs import RunSpec

__all__ = ["ForeignMetadata", "as_float", "as_int", "brief", "cleaned", "json_object"]

_MOST: Final = 6
"""Entries of a list shown in one line."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,6},[0-9]{1,2}")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}(\.0{0,40})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignMetadata:
    """Describes an image of another program by a spec and what it cannot say.

    Args:
        program: ``AUTOMATIC1111`` and those that write as it does (``Forge``, ``SD.Next``, ``PromptLab``), or one of
            :data:`promptlab.images.foreign.PROGRAMS`.
        spec: one variant, one seed. What is not known is ``None``; a model that is not named is ``""``.
        lost: what the spec cannot say.
    """

    program: str
    spec: RunSpec
    lost: tuple[ImportGap, ...] = ()


def json_object(text: str | None) -> dict[str, Any] | None:
    """Parse ``text`` as a JSON object; return None when it is none, or nests deeper than was meant."""
    if not text or not text.lstrip().startswith("{"):
        return None
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return plain if isinstance(plain, dict) else None


def cleaned(value: object) -> str:
    """Return text without NULs and halves of surrogate pairs; the empty text for what is no text."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", " ").encode("utf-8", "replace").decode()


def as_int(value: object) -> int | None:
    """Return ``value`` as a whole number: ``20``, ``20.0``, ``"20"``; None for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if isfinite(value) and value.is_integer() else None
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    return None


def as_float(value: object) -> float | None:
    """Return ``value`` as a finite number: ``7``, ``7.5``, ``"7.5"``, ``"7,5"``; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = value.replace(",", ".")
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def brief(value: object, *, depth: int = 3) -> str:
    """Show ``value`` in one short line, however large it is and whatever lies in it."""
    if isinstance(value, str):
        return one_line(value[:400], limit=120)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a number of more than 256 bits"
    if isinstance(value, Mapping):
        inner = [f"{brief(key)} {brief(one, depth=depth - 1)}" for key, one in islice(value.items(), _MOST)]
    elif isinstance(value, list | tuple):
        inner = [brief(one, depth=depth - 1) for one in value[:_MOST]]
    else:
        return one_line(value, limit=120)
    if depth <= 0:
        return "…"
    return one_line(", ".join(inner) + (", …" if len(value) > _MOST else ""), limit=120)
