"""Tells what was changed from a run's parent, and which of its wordings each came of. Pure."""

from __future__ import annotations

from promptlab.plan import ResolvedSpec
from promptlab.records import RunRecord
from promptlab.specs import Variant

__all__ = ["changes_from", "source_of"]


def changes_from(parent: RunRecord, resolved: ResolvedSpec) -> list[list[object]]:
    """Return what was changed from the spec of ``parent``, as a column keeps it."""
    return [[change.field, change.before, change.after] for change in parent.spec.diff(resolved.spec)]


def source_of(variant: Variant, parent: RunRecord | None) -> int | None:
    """Return the wording of ``parent`` that ``variant`` came of: the one it names, or the only one there."""
    if variant.source is not None or parent is None:
        return variant.source
    return 0 if len(parent.variants) == 1 else None
