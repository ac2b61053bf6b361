"""Renders words that changed, wrapped to the terminal: in its colours, or in marks without them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from promptlab.cli.output import styled
from promptlab.cli.render.layout import shown_width
from promptlab.expand.word_diff import Piece, marked, shortened, spaced, split_words, word_diff

__all__ = ["Terminal", "changed_words", "filled"]

Kind = Literal["kept", "removed", "added"]

_ALONE: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
"""Scripts without blanks, between whose letters a line may be broken."""

_OPENING: Final = ("[-", "{+")
_NARROWEST: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Tells where lines go: how many columns there are, and whether colours are shown."""

    width: int = 100
    colours: bool = False

    @classmethod
    def here(cls) -> Terminal:
        """Return that of this process; ``NO_COLOR``, a pipe or a file want no colours (https://no-color.org)."""
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(width=max(40, shutil.get_terminal_size((100, 24)).columns), colours=colours)

    def bold(self, text: str) -> str:
        """Return a line that is meant to be found."""
        return styled(text, bold=True) if self.colours else text

    def faint(self, text: str) -> str:
        """Return a line that is there for completeness."""
        return styled(text, dim=True) if self.colours else text


def changed_words(
    before: str, after: str, terminal: Terminal, *, indent: int = 0, title: str = "", brief: bool = False
) -> list[str]:
    """Return ``title`` and the comparison of two texts, in lines that leave ``indent`` columns free.

    Lines after the first begin under the title's end, where that leaves them room.

    Args:
        brief: of what stayed only the words next to a change.
    """
    pieces = word_diff(before, after)
    if brief:
        pieces = shortened(pieces)
    if not terminal.colours:
        pieces = (Piece(kind="kept", text=marked(pieces)),)
    return _filled(pieces, terminal, indent=indent, title=title)


def filled(text: str, terminal: Terminal, *, indent: int = 0, title: str = "") -> list[str]:
    """Return ``title`` and ``text`` on as many lines as they need; see :func:`changed_words`."""
    return _filled([Piece(kind="kept", text=text)], terminal, indent=indent, title=title)


def _filled(pieces: Iterable[Piece], terminal: Terminal, *, indent: int, title: str) -> list[str]:
    room = max(_NARROWEST, terminal.width - indent)
    hanging = shown_width(title)
    if 2 * hanging > room:
        hanging = len(title) - len(title.lstrip()) + 2
    lines: list[list[tuple[Kind, str]]] = [[]]
    used = shown_width(title)
    for chunk in _chunks(pieces, room - hanging):
        if used + sum(shown_width(text) for _, text in chunk) > room and used > hanging:
            lines.append([])
            used = hanging
        (kind, first), *others = chunk
        added = [(kind, first if lines[-1] else first.lstrip()), *others]
        lines[-1] += added
        used += sum(shown_width(text) for _, text in added)
    leads = [title, *[" " * hanging] * (len(lines) - 1)]
    return [lead + _painted(line, terminal) for lead, line in zip(leads, lines, strict=True)]


def _chunks(pieces: Iterable[Piece], room: int) -> Iterator[list[tuple[Kind, str]]]:
    """Yield what a line is not broken inside: a word, with the blank before and the comma behind it.

    A word longer than a line comes in parts.
    """
    chunk: list[tuple[Kind, str]] = []
    for piece in spaced(pieces):
        for token in split_words(piece.text):
            word = (" " if token[0].isspace() else "") + token.strip()
            if chunk and (token[0].isspace() or (_ALONE.match(token) and not chunk[-1][1].endswith(_OPENING))):
                yield chunk
                chunk = []
            *whole, rest = _parts(word, room)
            for part in whole:
                yield [*chunk, (piece.kind, part)]
                chunk = []
            chunk.append((piece.kind, rest))
    if chunk:
        yield chunk


def _parts(word: str, room: int) -> Iterator[str]:
    """Yield ``word`` in pieces that fit: in one, unless it is longer than a line."""
    while shown_width(word) > room:
        fits = next(at for at in range(len(word), 0, -1) if at == 1 or shown_width(word[:at]) <= room)
        yield word[:fits]
        word = word[fits:]
    yield word


def _painted(line: Sequence[tuple[Kind, str]], terminal: Terminal) -> str:
    shown = []
    for kind, same in groupby(line, key=lambda part: part[0]):
        text = "".join(part for _, part in same)
        words = text.lstrip()
        blank = text[: len(text) - len(words)]
        if kind == "removed" and terminal.colours:
            words = styled(words, fg="red", strikethrough=True)
        elif kind == "added" and terminal.colours:
            words = styled(words, fg="green")
        shown.append(blank + words)
    return "".join(shown)
