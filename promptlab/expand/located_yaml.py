"""Parses YAML into lists and mappings of texts, each of which knows its line and column.

Invariant: reading is total and bounded. Any text becomes a tree or one :class:`InputError` that names a place; nothing
is ever made of it but texts, lists, mappings and nothing: tags are refused, aliases are counted at their full size, so
that few lines cannot stand for millions. A scalar stays the text that was typed (``LocatedStr``) until someone asks
what it
means, so that ``no``, ``1:30``, ``007`` and ``2024-01-01`` are what they look like wherever words are wanted.

Which plain scalars are null, a truth value or a number is that of YAML 1.2's core schema (yaml.org/spec/1.2.2, 10.3.2),
less its octal, hexadecimal and infinite numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from promptlab.errors import InputError, one_line
from promptlab.specs import Scalar

__all__ = ["MAX_BYTES", "MAX_NODES", "LocatedList", "LocatedMapping", "LocatedStr", "Tree", "read_yaml", "where"]

MAX_BYTES: Final = 4 * 2**20
MAX_NODES: Final = 250_000
"""Of one file, every alias counted as if it were written out."""

_MAX_DEPTH: Final = 20
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE: Final = re.compile(r"[-+]?[0-9]+")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class LocatedStr(str):
    """Holds a scalar as it was typed; ``plain`` when no quotes stood around it."""

    __slots__ = ("column", "file", "line", "plain")
    file: str
    line: int
    column: int
    plain: bool

    @property
    def where(self) -> str:
        """Return ``warrior.yaml, line 3, column 8``, counted from 1."""
        return f"{self.file}, line {self.line}, column {self.column}"

    @property
    def value(self) -> Scalar:
        """Return what YAML takes it for: a truth value, a number or the text itself.

        Raises:
            InputError: for a number that is too large to be kept exactly.
        """
        text = str(self)
        if not self.plain:
            return text
        if text in _TRUTHS:
            return _TRUTHS[text]
        if not _NUMBER.fullmatch(text):
            return text
        if _WHOLE.fullmatch(text) and len(text) <= 18:
            return int(text)
        number = float(text)
        if abs(number) >= 1e18:
            raise InputError(self.where, text, problem="is too large a number", allowed="text in quotes")
        return number


class LocatedList(list[Any]):
    """Holds a list of the file."""

    __slots__ = ("word",)
    word: LocatedStr  # an empty one, at the place where the list begins


class LocatedMapping(dict[LocatedStr, Any]):
    """Holds a mapping of the file, in the order it was written."""

    __slots__ = ("word",)
    word: LocatedStr


Tree = LocatedStr | LocatedList | LocatedMapping | None


def where(value: object) -> str | None:
    """Return the place of something that was read, if it is known."""
    if isinstance(value, LocatedList | LocatedMapping):
        return value.word.where
    return value.where if isinstance(value, LocatedStr) else None


def read_yaml(text: str, *, file: str) -> Tree:
    """Parse a YAML document into its tree.

    Args:
        text: all of it.
        file: what errors call it.

    Raises:
        InputError: for what is no YAML, holds tags, repeated keys, more than one document, an alias that contains
            itself, or too much.
    """
    import yaml

    if len(text) > MAX_BYTES:
        raise InputError(file, problem="is too large", allowed=f"up to {MAX_BYTES // 2**20} MiB")
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        place = _word("", file, text.count("\n", 0, unprintable.start()), _column(text, unprintable.start()))
        raise InputError(place.where, problem=f"holds the character {unprintable[0]!a}, which no YAML may")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Reader(file, yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text, file) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible \\U escape
        raise InputError(file, problem=f"is not YAML: {one_line(error)}") from None


@dataclass(slots=True)
class _Open:
    """Holds a list or a mapping whose end has not come yet."""

    value: LocatedList | LocatedMapping
    anchor: str | None
    size: int = 1
    key: LocatedStr | None = None


class _Reader:
    """Builds the tree from events of PyYAML's parser, without recursion."""

    def __init__(self, file: str, events: Iterator[Any]) -> None:
        self._file, self._events = file, events
        self._anchors: dict[str, tuple[Tree, int]] = {}
        self._open: list[_Open] = []
        self._root: Tree = None
        self._nodes = 0

    def document(self) -> Tree:
        documents = 0
        for event in self._events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise self._error(event, "begins a second document", "one")
            elif kind == "ScalarEvent":
                self._scalar(event)
            elif kind in ("SequenceStartEvent", "MappingStartEvent"):
                self._begin(event, LocatedList() if kind == "SequenceStartEvent" else LocatedMapping())
            elif kind in ("SequenceEndEvent", "MappingEndEvent"):
                done = self._open.pop()
                self._add(event, done.value, done.size, done.anchor)
            elif kind == "AliasEvent":
                self._alias(event)
        return self._root

    def _scalar(self, event: Any) -> None:
        self._refuse_tag(event)
        word = self._word(event, event.value)
        word.plain = not event.style
        nothing = word.plain and event.value in _NULLS and not self._wants_key()
        self._add(event, None if nothing else word, 1, event.anchor)

    def _begin(self, event: Any, value: LocatedList | LocatedMapping) -> None:
        self._refuse_tag(event)
        if self._wants_key():
            raise self._error(event, "is a key that is no text", "text before the colon")
        if len(self._open) >= _MAX_DEPTH:
            raise self._error(event, "nests too deeply", f"up to {_MAX_DEPTH} levels")
        value.word = self._word(event, "")
        self._open.append(_Open(value=value, anchor=event.anchor))

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            around = any(event.anchor == each.anchor for each in self._open)
            problem = "stands inside what it names" if around else "is an alias of nothing"
            raise self._error(event, problem, "an &anchor before its *alias")
        value, size = self._anchors[event.anchor]
        if self._wants_key() and not isinstance(value, LocatedStr):
            raise self._error(event, "is a key that is no text", "text before the colon")
        self._add(event, value, size, None)

    def _add(self, event: Any, value: Tree, size: int, anchor: str | None) -> None:
        self._nodes += 1 if isinstance(value, LocatedStr) or value is None else 0
        if anchor is not None:
            self._anchors[anchor] = value, size
        if not self._open:
            self._root = value
            return
        parent = self._open[-1]
        parent.size += size
        if parent.size > MAX_NODES or self._nodes > MAX_NODES:
            raise self._error(event, "makes the file too much", f"{MAX_NODES:,} values, aliases written out")
        if isinstance(parent.value, LocatedList):
            parent.value.append(value)
        elif parent.key is None:
            parent.key = self._key(event, value, parent.value)
        else:
            parent.value[parent.key] = value
            parent.key = None

    def _key(self, event: Any, value: Tree, table: LocatedMapping) -> LocatedStr:
        key = value if isinstance(value, LocatedStr) else self._word(event, "")
        if key in table:
            first = next(each for each in table if each == key)
            raise InputError(
                self._word(event, "").where, str(key),
                problem=f"is a key that stands in line {first.line} already", allowed="each key once",
            )  # fmt: skip
        return key

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, LocatedMapping) and self._open[-1].key is None

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            raise self._error(event, f"has the tag {one_line(event.tag, limit=60)}", "no tags")

    def _word(self, event: Any, text: str) -> LocatedStr:
        return _word(text, self._file, event.start_mark.line, event.start_mark.column)

    def _error(self, event: Any, problem: str, allowed: str) -> InputError:
        return InputError(self._word(event, "").where, problem=problem, allowed=allowed)


def _word(text: str, file: str, line: int, column: int) -> LocatedStr:
    word = LocatedStr(text)
    word.file, word.line, word.column, word.plain = file, line + 1, column + 1, False
    return word


def _not_yaml(error: Any, text: str, file: str) -> InputError:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return InputError(file, problem=f"is not YAML: {one_line(error)}")
    lines = text.splitlines()
    line = lines[mark.line].strip() if mark.line < len(lines) else ""
    hint = "quotes around a text that holds a colon, #, {, [ or %" if line else None
    word = _word("", file, mark.line, mark.column)
    return InputError(word.where, line or None, problem=f"is not YAML: {one_line(error.problem)}", hint=hint)


def _column(text: str, at: int) -> int:
    return at - (text.rfind("\n", 0, at) + 1)
