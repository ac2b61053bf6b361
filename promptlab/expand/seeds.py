"""Reads seeds as one types them: ``0-7``, ``1,5,9``, ``random:4``, and AUTOMATIC1111's ranges.

What comes out is always plain seeds, each once, each within 0 … 2³²−1, in the order they were named. Nothing is left to
be decided later: a seed that was drawn is from then on a seed like any other, so that every picture can be made again.

Other programs have seeds of 64 bits, of which a generator on a CPU uses the lower 32. Such a seed is read as what it is
there, as ``promptlab import`` reads it; :func:`noting_shortened` tells who asks, so that it can be said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from promptlab.errors import InputError, one_line, ref_value
from promptlab.specs import MAX_SEED

__all__ = [
    "MAX_LONG_SEED",
    "MAX_SEEDS",
    "Draw",
    "lower_bits",
    "noting_shortened",
    "parse_seeds",
    "shortened_line",
    "show_seeds",
]

MAX_SEEDS: Final = 100_000
"""More than a run can mean; without a limit ``0-4294967295`` would fill the memory before anything is said."""

MAX_LONG_SEED: Final = 2**64 - 1
"""Names the greatest seed that other programs have (``torch.Generator.manual_seed`` takes no more)."""

Draw = Callable[[int], int]
"""Gives a whole number from 0 up to, not including, its argument. ``secrets.randbelow`` is one."""

_ALLOWED: Final = f"0 to {MAX_SEED}"
_noted: ContextVar[dict[int, int] | None] = ContextVar("_noted", default=None)
_FORMS: Final = "0-7 · 1,5,9 · 0-3,42 · random:4 · 1-10 (+3) · 1-10 [5]"
_RANGE: Final = re.compile(
    r"([0-9]+)\s*-\s*([0-9]+)\s*(?:\(\s*(?P<sign>[+-]?)\s*(?P<step>[0-9]+)\s*\)|\[\s*(?P<count>[0-9]+)\s*\])?"
)
_RANDOM: Final = re.compile(r"random\s*:\s*([0-9]+)")
_NEGATIVE: Final = re.compile(r"-\s*[0-9]+")


@contextmanager
def noting_shortened() -> Iterator[dict[int, int]]:
    """Collect the seeds of more than 32 bits that are read in the block: as typed → as used."""
    noted: dict[int, int] = {}
    before = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(before)


def lower_bits(seed: int) -> int:
    """Return the lower 32 bits of a seed of up to 64, as a CPU uses them; any other as it is."""
    if not MAX_SEED < seed <= MAX_LONG_SEED:
        return seed
    used = seed % (MAX_SEED + 1)
    noted = _noted.get()
    if noted is not None:
        noted[seed] = used
    return used


def shortened_line(typed: int, used: int) -> str:
    """Say what became of a seed of more than 32 bits."""
    return f"seed {typed} has more than 32 bits; its lower 32, {used}, are used"


def parse_seeds(text: str, *, draw: Draw | None = None) -> tuple[int, ...]:
    """Read the seeds that ``text`` names, in its order.

    ``a-b`` includes both ends; ``1-10 (+3)`` takes every third from 1; ``1-10 [5]`` takes 5 spread evenly, rounded down
    (these two as in A1111's ``scripts/xyz_grid.py``). ``random:4`` draws four that are not named yet.

    Args:
        text: any text.
        draw: where random seeds come from; by default the operating system.

    Raises:
        InputError: for anything else: a negative seed, one above 2⁶⁴−1, a range beyond 2³²−1 or backwards, a seed named
            twice, nothing between two commas, or more than ``MAX_SEEDS`` seeds.
    """
    seeds: dict[int, None] = {}
    if not text.strip():
        raise InputError("seeds", text, problem="names no seed", allowed=_FORMS, hint=ref_value("seeds", "0-7"))
    items = [item.strip() for item in text.split(",")]
    if "" in items:
        without = ",".join(item for item in items if item) or "0-7"
        raise InputError(
            "seeds",
            text,
            problem="has a comma with nothing beside it",
            hint=ref_value("seeds", one_line(without, limit=60)),
        )
    owed: list[tuple[int, int]] = []  # (place, how many): drawn last, so that they avoid every seed that is named
    for item in items:
        if drawn := _RANDOM.fullmatch(item):
            count = _number(drawn[1], item)
            if count < 1:
                raise _refused(item, "draws no seed", hint="random:4")
            _room(len(seeds) + sum(owing for _, owing in owed), count, item)
            owed.append((len(seeds), count))
        else:
            _room(len(seeds) + sum(owing for _, owing in owed), _length(item), item)
            for seed in _named(item):
                if seed in seeds:
                    raise InputError("seeds", seed, problem="is named twice", allowed="each seed once")
                seeds[seed] = None
    return _with_drawn(tuple(seeds), owed, draw or _from_the_system)


def show_seeds(seeds: Iterable[int]) -> str:
    """Write seeds as short text, which :func:`parse_seeds` reads back the same: ``0-7,42``.

    Only commas and dashes are used, so that it can be typed in any shell without quotes.
    """
    return ",".join(_runs(tuple(seeds)))


def _runs(seeds: Sequence[int]) -> Iterator[str]:
    start = 0
    while start < len(seeds):
        end = start
        while end + 1 < len(seeds) and seeds[end + 1] == seeds[end] + 1:
            end += 1
        if end - start >= 2:
            yield f"{seeds[start]}-{seeds[end]}"
        else:
            yield from map(str, seeds[start : end + 1])
        start = end + 1


def _length(item: str) -> int:
    """Count the seeds that ``item`` names, checked in full before any of them is made."""
    if item.isascii() and item.isdigit():
        _long_seed(item)
        return 1
    found = _RANGE.fullmatch(item)
    if found is None:
        raise _unreadable(item)
    first, last = _seed(found[1], item), _seed(found[2], item)
    if last < first:
        raise _refused(item, "runs backwards", allowed="the lower seed first", hint=f"{last}-{first}")
    length = last - first + 1
    if found["step"] is not None:
        step = _number(found["step"], item)
        if found["sign"] == "-" or step == 0:
            raise _refused(item, "needs a step of 1 or more", hint=f"{first}-{last} (+{max(step, 1)})")
        return (length + step - 1) // step
    if found["count"] is not None:
        count = _number(found["count"], item)
        if not 1 <= count <= length:
            problem = f"asks for {count} of {length} seeds"
            raise _refused(item, problem, hint=f"{first}-{last} [{length}]")
        return count
    return length


def _named(item: str) -> Iterable[int]:
    """Return the seeds of an item that :func:`_length` has passed."""
    found = _RANGE.fullmatch(item)
    if found is None:
        return (lower_bits(_long_seed(item)),)
    first, last = int(found[1]), int(found[2])
    if found["step"] is not None:
        return range(first, last + 1, int(found["step"]))
    if found["count"] is not None:
        gaps = int(found["count"]) - 1
        return (first + (last - first) * at // gaps for at in range(gaps + 1)) if gaps else (first,)
    return range(first, last + 1)


def _with_drawn(named: tuple[int, ...], owed: Sequence[tuple[int, int]], draw: Draw) -> tuple[int, ...]:
    taken = set(named)
    seeds: list[int] = []
    done = 0
    for place, count in owed:
        seeds += named[done:place]
        done = place
        for _ in range(count):
            seed = draw(MAX_SEED + 1)
            while seed in taken:  # the next free one: ends even when ``draw`` always says the same
                seed = (seed + 1) % (MAX_SEED + 1)
            taken.add(seed)
            seeds.append(seed)
    return (*seeds, *named[done:])


def _from_the_system(below: int) -> int:
    import secrets

    return secrets.randbelow(below)


def _long_seed(item: str) -> int:
    """Return a single seed, of up to 64 bits."""
    short = item.lstrip("0") or "0"
    if len(short) > len(str(MAX_LONG_SEED)) or int(short) > MAX_LONG_SEED:
        raise _too_large(item)
    return int(short)


def _seed(digits: str, item: str) -> int:
    number = _number(digits, item)
    if number > MAX_SEED:
        raise _too_large(item)
    return number


def _number(digits: str, item: str) -> int:
    short = digits.lstrip("0") or "0"
    if len(short) > len(str(MAX_SEED)):  # int() itself refuses thousands of digits, with other words
        raise _too_large(item)
    return int(short)


def _too_large(item: str) -> InputError:
    allowed = f"{_ALLOWED}; of a single one to {MAX_LONG_SEED}, the lower 32 bits"
    return InputError("seeds", item, problem="is out of range", allowed=allowed, hint=ref_value("seeds", "0-7"))


def _room(have: int, more: int, item: str) -> None:
    if have + more > MAX_SEEDS:
        problem = f"makes {have + more:,} seeds, more than the {MAX_SEEDS:,} that one run can have"
        raise InputError("seeds", item, problem=problem, hint=ref_value("seeds", "random:4"))


def _unreadable(item: str) -> InputError:
    if _NEGATIVE.fullmatch(item):
        if item.replace(" ", "") == "-1":
            problem = "is never a seed here, because a drawn seed has to be known to make its picture again"
            return _refused(item, problem, hint="random:1")
        return InputError("seeds", item, problem="is out of range", allowed=_ALLOWED, hint=ref_value("seeds", "0-7"))
    if item.lower().startswith("random"):
        return _refused(item, "does not say how many to draw", hint="random:4")
    dashes = re.sub("[‐‑‒–—−]", "-", item)
    usual = dashes if _RANGE.fullmatch(dashes) else "0-7"
    return InputError(
        "seeds", item, problem="is not a seed or a range of seeds", allowed=_FORMS, hint=ref_value("seeds", usual)
    )


def _refused(item: str, problem: str, *, hint: str, allowed: str | None = None) -> InputError:
    return InputError("seeds", item, problem=problem, allowed=allowed, hint=ref_value("seeds", hint))
