"""``promptlab tree`` and ``promptlab diff``: how runs came from one another, and what tells two of them apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.param_types import integer
from promptlab.cli.paths import elsewhere, shown_path
from promptlab.cli.render.tree import tree_lines
from promptlab.cli.render.word_diff import Terminal
from promptlab.errors import InputError
from promptlab.expand.variant_pairs import Pair
from promptlab.expand.word_diff import word_diff
from promptlab.lab.history.lineage import Lineage, NodeKey, RunEntry, SweepEntry
from promptlab.records import plain
from promptlab.specs import Variant

if TYPE_CHECKING:
    from promptlab.lab.history.compare import RunComparison

__all__ = ["diff", "tree"]

_NEWEST = 40
"""Runs and sweeps that are shown when nothing says how many."""


@click.command()
@click.argument("ref", required=False, metavar="[EXPERIMENT|RUN|last|IMAGE|sweep:N]")
@click.option(
    "--limit",
    type=integer("--limit", "40"),
    metavar="N",
    help="The newest N runs, a sweep counting as one; 0 for all. [default: 40, or all of a run's tree]",
)
@click.option("--all", "every", is_flag=True, help="Every run of a sweep, too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@workspace_options
def tree(ref: str | None, limit: int | None, every: bool, as_json: bool, workspace: str | None) -> None:
    """How runs came from one another: the tree of reruns, with what changed at each step.

    Words that went and came stand in the prompts as [-old-] and {+new+}, or in red and green.
    Without a name: all experiments, the newest last. A run, or an image, names the tree that it is in.

    \b
    promptlab tree
    promptlab tree last
    promptlab tree warriors --all
    """
    if limit is not None and limit < 0:
        raise InputError("--limit", limit, problem="is too small", allowed="0 (for all) or more", hint="--limit 40")
    lab = open_lab(workspace)
    found = lab.history.tree(ref, limit=_NEWEST if limit is None else limit or None, every=every)
    if as_json:
        click.echo(json.dumps(_tree_json(found), indent=2, ensure_ascii=False))
    elif found.entries:
        click.echo("\n".join(tree_lines(found, Terminal.here(), there=elsewhere(lab.workspace))))
    else:
        click.echo('no runs yet; type: promptlab run "portrait photo of a old warrior chief" --seeds 0-7')


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--no-picture", is_flag=True, help="Words and numbers only; draw nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@workspace_options
def diff(before: str, after: str, no_picture: bool, as_json: bool, workspace: str | None) -> None:
    """What tells two runs, or two pictures, apart: settings, words, environments, and the pictures of the same seed.

    A and B are runs (3, last), images (3/12) or their files. The pictures are drawn side by side, the difference as a
    third column, into one PNG in the workspace's images.

    \b
    promptlab diff 1 2
    promptlab diff 3/0 3/2
    promptlab diff 2 last --no-picture
    """
    from promptlab.cli.render.diff import diff_lines
    from promptlab.lab.history.compare import draw

    lab = open_lab(workspace)
    found = lab.history.diff(before, after)
    path = None if no_picture else draw(found, lab.workspace)
    if as_json:
        click.echo(json.dumps(_diff_json(found, path), indent=2, ensure_ascii=False))
        return
    lines = diff_lines(found, Terminal.here())
    click.echo("\n".join([*lines, *([f"side by side: {shown_path(path)}"] if path else [])]))


def _diff_json(found: RunComparison, path: Path | None) -> dict[str, Any]:
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
    """Each pair of wordings; of those that stand against each other, the words that went and came."""
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


def _tree_json(tree: Lineage) -> dict[str, Any]:
    """Flat, as the tree is: runs and sweeps with the names of their children."""
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
