"""Describes what ``promptlab doctor`` finds: problem, subject, and the command that fixes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from promptlab.records import ImageRecord

__all__ = ["Finding", "FindingKind", "image_refs"]

_NAMED: Final = 4
"""Images of one finding that are named; the others are counted."""


class FindingKind(StrEnum):
    """Names what can be wrong with a workspace."""

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
    WEIGHTS = "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Describes one problem.

    Args:
        kind: what is wrong.
        subject: what it is about, as one reads and types it: ``run 3``, ``image 3/1``, ``images/00003/x.png``.
        problem: what is wrong, in a line.
        remedy: the command that fixes it; ``None`` when nothing needs to be typed or nothing helps.
        fixable: whether ``promptlab doctor --fix`` fixes it, or does what is safe towards it.
        run_id, sweep_id: the run or sweep concerned, if any.
        positions: the images concerned, by their positions in the run.
        path: the file concerned, relative to the workspace.
    """

    kind: FindingKind
    subject: str
    problem: str
    remedy: str | None = None
    fixable: bool = False
    run_id: int | None = None
    sweep_id: int | None = None
    positions: tuple[int, ...] = ()
    path: str | None = None


def image_refs(images: Sequence[ImageRecord]) -> str:
    """Name images by their refs: ``image 3/1``, or ``images 3/0, 3/1, 3/2, 3/3 and 4 more``."""
    refs = [image.ref for image in images[:_NAMED]]
    more = f" and {len(images) - _NAMED} more" if len(images) > _NAMED else ""
    return f"image {refs[0]}" if len(images) == 1 else f"images {', '.join(refs)}{more}"
