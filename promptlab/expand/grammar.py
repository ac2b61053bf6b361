r"""Parses prompt templates into a tree.

::

    text     = { plain | "\" special | choice | list }
    choice   = "{" [ count "$$" [ separator "$$" ] ] option { "|" option } "}"
    count    = number | [number] "-" [number]
    option   = [ weight "::" ] text
    list     = "__" name "__"  |  "${" name "}"          (a name between "__" may have blanks)
    special  = "{" | "}" | "|" | "$" | "_" | "\"

Invariant: reading is total. Any text becomes a tree or an :class:`InputError` that points at a character, in time
proportional to its length; nothing nests deeper than ``MAX_DEPTH``. A text without ``{``, ``}`` and ``__`` is no
template: it is taken as it is, backslashes included.

The syntax is that of the Dynamic Prompts extension (adieyal/sd-dynamic-prompts, ``docs/SYNTAX.md``), less its
variables, globs and comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from promptlab.errors import InputError

__all__ = ["MAX_DEPTH", "Body", "Choice", "ListName", "Node", "Option", "Place", "escape", "read", "read_entry"]

MAX_DEPTH: Final = 50
"""Braces within braces, or lists within lists. Deeper is a slip of the finger, and recursion has its limit."""

_SPECIAL: Final = "{}|$_\\"
_PLAIN: Final = re.compile(r"[^{}|$_\\]+")
_MARKS: Final = re.compile(r"[{}]|__")
_NAME: Final = re.compile(r"[^\W_](?:[\w./*-]*[^\W_]|\*)?|\*")
_BETWEEN_UNDERLINES: Final = re.compile(r"[^\W_](?:[\w ./*-]*[^\W_]|\*)?|\*")
"""Matches the name of a file, too, which may have blanks in it."""

_LONGEST_NAME: Final = 64
_COUNT: Final = re.compile(r"[ \t]*+([0-9]*+)(?:(-)([0-9]*+))?[ \t]*+\$\$")
_SEPARATOR: Final = re.compile(r"((?:\\.|[^{}|$\\])*+)\$\$", re.DOTALL)
_WEIGHT: Final = re.compile(r"[ \t]*+([0-9]++(?:\.[0-9]*+)?|\.[0-9]++)[ \t]*+::")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MAX_WEIGHT: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Names a character of a text that somebody typed.

    Args:
        what: where the text was typed: the field ``append``, ``list 'age', entry 3``.
        text: all of it.
        at: the character, from 0.
    """

    what: str
    text: str
    at: int

    def error(self, problem: str, *, allowed: str | None = None, hint: str | None = None) -> InputError:
        """Return the error that shows the text around the character, and names its column, from 1."""
        start, end = max(self.at - 24, 0), self.at + 36
        shown = ("…" if start else "") + _printable(self.text[start:end]) + ("…" if end < len(self.text) else "")
        from_here = _printable(self.text[self.at : self.at + 12])
        pointed = f"at column {self.at + 1} (from '{from_here}') {problem}"
        return InputError(self.what, shown, problem=pointed, allowed=allowed, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListName:
    """Stands for ``__age__`` or ``${age}``: any one entry of the list of that name.

    Args:
        text: as it was written, where it stands for itself when there is no such list: ``__two words__`` may be the
            name of a file with a blank in it, or words between other underlines.
    """

    name: str
    place: Place
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Stands for one alternative; its weight matters only when sampling."""

    body: Body
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Stands for ``{a|b|c}``: from ``least`` to ``most`` of the options, in the order they are written."""

    options: tuple[Option, ...]
    least: int = 1
    most: int = 1
    separator: str = ", "


Node = str | Choice | ListName
Body = tuple[Node, ...]


def read(text: str, *, what: str) -> Body:
    """Parse ``text`` into its tree.

    Raises:
        InputError: for a brace that is never closed or closes nothing, braces with one alternative only, a count or a
            weight that cannot be, or nesting beyond ``MAX_DEPTH``; it points at the character.
    """
    _must_be_text(text, what)
    if not _MARKS.search(text):
        return (text,)
    return _Reader(text, what).body(0)


def read_entry(text: str, *, what: str) -> Option:
    """Parse an entry of a list: a text that may begin with a weight, ``2::old``."""
    _must_be_text(text, what)
    reader = _Reader(text, what)
    weight = reader.weight()
    if weight is None and not _MARKS.search(text):
        return Option(body=(text,))
    return Option(body=reader.body(0), weight=weight or 1.0)


def escape(text: str) -> str:
    """Escape every special character of ``text``, so that beside any template it stands for itself."""
    return re.sub(r"[{}|$_\\]", r"\\\g<0>", text)


def _must_be_text(text: str, what: str) -> None:
    """Refuse lone surrogates: bytes of a command line that are not UTF-8, which no PNG can hold."""
    broken = _SURROGATE.search(text)
    if broken:
        raise Place(what=what, text=text, at=broken.start()).error("is not UTF-8 text")


def _printable(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


class _Reader:
    """Reads a text from left to right."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what, self.at = text, what, 0

    def place(self, at: int) -> Place:
        return Place(what=self.what, text=self.text, at=at)

    def body(self, depth: int) -> Body:
        """Read to the end, or inside braces (``depth`` above 0) to the ``|`` or ``}`` that ends an option."""
        nodes: list[Node] = []
        plain: list[str] = []
        while self.at < len(self.text):
            found = _PLAIN.match(self.text, self.at)
            if found:
                plain.append(found[0])
                self.at = found.end()
                continue
            character = self.text[self.at]
            if depth and character in "|}":
                break
            node = self.node(depth) if character in "{$_" else None
            if node is None:
                plain.append(self.character(depth))
                continue
            if plain:
                nodes.append("".join(plain))
                plain = []
            nodes.append(node)
        if plain:
            nodes.append("".join(plain))
        return tuple(nodes)

    def node(self, depth: int) -> Node | None:
        """Read the choice or the list that begins here, if one does."""
        if self.text.startswith("${", self.at):
            return self.braced_name()
        if self.text[self.at] == "{":
            return self.choice(depth + 1)
        return self.underlined_name()

    def character(self, depth: int) -> str:
        """Read one special character that stands for itself here, or after a backslash."""
        here = self.text[self.at]
        if here == "}":
            raise self.place(self.at).error("closes a brace that was not opened", hint="\\} for the character itself")
        if depth and self.text.startswith("$$", self.at):
            raise self.place(self.at).error(
                "has $$ where no count stands before it", allowed="{2$$a|b|c}", hint="\\$\\$ for the characters"
            )
        after = self.text[self.at + 1 : self.at + 2]
        if here == "\\" and after and after in _SPECIAL:
            self.at += 2
            return after
        self.at += 1
        return here

    def underlined_name(self) -> ListName | None:
        if not self.text.startswith("__", self.at):
            return None
        start = self.at + 2
        end = self.text.find("__", start, start + _LONGEST_NAME + 2)
        if end < 0 or not _BETWEEN_UNDERLINES.fullmatch(self.text, start, end):
            return None
        name = self.text[start:end]
        found = ListName(name=name, place=self.place(self.at), text=f"__{name}__" if " " in name else None)
        self.at = end + 2
        return found

    def braced_name(self) -> ListName:
        start = self.at + 2
        end = self.text.find("}", start, start + _LONGEST_NAME + 1)
        if end < 0 or not _NAME.fullmatch(self.text, start, end):
            raise self.place(self.at).error(
                "does not name a list", allowed="${name}", hint="\\$\\{ for the characters themselves"
            )
        found = ListName(name=self.text[start:end], place=self.place(self.at))
        self.at = end + 1
        return found

    def choice(self, depth: int) -> Choice:
        opened = self.place(self.at)
        if depth > MAX_DEPTH:
            raise opened.error("nests too deeply", allowed=f"up to {MAX_DEPTH} braces within each other")
        self.at += 1
        count = self.count()
        separator = self.separator() if count else None
        options: list[Option] = []
        weighted = False
        while True:
            weight = self.weight()
            weighted = weighted or weight is not None
            options.append(Option(body=self.body(depth), weight=weight or 1.0))
            if self.at >= len(self.text):
                raise opened.error("opens a brace that is never closed", hint="\\{ for the character itself")
            self.at += 1
            if self.text[self.at - 1] == "}":
                break
        if count is None:
            if len(options) == 1 and not weighted:
                raise opened.error(
                    "has one alternative only",
                    allowed="{a|b}, or {a|} for with and without",
                    hint="\\{ and \\} for the characters themselves",
                )
            return Choice(options=tuple(options))
        least, most = count
        most = len(options) if most is None else most
        if not least <= most <= len(options):
            amount = str(least) if least == most else f"{least} to {most}"
            raise opened.error(f"asks for {amount} of {len(options)} alternatives", allowed=f"1 to {len(options)}")
        return Choice(
            options=tuple(options), least=least, most=most, separator=", " if separator is None else separator
        )

    def count(self) -> tuple[int, int | None] | None:
        """Read ``2$$`` → (2, 2); ``1-2$$`` → (1, 2); ``-2$$`` → (1, 2); ``2-$$`` → (2, as many as there are)."""
        found = _COUNT.match(self.text, self.at)
        if not found or not (found[1] or found[2]):
            return None
        if max(len(found[1]), len(found[3] or "")) > 6:
            raise self.place(self.at).error("asks for too many alternatives", allowed="{2$$a|b|c}")
        self.at = found.end()
        least = int(found[1] or 1)
        if not found[2]:
            return least, least
        return least, int(found[3]) if found[3] else None

    def separator(self) -> str | None:
        found = _SEPARATOR.match(self.text, self.at)
        if not found:
            return None
        self.at = found.end()
        return re.sub(r"\\([{}|$_\\])", r"\1", found[1])

    def weight(self) -> float | None:
        found = _WEIGHT.match(self.text, self.at)
        if not found:
            return None
        weight = float(found[1])
        if not 0 < weight <= _MAX_WEIGHT:
            raise self.place(self.at).error(
                "has a weight that cannot be drawn by", allowed=f"above 0, up to {_MAX_WEIGHT:,.0f}", hint="{2::a|b}"
            )
        self.at = found.end()
        return weight
