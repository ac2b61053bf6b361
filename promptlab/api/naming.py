"""Names what was made as the verbs of a lab take it: numbers, texts and handles are one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from promptlab.api.handles import Image, Run, SweepRuns

__all__ = ["Named", "ref_of", "refs_of"]

Named = str | int | Run | Image | SweepRuns
"""A run, an image or a sweep: its name, its number, or what a call has returned."""


def ref_of(one: Named) -> str:
    """Return the name by which ``lab.history.find`` knows it, a sweep as ``sweep:3``."""
    if isinstance(one, SweepRuns):
        return f"sweep:{one.id}"
    if isinstance(one, Run):
        return str(one.id)
    return one.ref if isinstance(one, Image) else str(one)


def refs_of(named: Named | Iterable[Named]) -> Iterator[str]:
    """Yield the names of one, or of several."""
    several = [named] if isinstance(named, Named) or not isinstance(named, Iterable) else named
    yield from map(ref_of, several)
