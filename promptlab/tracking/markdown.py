"""Writes text for MLflow's descriptions: what a user typed stays text, whatever signs it holds.

MLflow turns Markdown into HTML with showdown in its GitHub flavour (``@names``, ``:emoji:`` and bare addresses become
links and images too) and then drops what is not allowed. Character references survive both and mean nothing to
either, so every sign that could mean something is written as one.
"""

from __future__ import annotations

import re

from promptlab.expand.word_diff import matches

__all__ = ["cut_at", "escaped", "quoted", "word_changes"]

_SIGNS = re.compile(r"""[^\w\s,'’()]|_""")


def escaped(text: str, *, limit: int = 100_000) -> str:
    """Escape ``text`` for Markdown and HTML, lines kept; at most ``limit`` characters, then ``…``."""
    pieces: list[str] = []
    room = limit
    for sign in text.strip():
        piece = f"&#{ord(sign)};" if sign.isascii() and _SIGNS.match(sign) else sign
        room -= len(piece)
        if room < 1:
            pieces.append("…")
            break
        pieces.append(piece)
    # A blank line would end a quotation, and four blanks would begin a code block.
    lines = (line.strip() for line in re.sub(r"[ \t]+", " ", "".join(pieces)).split("\n"))
    return "\n".join(line for line in lines if line)


def quoted(title: str, text: str, *, limit: int) -> str:
    """Quote what a user typed, under a title."""
    return f"**{title}**\n\n> {escaped(text, limit=limit)}"


def cut_at(text: str, limit: int, *, at: str = "") -> str:
    """Cut ``text`` at ``limit`` characters, ``…`` for the rest, behind the last ``at`` if given."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 2 - len(at)]
    return (kept.rpartition(at)[0] if at else kept) + at + "…"


def word_changes(before: str, after: str, *, limit: int = 100_000) -> str:
    """Return ``after`` with new words bold and lost ones struck through; if too long, as plain text.

    Words and signs are compared one by one, so that a comma after a word leaves the word what it was. As HTML, because
    Markdown's own marks depend on the blanks around them.
    """
    if len(before) + len(after) > 2 * limit:  # with its marks it would not fit either
        return escaped(after, limit=limit)
    old, new = _pieces(before), _pieces(after)
    shown: list[str] = []
    done_old = done_new = 0
    for start_old, start_new, length in matches(old, new):
        lost, found = "".join(old[done_old:start_old]), "".join(new[done_new:start_new])
        between = " " if lost and found and not found.startswith(" ") else ""
        done_old, done_new = start_old + length, start_new + length
        shown += (_marked("del", lost), between, _marked("b", found), _text("".join(new[start_new:done_new])))
    line = "".join(shown).strip()
    return line if len(line) <= limit else escaped(after, limit=limit)


def _pieces(text: str) -> list[str]:
    """Split into words and single signs, each with the blank before it."""
    return re.findall(r" ?\w+| ?[^\w\s]", " ".join(text.split()))


def _marked(tag: str, text: str) -> str:
    return f"{' ' * text.startswith(' ')}<{tag}>{escaped(text)}</{tag}>" if text else ""


def _text(text: str) -> str:
    """Return one line, escaped, with the blank before it kept."""
    return " " * text.startswith(" ") + escaped(text)
