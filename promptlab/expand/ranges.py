"""Reads numbers as one types them: ``20``, ``10, 20, 50``, ``1-5``, ``0.5..1.5 step 0.25``.

Invariant: no value lies beyond the end of its range, and every value is the number that its shortest text says: steps
are added as decimals, not as binary fractions, so that 0.1-0.3 (+0.1) ends in 0.3.

The forms with brackets are those of AUTOMATIC1111's ``scripts/xyz_grid.py``, whose float form overshoots the end.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from promptlab.errors import InputError

__all__ = ["MAX_NUMBERS", "parse_numbers", "parse_whole", "show_number"]

MAX_NUMBERS: Final = 100_000
"""Of one text; what a sweep can hold."""

_NUMBER: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_PLAIN: Final = re.compile(_NUMBER)
_RANGE: Final = re.compile(
    rf"(?P<first>{_NUMBER})\s*(?:-|\.\.)\s*(?P<last>{_NUMBER})\s*"
    rf"(?:\(\s*(?P<bracketed>{_NUMBER})\s*\)|step\s+(?P<worded>{_NUMBER})|\[\s*(?P<count>[0-9]{{1,6}})\s*\])?"
)
_LONGEST: Final = 60
_DIGITS: Final = 6


def parse_numbers(text: str, *, whole: bool, what: str) -> tuple[int | float, ...]:
    """Read the numbers that ``text`` names, in its order.

    ``a-b`` and ``a..b`` go from a to b by 1; ``(+s)``, ``(-s)`` and ``step s`` by s, never past b; ``[n]`` takes n
    numbers spread evenly over both ends, rounded down where they are to be whole, else to six digits, so that what is
    shown is what is used.

    Args:
        text: any text.
        whole: whether only whole numbers are meant.
        what: the field or the place in a file where it was typed, for what errors say.

    Raises:
        InputError: for anything else: a range that runs away from its end, a step of 0, more than ``MAX_NUMBERS``.
    """
    numbers: list[int | float] = []
    for item in text.split(","):
        numbers += _item(item.strip(), whole, what, MAX_NUMBERS - len(numbers))
    return tuple(numbers)


def parse_whole(said: object, least: int, most: int, *, what: str) -> int:
    """Read one whole number.

    Raises:
        InputError: when it is none, or outside the range.
    """
    numbers = parse_numbers(str(said), whole=True, what=what)
    if len(numbers) != 1 or not least <= numbers[0] <= most:
        raise InputError(what, str(said), problem="is out of range", allowed=f"{least} to {most:,}")
    return int(numbers[0])


def show_number(number: float) -> str:
    """Write ``number`` as the shortest text that says it: ``7`` for 7.0, ``0.25``."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else repr(number)


def _item(item: str, whole: bool, what: str, room: int) -> list[int | float]:
    kind = "whole number" if whole else "number"
    found = _RANGE.fullmatch(item) if len(item) <= _LONGEST else None
    if found is None:
        if len(item) > _LONGEST or not _PLAIN.fullmatch(item):
            raise InputError(what, item, problem=f"is not a {kind}", allowed=_forms(whole))
        return [_number(Decimal(item), item, whole, what)]
    first, last = Decimal(found["first"]), Decimal(found["last"])
    if found["count"] is not None:
        return _spread(first, last, int(found["count"]), item, whole, what, room)
    step = Decimal(found["bracketed"] or found["worded"] or 1)
    if step == 0:
        raise InputError(what, item, problem="has a step of 0", allowed=_forms(whole))
    if (last - first) * step < 0:
        problem = "runs away from its end"
        raise InputError(what, item, problem=problem, allowed="a step towards the end, such as 1-10 (+3) or 10-1 (-3)")
    if (last - first) / step >= room:
        raise _too_many(what, item)
    length = int((last - first) // step) + 1
    return [_number(first + at * step, item, whole, what) for at in range(length)]


def _spread(
    first: Decimal, last: Decimal, count: int, item: str, whole: bool, what: str, room: int
) -> list[int | float]:
    if count > room:
        raise _too_many(what, item)
    possible = abs(int(last) - int(first)) + 1 if whole else count if first != last else 1
    if not 1 <= count <= possible:
        raise InputError(what, item, problem=f"asks for {count} numbers", allowed=f"1 to {possible} in this range")
    for end in (first, last):
        _number(end, item, whole, what)
    from fractions import Fraction

    start, width, gaps = Fraction(first), Fraction(last) - Fraction(first), max(count - 1, 1)
    spread = [start + width * at / gaps for at in range(count)]
    if whole:
        return [int(each) for each in spread]
    exact = [float(each) for each in spread]
    short = [float(f"{each:.{_DIGITS}g}") for each in exact]
    within = all(min(first, last) <= Decimal(repr(each)) <= max(first, last) for each in short)
    return [*short] if within and len(set(short)) == count else [*exact]


def _number(number: Decimal, item: str, whole: bool, what: str) -> int | float:
    if abs(number) >= 10**9:
        raise InputError(what, item, problem="is out of range", allowed="below 1,000,000,000")
    if not whole:
        return float(number)
    if number != int(number):
        raise InputError(what, item, problem="is not a whole number", allowed=_forms(whole))
    return int(number)


def _too_many(what: str, item: str) -> InputError:
    return InputError(what, item, problem="makes too many numbers", allowed=f"{MAX_NUMBERS:,}")


def _forms(whole: bool) -> str:
    return "20 · 1-5 · 1-10 (+3) · 1-10 [5]" if whole else "7.5 · 1-5 · 0.5-1.5 (+0.25) · 1-10 [5]"
