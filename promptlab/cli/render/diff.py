"""Renders what tells two runs apart, as lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from promptlab.cli.render.layout import table
from promptlab.cli.render.prompt_changes import rewording_lines
from promptlab.cli.render.word_diff import Terminal, filled
from promptlab.expand import show_seeds
from promptlab.expand.settings_text import change_text
from promptlab.expand.word_diff import cut
from promptlab.images.comparison import ComparedRow
from promptlab.images.difference import PixelDifference
from promptlab.lab.history.compare import RunComparison
from promptlab.lab.history.rerun import RunOrImage
from promptlab.specs import Change

__all__ = ["diff_lines"]

_MOST: Final = 40
"""Pictures whose numbers are said; the others are counted."""


def diff_lines(found: RunComparison, terminal: Terminal) -> list[str]:
    """Return where settings, words, environments and pictures differ; one line, where nothing does."""
    before, after = (side.run.spec.variants for side in (found.before, found.after))
    words = rewording_lines(before, after, found.pairs, terminal, indent=2, most=_MOST)
    lines = [terminal.bold(f"{_called(found.before)} → {_called(found.after)}")]
    lines += _section("setting", _changes(found.changes, terminal))
    lines += _section("words", words)
    lines += _section("environment", _changes(found.environment, terminal))
    if not (found.changes or words or found.environment):
        lines.append("same setting, same words, same environment")
    return [*lines, "", *_pictures(found, terminal)]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _changes(changes: Sequence[Change], terminal: Terminal) -> list[str]:
    return [line for change in changes for line in filled(change_text(change), terminal, indent=2)]


def _pictures(found: RunComparison, terminal: Terminal) -> list[str]:
    if not found.pictures:
        mine, theirs = (cut(show_seeds(seeds), 40) for seeds in found.seeds)
        if any(pair.before is not None and pair.after is not None for pair in found.pairs):
            return filled(f"no seed in common ({mine} and {theirs}): no pictures to put side by side", terminal)
        return filled("no words in common: no pictures to put side by side", terminal)
    several = len({(one.before.variant, one.after.variant) for one in found.pictures}) > 1
    variants = found.after.run.spec.variants
    rows = []
    for one in found.pictures[:_MOST]:
        seeds = dict.fromkeys((one.before.seed, one.after.seed))
        label = cut(variants[one.after.variant].label or variants[one.after.variant].prompt, 28)
        rows.append((*([label] if several else []), " and ".join(map(str, seeds)), *_numbers(one)))
    first = ("VARIANT",) if several else ()
    right = frozenset(range(len(first), len(first) + 1)) | frozenset(range(len(first) + 3, len(first) + 7))
    headers = (*first, "SEED", "BEFORE", "AFTER", "PIXELS", "GREATEST", "MEAN", "PSNR", "")
    lines = table(headers, rows, right=right)
    if len(found.pictures) > _MOST:
        lines.append(f"… {len(found.pictures) - _MOST:,} more: --json has them all")
    return lines


def _numbers(one: ComparedRow) -> tuple[str, ...]:
    found = one.difference
    if found is None:
        return one.before.ref, one.after.ref, "-", "-", "-", "-", one.problem or ""
    if found.identical:
        return one.before.ref, one.after.ref, "0", "0", "0", "-", "identical"
    return (
        one.before.ref, one.after.ref, _share(found), str(found.greatest), f"{found.mean:.2f}",
        "-" if found.psnr is None else f"{found.psnr:.1f} dB", "",
    )  # fmt: skip


def _share(found: PixelDifference) -> str:
    """Return how many pixels differ, and their share of all, never rounded to all or to none."""
    percent = 100 * found.differing_pixels / found.pixels
    shown = f"{min(max(percent, 0.1), 99.9):.1f}" if found.differing_pixels < found.pixels else "100"
    return f"{found.differing_pixels:,} ({shown}%)"


def _called(side: RunOrImage) -> str:
    name = f" · {cut(side.run.name, 40)}" if side.run.name else ""
    if side.position is None:
        return f"run {side.run.id}{name}"
    return f"image {side.run.id}/{side.position}{name}"
