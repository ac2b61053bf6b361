"""Holds the browser code that report and page share: zoom, comparison, votes, word marks.

It is a handful of ES modules and two style sheets, without a library and without a build step. The page's server hands
them out as they are; the report, which is one file and may load nothing, has them in its own script. There all modules
share one scope, so no two of them may use one name at their top.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Final

__all__ = ["MODULES", "STYLES", "asset", "inlined", "style"]

MODULES: Final = ("elements.js", "words.js", "stage.js", "compare.js", "dialog.js", "vote.js")
"""In the order in which each imports only from those before it."""

STYLES: Final = ("base.css", "viewer.css")

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./[a-z_]+\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?function |const |let )", re.MULTILINE)


def asset(name: str) -> bytes | None:
    """Return a module or a style sheet by its file name, or None."""
    return _text(name).encode() if name in MODULES or name in STYLES else None


@lru_cache(maxsize=1)
def inlined() -> str:
    """Return all modules as one script, for a file that may load nothing: without imports and exports."""
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _text(name))) for name in MODULES)


def style() -> str:
    """Return all style sheets as one."""
    return "".join(map(_text, STYLES))


@lru_cache(maxsize=16)
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
