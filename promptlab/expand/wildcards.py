"""Reads named lists: those in an experiment file, and ``lists/*.txt`` beside it when asked for.

Invariant: a name never leads out of the ``lists`` folder; only files that were found there have names.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from promptlab.errors import InputError
from promptlab.expand.prompts_file import lines_of, read_text

__all__ = ["MAX_FILES", "Wildcards", "read_list"]

MAX_FILES: Final = 10_000
_COMMENT: Final = re.compile(r"#(?:\s|$)")


class Wildcards(Mapping[str, tuple[str, ...]]):
    """Holds lists by name.

    Args:
        written: lists that are there already; they go before files of the same name.
        folder: where text files lie, one entry a line, named after their path without ``.txt``: ``people/age``.
    """

    def __init__(self, written: Mapping[str, tuple[str, ...]], folder: Path | None = None) -> None:
        self._written = dict(written)
        self._files = _files(folder) if folder is not None else {}

    def __getitem__(self, name: str) -> tuple[str, ...]:
        if name not in self._written:
            self._written[name] = read_list(self._files[name], what=f"list '{name}'")
        return self._written[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._written, **self._files})

    def __len__(self) -> int:
        return len({**self._written, **self._files})


def read_list(path: Path, *, what: str) -> tuple[str, ...]:
    """Read the entries of a file, one a line. Blank lines, and lines of ``#`` and a blank, mean nothing.

    A ``#`` before anything else is a character like any other: ``#f00``. That comments are there at all is the way of
    Dynamic Prompts' wildcard files.

    Raises:
        NotFound: when there is no such file.
        InputError: when it cannot be read.
    """
    return tuple(line for line in lines_of(read_text(path, what=what)) if not _COMMENT.match(line))


def _files(folder: Path) -> dict[str, Path]:
    try:
        found = list(itertools.islice(folder.rglob("*.txt"), MAX_FILES + 1))
    except OSError as error:
        raise InputError("lists", str(folder), problem=f"cannot be read ({error.strerror})") from None
    if len(found) > MAX_FILES:
        raise InputError("lists", str(folder), problem="holds too many files", allowed=f"{MAX_FILES:,}")
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(found)}
