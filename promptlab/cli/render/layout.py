"""Lays out words in a terminal: columns, pairs, numbers with their nouns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from promptlab.cli.output import visible

__all__ = ["counted", "or_dash", "pairs", "shown_time", "shown_width", "table", "value_text"]


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Return aligned columns, two blanks apart; those in ``right`` are flush right.

    Wide characters count as two.
    """
    cells = [list(headers), *(list(row) for row in rows)]
    widths = [max(shown_width(row[at]) for row in cells) for at in range(len(headers))]
    lines = []
    for row in cells:
        padded = [
            " " * (width - shown_width(cell)) + cell if at in right else cell + " " * (width - shown_width(cell))
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def shown_width(text: str) -> int:
    """Return how many columns ``text`` takes in a terminal, as ``output.echo`` shows it."""
    if not text.isprintable():
        text = visible(text)
    if text.isascii():
        return len(text)
    import unicodedata  # a list of plain words has no use for it

    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def pairs(named: Iterable[tuple[str, str | None]]) -> list[str]:
    """Return a line for each pair, values aligned; those without a value are left out."""
    known = [(name, value) for name, value in named if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in known]


def or_dash(value: object) -> str:
    """Return ``-`` for what is not known."""
    return "-" if value is None else str(value)


def value_text(value: object) -> str:
    """Return a value as a person says it: yes, no, unknown."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: ``1 image``, ``2,000 images``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shown_time(time: datetime) -> str:
    """Return a time to the minute, as it is in UTC."""
    return time.strftime("%Y-%m-%d %H:%M")
