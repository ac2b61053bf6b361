"""Writes what commands say, with nothing in it that a terminal would obey.

Prompts, notes, names and messages come from strangers: from pictures, from files, from servers. Written as they are,
they could set the clipboard (OSC 52), clear the screen or turn the line around. They are stored as they are, and every
line goes through :func:`echo`, which shows such characters as escapes.

Invariant: no other module of this room writes lines (ruff refuses ``click.echo`` elsewhere), but for the progress bars,
whose words go through :func:`visible`, and pictures in the terminal, which are made of pixels alone.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

import click

__all__ = ["echo", "styled", "visible"]

_OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 but line ends and tabs, DEL, C1, and what overrides the direction of text (https://trojansource.codes)."""

_OURS: Final = f"\x1b{os.urandom(8).hex()}"
"""Stands for the escape character of our own styles until they are written: no text can guess it."""


def visible(text: str) -> str:
    r"""Return ``text`` with every character that a terminal obeys as an escape: ``\x1b``, ``\u202e``.

    Invariant: JSON stays JSON, and says the same: it escapes what is below 0x20 by itself, and above ``\uXXXX`` is
    JSON's own way to write it.
    """
    return _OBEYED.sub(lambda found: _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"


def styled(text: str, **style: Any) -> str:
    """Return ``text`` in colours or bold (as ``click.style`` names them), for :func:`echo` alone to write."""
    before, after = click.style("\n", **style).split("\n")
    return before.replace("\x1b", _OURS) + text + after.replace("\x1b", _OURS)


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write a line, or several, to standard output or standard error: styles as styles, all else visible."""
    shown = "\x1b".join(map(visible, text.split(_OURS)))
    click.echo(shown, err=err, nl=nl)
