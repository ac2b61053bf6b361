"""Changes one line of a defaults file, and leaves all other lines as they are, comments included.

Invariant: a text that is given back means what the old one meant, but for the one key; where a line cannot be changed
so, the file is left to its owner's editor.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from promptlab.errors import InputError, one_line

__all__ = ["changed_text", "toml_value"]

_TABLE: Final = re.compile(r"\s*\[")
_KEY: Final = re.compile(r"""\s*(?:"(?P<quoted>[^"\\]*)"|'(?P<literal>[^']*)'|(?P<bare>[A-Za-z0-9_-]+))\s*=\s*""")
_VALUE: Final = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s#"'\[{]+)""")


def changed_text(text: str, names: frozenset[str], line: tuple[str, str] | None, *, shown: str) -> str:
    """Return the text of a defaults file with one key set, or taken out.

    Args:
        text: TOML.
        names: every name that the key goes by.
        line: key and value, as TOML; ``None`` takes it out.
        shown: what errors call the file.

    Raises:
        InputError: when the text is no TOML, or the key stands there in a way that only its owner can change.
    """
    before = _read(text, shown)
    lines = text.splitlines(keepends=True)
    top = next((at for at, each in enumerate(lines) if _TABLE.match(each)), len(lines))
    at = next((at for at, each in enumerate(lines[:top]) if _key(each) in names), None)
    if at is not None:
        lines[at : at + 1] = [] if line is None else [_replaced(lines[at], line)]
    elif line is not None:
        while top and not lines[top - 1].strip():
            top -= 1
        if top and not lines[top - 1].endswith("\n"):
            lines[top - 1] += "\n"
        end = ["\n"] if top < len(lines) and lines[top].strip() else []  # a table's header stands apart
        lines[top:top] = [f"{line[0]} = {line[1]}\n", *end]
    made = "".join(lines)
    wanted = {key: value for key, value in before.items() if key not in names}
    found = {key: value for key, value in _reread(made).items() if key not in names}
    told = [value for key, value in _reread(made).items() if key in names]
    meant = [] if line is None else [*_reread(f"x = {line[1]}").values()]
    if found != wanted or told != meant:
        name = min(names) if line is None else line[0]
        problem = "stands there in a way that only an editor can change"
        raise InputError(f"{shown}: {name}", problem=problem, allowed="one line above the first [table]: name = value")
    return made


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it: a number, true or false, or a text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _replaced(old: str, line: tuple[str, str]) -> str:
    """Return ``old`` with another value; what stands behind it, and its key as it was typed, stay."""
    key = _KEY.match(old)
    value = None if key is None else _VALUE.match(old, key.end())
    if key is None or value is None:
        return old
    return old[: key.end()] + line[1] + old[value.end() :]


def _key(line: str) -> str | None:
    found = _KEY.match(line)
    return found and (found["bare"] or found["quoted"] or found["literal"])


def _read(text: str, shown: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(shown, problem=f"is no TOML: {one_line(error, limit=120)}", allowed="steps = 30") from None


def _reread(text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}
