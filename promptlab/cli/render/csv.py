"""Renders rows as CSV, by the names of their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import click

from promptlab.errors import InputError

__all__ = ["RAW", "CsvForm", "check_one_format", "csv_lines", "csv_options"]

CsvForm = Literal["neutral", "raw"]
RAW: Final = "raw"

Command = TypeVar("Command", bound=Callable[..., Any])


def csv_options(about: str = "As CSV.") -> Callable[[Command], Command]:
    """Add ``--csv`` and ``--csv-raw``, a parameter ``as_csv`` of both: a :data:`CsvForm`, or ``None``.

    Args:
        about: what a line is, as help says it.
    """

    def add(command: Command) -> Command:
        raw = click.option(
            "--csv-raw", "as_csv", flag_value=RAW,
            help="The same for programs: texts that a spreadsheet would compute stay as they are.",
        )  # fmt: skip
        return click.option("--csv", "as_csv", flag_value="neutral", help=about)(raw(command))

    return add


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], form: CsvForm = "neutral") -> str:
    """Return a line of names, then a line each, empty where nothing is known; other keys are left out."""
    from promptlab._csv import csv_text

    lines = csv_text([columns, *([row.get(name) for name in columns] for row in rows)], raw=form == RAW)
    return lines.removesuffix("\n")


def check_one_format(*, as_json: bool, as_csv: CsvForm | None) -> None:
    """Refuse both at once.

    Raises:
        InputError: when both are asked for.
    """
    if as_json and as_csv:
        raise InputError("--csv", problem="is said beside --json", allowed="one of them")
