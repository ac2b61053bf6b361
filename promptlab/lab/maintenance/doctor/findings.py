"""What a checkup finds: what is wrong, with what, and the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from promptlab.records import ImageRecord

__all__ = ["Finding", "Kind", "named"]

_NAMED: Final = 4
"""Pictures of one finding that are named; the others are counted."""


class Kind(StrEnum):
    """Which of the things that are looked at is wrong."""

    DATABASE = "database"
    SCHEMA = "schema"
    ROW = "row"
    CRASHED = "crashed"
    OWED = "owed"
    MISSING = "missing"
    DAMAGED = "damaged"
    PIXELS = "pixels"
    CHUNK = "chunk"
    GRID = "grid"
    ORPHAN = "orphan"
    LEFTOVER = "leftover"
    MLFLOW = "mlflow"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Args:
        kind: see :class:`Kind`.
        subject: what it is about, as one reads and types it: ``run 3``, ``image 3/1``, ``images/00003/x.png``.
        problem: what is wrong, in a line.
        remedy: the command line that mends it; ``None`` when nothing needs to be typed or nothing helps.
        fixable: whether ``promptlab doctor --fix`` mends it, or does what is safe towards it.
        run_id, sweep_id: whose it is, when it is a run's or a sweep's.
        positions: of the run's images that are meant.
        path: of the file that is meant, relative to the workspace.
    """

    kind: Kind
    subject: str
    problem: str
    remedy: str | None = None
    fixable: bool = False
    run_id: int | None = None
    sweep_id: int | None = None
    positions: tuple[int, ...] = ()
    path: str | None = None


def named(images: Sequence[ImageRecord]) -> str:
    """``image 3/1``, or ``images 3/0, 3/1, 3/2, 3/3 and 4 more``."""
    refs = [image.ref for image in images[:_NAMED]]
    more = f" and {len(images) - _NAMED} more" if len(images) > _NAMED else ""
    return f"image {refs[0]}" if len(images) == 1 else f"images {', '.join(refs)}{more}"
