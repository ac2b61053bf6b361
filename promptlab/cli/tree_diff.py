"""Carries out ``promptlab tree`` and ``promptlab diff``: lineage of runs, and two compared."""

from __future__ import annotations

import json

import click

from promptlab.cli.completing import complete_refs
from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.paths import elsewhere, shown_path
from promptlab.cli.render.lineage_json import diff_json, tree_json
from promptlab.cli.render.tree import tree_lines
from promptlab.cli.render.word_diff import Terminal
from promptlab.errors import InputError

__all__ = ["diff", "tree"]

_NEWEST = 40
"""Runs and sweeps that are shown when nothing says how many."""


@click.command()
@click.argument("ref", required=False, metavar="[EXPERIMENT|RUN|last|IMAGE|sweep:N]", shell_complete=complete_refs)
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
    """Show how runs came from one another: the tree of reruns, with what changed at each step.

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
        echo(json.dumps(tree_json(found), indent=2, ensure_ascii=False))
    elif found.entries:
        echo("\n".join(tree_lines(found, Terminal.here(), there=elsewhere(lab.workspace))))
    else:
        echo('no runs yet; type: promptlab run "portrait photo of a old warrior chief" --seeds 0-7')


@click.command()
@click.argument("before", metavar="A", shell_complete=complete_refs)
@click.argument("after", metavar="B", shell_complete=complete_refs)
@click.option("--no-picture", is_flag=True, help="Words and numbers only; draw nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@workspace_options
def diff(before: str, after: str, no_picture: bool, as_json: bool, workspace: str | None) -> None:
    """Compare two runs, or two pictures: settings, words, environments, pictures of the same seed.

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
        echo(json.dumps(diff_json(found, path), indent=2, ensure_ascii=False))
        return
    lines = diff_lines(found, Terminal.here())
    echo("\n".join([*lines, *([f"side by side: {shown_path(path)}"] if path else [])]))
