"""A file of prompts, one a line.

Blank lines are for the eye; ``#`` is a character like any other, because prompts use it. White space around a line is
left out: it cannot be seen, and would make two equal prompts two recipes. What cannot be read is said with its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from promptlab.errors import InputError, NotFound

__all__ = ["MAX_BYTES", "read_prompts"]

MAX_BYTES: Final = 64 * 2**20
_WHAT: Final = "--prompts-file"
_HINT: Final = "--prompts-file prompts.txt, one prompt a line, in UTF-8"


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """The prompts in a UTF-8 file, in order, with or without a byte order mark, lines ended in any usual way.

    Raises:
        NotFound: when there is no such file.
        InputError: for a folder, a file that cannot be read, is not UTF-8, or holds no prompt.
    """
    shown = str(path)
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(_WHAT, shown, hint=_HINT) from None
    except IsADirectoryError:
        raise InputError(_WHAT, shown, problem="is a folder", hint=_HINT) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(_WHAT, shown, problem=f"cannot be read ({reason})", hint=_HINT) from None
    if len(raw) > MAX_BYTES:
        raise InputError(_WHAT, shown, problem="is too large", allowed=f"up to {MAX_BYTES // 2**20} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(shown, raw, error.start) from None
    prompts = tuple(line for line in map(str.strip, text.replace("\r", "\n").split("\n")) if line)
    if not prompts:
        raise InputError(_WHAT, shown, problem="holds no prompt", hint=_HINT)
    return prompts


def _not_utf8(shown: str, raw: bytes, at: int) -> InputError:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, problem = "UTF-16", "is UTF-16, not UTF-8"
    else:
        # error.start counts from behind a byte order mark
        at += 3 if raw.startswith(b"\xef\xbb\xbf") else 0
        line = raw.count(b"\n", 0, at) + 1
        encoding, problem = "ISO-8859-1", f"is not UTF-8: byte {raw[at]:#04x} in line {line}, at offset {at}"
    return InputError(_WHAT, shown, problem=problem, hint=f"iconv -f {encoding} -t UTF-8 '{shown}' > prompts.txt")
