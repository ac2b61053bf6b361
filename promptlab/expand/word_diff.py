"""Compares texts word by word, and cuts them to what fits into a small place.

Invariant: everything here is total and bounded: a comparison that would take long keeps only the common start and end.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "Piece",
    "common_start",
    "cut",
    "key",
    "marked",
    "matches",
    "shortened",
    "spaced",
    "split_words",
    "word_diff",
]

_EFFORT: Final = 200_000
"""Pairs of equal words that a comparison may look at: enough for two unrelated prompts of 10,000 characters."""

_ALONE: Final = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_MARKS: Final = ",;，、。"
_WORD: Final = re.compile(rf"\s*(?:[{_MARKS}]|[{_ALONE}]|[^\s{_MARKS}{_ALONE}]+)|\s+")

_JOINER: Final = "\u200d"  # joins two emoji into one
_FLAGS: Final = range(0x1F1E6, 0x1F200)  # two of these are one flag
_SKINS: Final = range(0x1F3FB, 0x1F400)  # these colour the emoji before them


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Holds a run of words that two texts share or only one has, with the white space before each."""

    kind: Literal["kept", "removed", "added"]
    text: str


def word_diff(before: str, after: str) -> tuple[Piece, ...]:
    """Compare ``before`` and ``after`` word by word; Chinese, Japanese, Thai and Lao by character.

    What is kept and added makes ``after`` exactly. What is kept and removed makes ``before``, but for white space,
    which is not compared.
    """
    old, new = split_words(before), split_words(after)
    pieces: list[Piece] = []
    done_old = done_new = 0
    for start_old, start_new, length in matches([*map(key, old)], [*map(key, new)]):
        if removed := "".join(old[done_old:start_old]):
            pieces.append(Piece(kind="removed", text=removed))
        if added := "".join(new[done_new:start_new]):
            pieces.append(Piece(kind="added", text=added))
        done_old, done_new = start_old + length, start_new + length
        if kept := "".join(new[start_new:done_new]):
            pieces.append(Piece(kind="kept", text=kept))
    return tuple(pieces)


def spaced(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Put a blank before what follows removed words that the text began with, for one line of all."""
    begun = lost = False
    for piece in pieces:
        if lost and not begun and piece.kind != "removed" and not piece.text[:1].isspace():
            piece = Piece(kind=piece.kind, text=f" {piece.text}")  # noqa: PLW2901 - the very same, but for the blank
        begun, lost = begun or piece.kind != "removed", lost or piece.kind == "removed"
        yield piece


def marked(pieces: Iterable[Piece]) -> str:
    """Write a comparison on one line: ``photo of [-a old-] {+the oldest+} chief``."""
    marks = {"kept": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    line = ""
    for piece in spaced(pieces):
        words = piece.text.lstrip()
        line += (" " if len(words) < len(piece.text) else "") + marks[piece.kind].format(words)
    return " ".join(line.split())


def shortened(pieces: Sequence[Piece], around: int = 30) -> tuple[Piece, ...]:
    """Shorten what was kept to about ``around`` characters next to each change, and ``…``."""
    shorter = []
    for at, piece in enumerate(pieces):
        words = split_words(piece.text)
        head = 0 if at == 0 else _fitting(words, around)
        tail = 0 if at == len(pieces) - 1 else _fitting(words[::-1], around)
        if piece.kind != "kept" or len(words) <= head + tail + 2 or len(pieces) == 1:
            shorter.append(piece)
            continue
        before, after = "".join(words[:head]).rstrip(" " + _MARKS), "".join(words[len(words) - tail :])
        dots = f"{before and ' '}…{after and ' '}"
        shorter.append(Piece(kind="kept", text=f"{before}{dots}{after.lstrip(' ' + _MARKS)}"))
    return tuple(shorter)


def _fitting(words: Sequence[str], limit: int) -> int:
    """Count the first words that have at most ``limit`` characters together; one at least."""
    length = 0
    for count, word in enumerate(words):
        length += len(word)
        if length > limit:
            return max(count, 1)
    return len(words)


def split_words(text: str) -> list[str]:
    """Split ``text`` into words and commas, each with the white space before it.

    Scripts that are written without blanks give one part a character.
    """
    return _WORD.findall(text)


def key(word: str) -> str:
    """Return what two words are compared by."""
    return word.strip()


def matches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return runs that are in both, in order: (start in old, start in new, length).

    The last has length 0, at both ends.
    """
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    tail = next((at for at in range(shorter - head) if old[-1 - at] != new[-1 - at]), shorter - head)
    inner_old, inner_new = old[head : len(old) - tail], new[head : len(new) - tail]
    found = [(0, 0, head)] if head else []
    in_new = Counter(inner_new)
    if sum(count * in_new[word] for word, count in Counter(inner_old).items()) <= _EFFORT:
        blocks = difflib.SequenceMatcher(None, inner_old, inner_new, autojunk=False).get_matching_blocks()
        found += [(head + block.a, head + block.b, block.size) for block in blocks if block.size]
    if tail:
        found.append((len(old) - tail, len(new) - tail, tail))
    return [*found, (len(old), len(new), 0)]


def common_start(texts: Sequence[Sequence[str]]) -> int:
    """Count the first words that all texts have in common."""
    count = 0
    for words in zip(*texts, strict=False):
        if len(set(words)) > 1:
            break
        count += 1
    return count


def cut(text: str, limit: int) -> str:
    """Cut ``text`` to one line of at most ``limit`` characters, between words where it can, with ``…``."""
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(mark) in ("Cc", "Cs") else mark for mark in text)
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    end = line.rfind(" ", 0, limit)
    if end < limit // 2:
        end = next((at for at in range(limit - 1, 0, -1) if _may_part(line, at)), limit - 1)
    return line[:end].rstrip(" ;" + _MARKS) + "…"


def _may_part(text: str, at: int) -> bool:
    """Say whether a text may be cut here: not inside a letter with its accents, an emoji or a flag."""
    here, before = text[at], text[at - 1]
    if unicodedata.category(here).startswith("M") or _JOINER in (here, before) or ord(here) in _SKINS:
        return False
    if ord(here) in _FLAGS:
        start = at
        while start and ord(text[start - 1]) in _FLAGS:
            start -= 1
        return (at - start) % 2 == 0
    return True
