"""Cleans up around a place where nothing was put: leaves one comma or one blank, none at either end.

A prompt is carried as :data:`Pieces`: texts between which an empty alternative stood. As long as there is one piece,
nothing is ever changed; where there are more, only the blanks and commas that touch a gap are. Two blanks that somebody
wrote elsewhere are theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["Pieces", "gap", "is_blank", "merge", "tidy"]

Pieces = tuple[str, ...]
"""One or more texts; between each two of them stands a gap, where an empty alternative was taken."""

_BLANKS: Final = " \t\r\n\u00a0\u3000"
_COMMAS: Final = ",，、"
_SEAM: Final = _BLANKS + _COMMAS
_OPENERS: Final = "(["
_CLOSERS: Final = ")].;:!?"


def gap(text: str = "") -> Pieces:
    """Make a place that was left empty, or holds only the blanks of ``text``."""
    return (text, "")


def is_blank(pieces: Pieces) -> bool:
    """Say whether nothing but white space is in it."""
    return not any(piece.strip() for piece in pieces)


def merge(parts: Iterable[Pieces]) -> Pieces:
    """Join ``parts`` one after another, their gaps kept."""
    done: list[str] = []
    current: list[str] = []
    for first, *others in parts:
        current.append(first)
        for other in others:
            done.append("".join(current))
            current = [other]
    done.append("".join(current))
    return tuple(done)


def tidy(pieces: Pieces) -> str:
    """Join ``pieces``, the blanks and commas beside each gap reduced to what one separator needs.

    At the start, at the end, inside a bracket and before a full stop nothing of them is left. In between, one comma if
    there was any, and one blank if there was any.
    """
    if len(pieces) == 1:
        return pieces[0]
    core = pieces[0].rstrip(_SEAM)
    written = [core]
    before, after = pieces[0][len(core) :], ""  # the separators met since the last word: left of the gap, right of it
    for piece in pieces[1:-1]:
        if not (core := piece.strip(_SEAM)):
            before, after = before + after + piece, ""
            continue
        after += piece[: piece.index(core[0])]
        written += (_between(written[-1], before, after, core), core)
        before, after = piece[piece.index(core[0]) + len(core) :], ""
    if core := pieces[-1].lstrip(_SEAM):
        after += pieces[-1][: len(pieces[-1]) - len(core)]
        written += (_between(written[-1], before, after, core), core)
    return "".join(written)


def _between(left: str, before: str, after: str, right: str) -> str:
    if not left or (not before and left[-1] in _OPENERS) or (not after and right[0] in _CLOSERS):
        return ""
    run = before + after
    comma = next((mark for mark in run if mark in _COMMAS), "")
    blank = "\n" if "\n" in run else next((mark for mark in run if mark in _BLANKS), "")
    return comma + blank
