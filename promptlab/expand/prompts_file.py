"""Reads files of prompts, one a line.

Blank lines are for the eye; ``#`` is a character like any other, because prompts use it. White space around a line is
left out: it cannot be seen, and would make two equal prompts two recipes. What cannot be read is said with its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from promptlab.errors import InputError, NotFound, ref_value

__all__ = ["MAX_BYTES", "decoded", "lines_of", "read_prompts", "read_text"]

MAX_BYTES: Final = 64 * 2**20
_WHAT: Final = "prompts_file"
_HINT: Final = f"{ref_value(_WHAT, 'prompts.txt')}, one prompt a line, in UTF-8"


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """Read the prompts in a UTF-8 file, in order, lines ended in any usual way.

    Raises:
        NotFound: when there is no such file.
        InputError: for a folder, a file that cannot be read, is not UTF-8, or holds no prompt.
    """
    prompts = lines_of(read_text(path, what=_WHAT, hint=_HINT))
    if not prompts:
        raise InputError(_WHAT, str(path), problem="holds no prompt", hint=_HINT)
    return prompts


def lines_of(text: str) -> tuple[str, ...]:
    """Return the lines of ``text`` that hold something, without the white space around them."""
    return tuple(line for line in map(str.strip, text.replace("\r", "\n").split("\n")) if line)


_OPEN_ALREADY: Final = ("/dev/", "/proc/")
"""Names the folder of a shell's ``<(command)``: a pipe that somebody writes into."""


def read_text(path: str | Path, *, what: str, hint: str | None = None) -> str:
    """Read all of a UTF-8 file, with or without a byte order mark.

    Args:
        path: of at most ``MAX_BYTES``.
        what: the option or the place that named the file, for what errors say.
        hint: what to type next.

    Raises:
        NotFound: when there is no such file.
        InputError: for a folder, a file that cannot be read, is too large or not UTF-8.
    """
    shown = str(path)
    try:
        if Path(path).is_fifo() and not shown.startswith(_OPEN_ALREADY):
            raise InputError(what, shown, problem="is a pipe", allowed="a file, or - for standard input", hint=hint)
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(what, shown, hint=hint) from None
    except IsADirectoryError:
        raise InputError(what, shown, problem="is a folder", hint=hint) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(what, shown, problem=f"cannot be read ({reason})", hint=hint) from None
    if len(raw) > MAX_BYTES:
        raise InputError(what, shown, problem="is too large", allowed=f"up to {MAX_BYTES // 2**20} MiB")
    return decoded(raw, shown=shown, what=what)


def decoded(raw: bytes, *, shown: str, what: str) -> str:
    """Decode ``raw``, without a byte order mark.

    Raises:
        InputError: when it is not UTF-8, naming the byte, its line and how to make it so.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, problem = "UTF-16", "is UTF-16, not UTF-8"
    else:
        # error.start counts from behind a byte order mark
        at += 3 if raw.startswith(b"\xef\xbb\xbf") else 0
        line = raw.count(b"\n", 0, at) + 1
        encoding, problem = "ISO-8859-1", f"is not UTF-8: byte {raw[at]:#04x} in line {line}, at offset {at}"
    hint = f"iconv -f {encoding} -t UTF-8 '{shown}' > 'utf8-{Path(shown).name}'"
    raise InputError(what, shown, problem=problem, hint=hint)
