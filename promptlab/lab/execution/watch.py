"""Watches nothing: apart from the events, so that who only looks something up imports none."""

from __future__ import annotations

__all__ = ["unwatched"]


def unwatched(_event: object) -> None:
    """Ignore an event."""
