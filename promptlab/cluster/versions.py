"""Compares the versions of what decides bytes, here and on another machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from promptlab import __version__
from promptlab.engine.machine.environment import library_versions

__all__ = ["other_versions", "versions_here"]


def versions_here() -> Mapping[str, str | None]:
    """Return the versions of what decides bytes. How torch was built is left out: that follows the device."""
    found = {name: _release(version) for name, version in library_versions().items()}
    return {"promptlab": __version__, "python": ".".join(platform.python_version_tuple()[:2]), **found}


def other_versions(there: Mapping[str, str | None]) -> str | None:
    """Return how versions differ from those here, ``torch 2.12.0 (here 2.13.0)``; None where they do not."""
    here = versions_here()
    names = dict.fromkeys([*here, *there])
    other = [f"{name} {there.get(name)} (here {here.get(name)})" for name in names if here.get(name) != there.get(name)]
    return ", ".join(other) or None


def _release(version: object) -> str | None:
    return None if version is None else str(version).partition("+")[0]
