"""Renders rows as CSV, by the names of their columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptlab.errors import InputError

__all__ = ["check_one_format", "csv_lines"]


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a line of names, then a line each, empty where nothing is known; other keys are left out."""
    from promptlab._csv import csv_text

    return csv_text([columns, *([row.get(name) for name in columns] for row in rows)]).rstrip("\n")


def check_one_format(*, as_json: bool, as_csv: bool) -> None:
    """Refuse both at once.

    Raises:
        InputError: when both are asked for.
    """
    if as_json and as_csv:
        raise InputError("--csv", problem="is said beside --json", allowed="one of them")
