"""Removes secrets from URLs: one may carry a password, which no error, log or row may repeat."""

from __future__ import annotations

import re

__all__ = ["redacted"]


def redacted(text: str) -> str:
    """Return a URL, or what was meant as one, without name, password, options and token.

    Invariant: it never raises, and what it cannot read it removes: everything before the last ``@``, and everything
    behind ``?`` or ``#``.
    """
    without = re.sub(r"^([\w+]+://)?.*@", r"\1***@", text.strip(), flags=re.DOTALL)
    return re.sub(r"[?#].*", "?***", without, flags=re.DOTALL)
