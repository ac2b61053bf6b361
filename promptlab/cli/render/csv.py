"""Writes rows as CSV, as RFC 4180 has it: what a spreadsheet and every library reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptlab.errors import InputError

__all__ = ["check_one_format", "csv_lines"]


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a line of names, then a line each, empty where nothing is known; other keys are left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def check_one_format(*, as_json: bool, as_csv: bool) -> None:
    """Refuse both at once.

    Raises:
        InputError: when both are asked for.
    """
    if as_json and as_csv:
        raise InputError("--csv", problem="is said beside --json", allowed="one of them")
