"""Renders the tree of runs: a title for each, and under it what changed from its parent. Pure.

Where a tree is deeper than the terminal has room for, it goes on below at the margin; nothing is ever squeezed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from promptlab.cli.render.layout import counted
from promptlab.cli.render.prompt_changes import rewording_lines
from promptlab.cli.render.word_diff import Terminal, filled
from promptlab.expand import show_seeds
from promptlab.expand.settings_text import change_text
from promptlab.expand.word_diff import cut
from promptlab.lab.history.lineage import Lineage, NodeKey, RunEntry, SweepEntry
from promptlab.records import RunStatus
from promptlab.specs import Variant
from promptlab.store.lineage import TreeRun

__all__ = ["tree_lines"]

_FOR_WORDS: Final = 60
"""Columns that titles and prompts are left, however deep they stand."""

_PROMPTS: Final = 3
"""Prompts of a run that are said; the others are counted."""

_BAR: Final = "│  "
_BLANK: Final = "   "


def tree_lines(tree: Lineage, terminal: Terminal, *, there: str = "") -> list[str]:
    """Return all trees, one experiment after the other.

    Args:
        there: the option that a next command needs to find the workspace.
    """
    lines = list(_image_lines(tree))
    if tree.left_out:
        lines.append(f"… {counted(tree.left_out, 'older run or sweep', 'older runs and sweeps')}: "
                     f"promptlab tree --limit 0{there}")  # fmt: skip
    for name, roots in tree.roots:
        lines += [*([""] if lines else []), terminal.bold(cut(name, terminal.width))]
        for root in roots:
            lines += _Drawing(tree, terminal, there).from_root(root)
    return lines


def _image_lines(tree: Lineage) -> Iterator[str]:
    """Yield the image that was asked for, and what it came of."""
    if not tree.image:
        return
    image = tree.image[0]
    yield f"image {image.run_id}/{image.position} (seed {image.seed}, {cut(image.label, 40)})"
    for after, before in pairwise(tree.image):
        seed = "" if before.seed == after.seed else f" (seed {before.seed})"
        yield f"  varied from {before.run_id}/{before.position}{seed}"


class _Drawing:
    """Draws one tree."""

    def __init__(self, tree: Lineage, terminal: Terminal, there: str) -> None:
        self._tree, self._terminal, self._there = tree, terminal, there
        self._deepest = max(3, (terminal.width - _FOR_WORDS) // len(_BAR))
        self._later: list[NodeKey] = []

    def from_root(self, root: NodeKey) -> Iterator[str]:
        """Yield the tree, then what was too deep for it."""
        yield from self._node(root, lead="", follow="", depth=0)
        while self._later:
            key = self._later.pop(0)
            yield f"┄ {_called(key)}, continued"
            yield from self._below(key, follow="", depth=0)

    def _node(self, key: NodeKey, *, lead: str, follow: str, depth: int) -> Iterator[str]:
        """Yield an entry and all under it: ``lead`` before its first line, ``follow`` before the others."""
        entry = self._tree.entries[key]
        root = depth == 0
        if isinstance(entry, SweepEntry):
            title, details = _sweep_title(entry), self._prompts(entry.first.variants, len(follow) + len(_BAR))
        else:
            title = _run_title(entry, root=root)
            details = self._details(entry, len(follow) + len(_BAR))
        marked = key == self._tree.marked
        more = bool(entry.children)
        bar = _BAR if more else _BLANK
        head = filled(title + (" ◀" if marked else ""), self._terminal, indent=len(follow) + len(_BAR))
        for at, line in enumerate(head):
            yield (follow + bar if at else lead) + (self._terminal.bold(line) if marked or root else line)
        yield from ((follow + bar + line).rstrip() for line in details)
        if more and depth >= self._deepest:
            yield f"{follow}└┄ goes on below"
            self._later.append(key)
        elif more:
            yield from self._below(key, follow=follow, depth=depth)

    def _below(self, key: NodeKey, *, follow: str, depth: int) -> Iterator[str]:
        entry = self._tree.entries[key]
        missing = len(entry.runs) - len(entry.children) if isinstance(entry, SweepEntry) else 0
        for at, child in enumerate(entry.children, 1):
            last = at == len(entry.children) and not missing
            corner, bar = ("└─ ", _BLANK) if last else ("├─ ", _BAR)
            yield from self._node(child, lead=follow + corner, follow=follow + bar, depth=depth + 1)
        if missing:
            yield f"{follow}└─ … and {missing:,} more: promptlab show {_called(key).replace(' ', ':')}{self._there}"

    def _details(self, entry: RunEntry, indent: int) -> list[str]:
        run = entry.run
        if entry.parent is None:
            return [] if run.sweep_id is not None else self._prompts(run.variants, indent)
        lines = []
        if entry.settings:
            said = "  ·  ".join(change_text(change) for change in entry.settings)
            lines += filled(said, self._terminal, indent=indent)
        return lines + rewording_lines(
            entry.parent.variants, run.variants, entry.pairs, self._terminal, indent=indent, brief=True
        )

    def _prompts(self, variants: tuple[Variant, ...], indent: int) -> list[str]:
        """Return the words of a run that came of no other: its template, where all came from one."""
        templates = {variant.template for variant in variants}
        texts = [variant.prompt for variant in variants]
        if len(variants) > 1 and len(templates) == 1 and (template := templates.pop()) is not None:
            texts = [template]
        lines = []
        for text in texts[:_PROMPTS]:
            lines += filled(cut(text, 400) or "(empty prompt)", self._terminal, indent=indent)
        if len(texts) > _PROMPTS:
            lines.append(f"… and {len(texts) - _PROMPTS:,} more")
        negatives = list(dict.fromkeys(variant.negative_prompt for variant in variants if variant.negative_prompt))
        if negatives:
            others = f" … and {len(negatives) - 1} more" if len(negatives) > 1 else ""
            lines += filled(cut(negatives[0], 200) + others, self._terminal, indent=indent, title="negative: ")
        return lines


def _called(key: NodeKey) -> str:
    kind, number = key
    return f"sweep {number}" if kind == "sweep" else str(number)


def _run_title(entry: RunEntry, *, root: bool) -> str:
    run, parent = entry.run, entry.parent
    parts = [str(run.id), cut(run.name or "", 40)]
    if run.origin is not None:
        program, file = run.origin
        parts.append(f"imported from {cut(program, 30)} ({cut(Path(file).name, 40)})")
    parts += [f"{field} {cut(value, 40)}" for field, value in run.sweep_values]
    if root and run.sweep_id is not None:
        parts.append(f"part of sweep {run.sweep_id}")
    if run.parent_run_id is not None:
        came = f"{run.parent_image[0]}/{run.parent_image[1]}" if run.parent_image else str(run.parent_run_id)
        elsewhere = parent is not None and parent.experiment != run.experiment
        where = f" in {cut(parent.experiment, 30)}" if elsewhere and parent is not None and root else ""
        parts.append(f"rerun of {came}{where}" + (f", in {cut(run.experiment, 30)}" if elsewhere and not root else ""))
    parts.append(_shape(run))
    if run.parent_run_id is None and run.sweep_id is None:
        parts += _setting(run)
    if run.status is not RunStatus.FINISHED or run.made < run.images:
        parts.append(f"{run.status}, {run.made:,} of {run.images:,} made")
    if run.seconds_per_image is not None:
        parts.append(f"{run.seconds_per_image:.2f} s/image")
    return " · ".join(part for part in parts if part)


def _sweep_title(entry: SweepEntry) -> str:
    sweep, first = entry.sweep, entry.first
    axes = " × ".join(" and ".join(fields) for fields in sweep.dimensions)
    came = "" if first.parent_run_id is None else f"rerun of {first.parent_run_id}"
    runs = f"{counted(len(entry.runs), 'run')} ({show_seeds(entry.runs)})"
    parts = (f"sweep {sweep.id}", cut(sweep.name or "", 40), axes, came, runs, f"{_shape(first)} each")
    return " · ".join(part for part in parts if part)


def _shape(run: TreeRun) -> str:
    seeds = f"seed{'s' * (len(run.seeds) > 1)} {cut(show_seeds(run.seeds), 30)}"
    prompts = f"{len(run.variants):,} prompts × " if len(run.variants) > 1 else ""
    return f"{counted(run.images, 'image')} ({prompts}{seeds})"


def _setting(run: TreeRun) -> Iterator[str]:
    yield cut(Path(run.model).name or run.model, 40)
    if run.vae is not None:
        yield f"VAE {cut(Path(run.vae).name or run.vae, 40)}"
    if run.scheduler is not None:
        yield run.scheduler.removesuffix("Scheduler")
    if run.num_inference_steps is not None:
        yield counted(run.num_inference_steps, "step")
    if run.dtype is not None:
        yield run.dtype
