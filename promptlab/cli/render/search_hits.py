"""Renders the images that a search found. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence

from promptlab.cli.output import styled, visible
from promptlab.cli.render.layout import or_dash, table
from promptlab.cli.render.word_diff import Terminal
from promptlab.errors import one_line
from promptlab.store.text_search import SearchHit

__all__ = ["hit_lines"]


def hit_lines(found: Sequence[SearchHit], words: Sequence[str], terminal: Terminal) -> Iterator[str]:
    """Yield a line for each image that was found; the words that were looked for stand out."""
    rows = [
        (
            one.ref,
            str(one.seed),
            "★" * (one.stars or 0) + ("♥" if one.favourite else ""),
            or_dash(one.scheduler and one.scheduler.removesuffix("Scheduler")),
            or_dash(one.num_inference_steps),
            one_line(visible(_context(one, words)), limit=max(40, terminal.width - 50) if sys.stdout.isatty() else 300),
        )
        for one in found
    ]
    head, *lines = table(("IMAGE", "SEED", "STARS", "SCHEDULER", "STEPS", "PROMPT"), rows, right=frozenset({1, 4}))
    yield head
    yield from (_marked(line, words) if terminal.colours else line for line in lines)


def _context(one: SearchHit, words: Sequence[str]) -> str:
    """Return the prompt, behind the other text in which a word was found that it does not have."""
    told = ""
    for name, text in (("negative", one.negative_prompt), ("template", one.template),
                       ("note", one.note), ("experiment", one.experiment)):  # fmt: skip
        if any(_at(word).search(text or "") and not _at(word).search(one.prompt) for word in words):
            told += f"[{name}: {one_line(text, limit=60)}] "
    return told + one.prompt


def _marked(line: str, words: Sequence[str]) -> str:
    """Make all words bold at once: what one word was given is no text for the next."""
    looked_for = re.compile("|".join(_at(word).pattern for word in words), re.IGNORECASE)
    return looked_for.sub(lambda found: styled(found[0], bold=True), line) if words else line


def _at(word: str) -> re.Pattern[str]:
    return re.compile((r"\b" if word[:1].isascii() and word[:1].isalnum() else "") + re.escape(word), re.IGNORECASE)
