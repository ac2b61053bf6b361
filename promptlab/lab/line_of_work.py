"""Names the line of work of runs that are given none: whoever asks a server imports no lab for it."""

from __future__ import annotations

from typing import Final

__all__ = ["DEFAULT_EXPERIMENT"]

DEFAULT_EXPERIMENT: Final = "promptlab"
