"""Renders trees of runs and comparisons of two as values for JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlab.expand.variant_pairs import Pair
from promptlab.expand.word_diff import word_diff
from promptlab.lab.history.lineage import Lineage, NodeKey, RunEntry, SweepEntry
from promptlab.records import plain
from promptlab.specs import Variant

if TYPE_CHECKING:
    from promptlab.lab.history.compare import RunComparison

__all__ = ["diff_json", "tree_json"]


def diff_json(found: RunComparison, path: Path | None) -> dict[str, Any]:
    """Return a comparison of two runs or images, and where their images were drawn side by side."""
    before, after = (side.run.spec.variants for side in (found.before, found.after))
    return {
        "before": {"run": found.before.run.id, "position": found.before.position},
        "after": {"run": found.after.run.id, "position": found.after.position},
        "changes": plain(found.changes),
        "environment": plain(found.environment),
        "words": _words_json(before, after, found.pairs),
        "pictures": [
            {
                "before": one.before.ref,
                "after": one.after.ref,
                "seeds": [one.before.seed, one.after.seed],
                "difference": plain(one.difference),
                "problem": one.problem,
            }
            for one in found.pictures
        ],
        "picture": None if path is None else str(path),
    }


def _words_json(before: Sequence[Variant], after: Sequence[Variant], pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Return each pair of wordings; of two that face each other, the words that went and came."""
    told = []
    for pair in pairs:
        old = None if pair.before is None else before[pair.before]
        new = None if pair.after is None else after[pair.after]
        words: dict[str, Any] = {"before": pair.before, "after": pair.after}
        if old is not None and new is not None:
            words["prompt"] = plain(word_diff(old.prompt, new.prompt))
            words["negative_prompt"] = plain(word_diff(old.negative_prompt, new.negative_prompt))
        told.append(words)
    return told


def tree_json(tree: Lineage) -> dict[str, Any]:
    """Return the tree flat: runs and sweeps with the names of their children."""
    runs = [_run_json(entry) for entry in tree.entries.values() if isinstance(entry, RunEntry)]
    sweeps = [
        {**plain(entry.sweep), "runs": list(entry.runs), "children": _names(entry.children)}
        for entry in tree.entries.values()
        if isinstance(entry, SweepEntry)
    ]
    return {
        "experiments": [{"name": name, "roots": _names(roots)} for name, roots in tree.roots],
        "runs": runs,
        "sweeps": sweeps,
        "left_out": tree.left_out,
        "marked": None if tree.marked is None else _names((tree.marked,))[0],
        "image": plain(tree.image),
    }


def _run_json(entry: RunEntry) -> dict[str, Any]:
    run, parent = entry.run, entry.parent
    words = _words_json(parent.variants if parent else (), run.variants, entry.pairs)
    return {**plain(run), "words": words, "children": _names(entry.children)}


def _names(keys: tuple[NodeKey, ...]) -> list[dict[str, int]]:
    return [{kind: number} for kind, number in keys]
