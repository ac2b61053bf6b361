"""Compares the versions of what decides bytes, here and on another machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from promptlab import __version__

__all__ = ["other_versions", "versions_here"]

_LIBRARIES: Final = ("accelerate", "diffusers", "numpy", "scipy", "tokenizers", "torch", "torchsde", "transformers")
"""What decides bytes; see :mod:`promptlab.engine.machine.environment`."""


def versions_here() -> Mapping[str, str | None]:
    """Return the versions of what decides bytes. How torch was built is left out: that follows the device."""
    found = {name: _version(name) for name in _LIBRARIES}
    return {"promptlab": __version__, "python": ".".join(platform.python_version_tuple()[:2]), **found}


def other_versions(there: Mapping[str, str | None]) -> str | None:
    """Return how versions differ from those here, ``torch 2.12.0 (here 2.13.0)``; None where they do not."""
    here = versions_here()
    names = dict.fromkeys([*here, *there])
    other = [f"{name} {there.get(name)} (here {here.get(name)})" for name in names if here.get(name) != there.get(name)]
    return ", ".join(other) or None


def _version(name: str) -> str | None:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None
