"""Tells models of flow matching by the names that people give their files.

Their schedulers are others (``FlowMatchEulerDiscreteScheduler``), and most programs write "Euler" for both kinds.
"""

from __future__ import annotations

import re
from typing import Final

from promptlab.images.foreign.record import cleaned

__all__ = ["FLOW_FILE", "is_flow_model"]

FLOW_FILE: Final = re.compile(
    r"flux|sd3|sd_3|stable-diffusion-3|qwen|z[-_]?image|hidream|chroma|auraflow|lumina|wan2", re.IGNORECASE
)
"""Matches names of files that hold a denoiser alone, as those families are handed on."""

_FLOW_MODEL: Final = re.compile(
    r"flux[-_. ]?[12]|sd[-_]?3|stable[-_ ]diffusion[-_ ]3|qwen[-_ ]?image|z[-_ ]image|hidream|auraflow|chroma1",
    re.IGNORECASE,
)


def is_flow_model(name: object) -> bool:
    """Return whether a checkpoint is one of flow matching, by its name.

    Stricter than of a denoiser's file: a checkpoint called "fluxmix" may be anything.
    """
    return _FLOW_MODEL.search(cleaned(name)) is not None
