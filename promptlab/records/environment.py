"""Records what else decides the bytes of an image: versions, device, kernels, flags."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from promptlab.specs import Scalar, canonical_json

__all__ = ["Environment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Records what else decides the bytes of an image; stored once, and runs point at it.

    Args:
        facts: flat names and values: ``torch``, ``diffusers``, ``device_name``, ``threads``, ``tf32`` …
    """

    facts: Mapping[str, Scalar]

    @property
    def hash(self) -> str:
        """Return 64 hex digits; equal facts give an equal hash."""
        return hashlib.sha256(canonical_json(dict(self.facts)).encode()).hexdigest()
