"""Shows Sphinx's roles in docstrings as plain code, :class:`Lab` as ``Lab``, for the site's Python reference."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|func|mod|attr|data|exc):`[~!]?([^`]+)`")


class DocstringRoles(griffe.Extension):
    """Rewrites each docstring as it is collected."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Take the roles off the names in the docstring of ``obj``."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)
