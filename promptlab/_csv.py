"""Writes CSV as RFC 4180 has it, with nothing in it that a spreadsheet would compute.

Excel and LibreOffice take a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, quoted or not, and a
formula may start programs and fetch addresses. Prompts come from strangers' images, so such a text gets an apostrophe
before it (https://owasp.org/www-community/attacks/CSV_Injection): spreadsheets show the text, and compute nothing.
Programs that read the words back want them raw, as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

__all__ = ["csv_text"]

_FORMULA: Final = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""Matches the beginning of a formula: the signs, their wide forms, and what is passed over before them."""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def csv_text(rows: Iterable[Iterable[object]], *, raw: bool = False) -> str:
    """Return a line for each row, each ended; cells are empty where nothing is known, numbers stay.

    Args:
        raw: whether texts stay, too, and formulas with them.
    """
    return "".join(_line(row if raw else map(_neutral, row)) for row in rows)


def _line(row: Iterable[object]) -> str:
    r"""Return a row as a line that ends in ``\n``.

    Written to end in ``\r\n``: only then is a carriage return quoted, which else ends a row for whoever reads it.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(row)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _neutral(cell: object) -> object:
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
