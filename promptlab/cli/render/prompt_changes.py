"""Renders how the wordings of one run became those of another.

Many wordings are said in few lines: once, where all changed alike; by the words that were replaced, where these were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from promptlab.cli.render.layout import shown_width
from promptlab.cli.render.word_diff import Terminal, changed_words, filled
from promptlab.errors import InputError
from promptlab.expand.prompt_edits import replacements
from promptlab.expand.variant_pairs import Pair
from promptlab.expand.word_diff import cut, word_diff
from promptlab.specs import Variant

__all__ = ["rewording_lines"]

_MOST: Final = 6
"""Wordings that are said one by one; the others are counted."""

_LABEL: Final = 28

Changed = list[tuple[Variant, Variant]]


def rewording_lines(
    before: Sequence[Variant],
    after: Sequence[Variant],
    pairs: Sequence[Pair],
    terminal: Terminal,
    *,
    indent: int = 0,
    brief: bool = False,
    most: int = _MOST,
) -> list[str]:
    """Return how the wordings ``before`` became those ``after``; nothing, where they stayed.

    Args:
        brief: of what stayed only the words next to a change.
        most: wordings that are said one by one.
    """
    both = [(before[p.before], after[p.after]) for p in pairs if p.before is not None and p.after is not None]
    new = [after[p.after] for p in pairs if p.before is None and p.after is not None]
    lost = [before[p.before] for p in pairs if p.after is None and p.before is not None]
    lines: list[str] = []
    if new or any(old.prompt != now.prompt for old, now in both):
        if len(both) == 1 and not new:
            (old, now), *_ = both
            lines += changed_words(old.prompt, now.prompt, terminal, indent=indent, title="prompt: ", brief=brief)
        elif not new and len({_changed(old.prompt, now.prompt) for old, now in both}) == 1:
            title = f"all {len(both)} prompts: "
            old, now = both[0]
            lines += changed_words(old.prompt, now.prompt, terminal, indent=indent, title=title, brief=brief)
        else:
            lines += _one_by_one(before, both, new, terminal, indent=indent, brief=brief, most=most)
    if lost:
        shown = ", ".join(_named(variant) for variant in lost[:most])
        others = f" … and {len(lost) - most:,} more" if len(lost) > most else ""
        lines += filled(shown + others, terminal, indent=indent, title="left out: ")
    return lines + _negatives(both, terminal, indent=indent, brief=brief)


def _one_by_one(
    before: Sequence[Variant],
    both: Changed,
    new: Sequence[Variant],
    terminal: Terminal,
    *,
    indent: int,
    brief: bool,
    most: int,
) -> list[str]:
    """Return a heading, and a line or more for each wording."""
    after = [*(now for _, now in both), *new]
    lines = filled(_heading(before, both, after), terminal, indent=indent, title="prompts: ")
    limit = max(10, min(_LABEL, (terminal.width - indent) // 3))
    width = max(shown_width(_named(variant, limit)) for variant in after[:most])
    for place, now in enumerate(after[:most]):
        name = _named(now, limit)
        title = f"  {name}:{' ' * (width - shown_width(name))} "
        if place >= len(both):
            lines += filled(cut(now.prompt, 200), terminal, indent=indent, title=f"{title}new: ")
        elif both[place][0].prompt == now.prompt:
            lines += filled("as it was", terminal, indent=indent, title=title)
        else:
            old = both[place][0].prompt
            lines += changed_words(old, now.prompt, terminal, indent=indent, title=title, brief=brief)
    if len(after) > most:
        lines.append(f"  … and {len(after) - most:,} more")
    return lines


def _heading(before: Sequence[Variant], both: Changed, after: Sequence[Variant]) -> str:
    """Return ``a old => the oldest | a young`` where no more was done, else how many changed."""
    rules = [_replacements(variant) for variant in after]
    if all(len(rule) == 1 for rule in rules) and len({rule[0][0] for rule in rules}) == 1:
        shown = [cut(rule[0][1], 30) or "(nothing)" for rule in rules[:_MOST]]
        return f"{cut(rules[0][0][0], 40)} => {' | '.join(shown)}" + (" | …" if len(rules) > _MOST else "")
    if len(before) != len(after):
        return f"{len(before):,} → {len(after):,}"
    return f"{sum(old.prompt != now.prompt for old, now in both):,} of {len(after):,} changed"


def _replacements(variant: Variant) -> tuple[tuple[str, str], ...]:
    try:
        return replacements(variant)
    except InputError:  # a note of another program's
        return ()


def _negatives(both: Changed, terminal: Terminal, *, indent: int, brief: bool) -> list[str]:
    changed = dict.fromkeys(
        (old.negative_prompt, now.negative_prompt) for old, now in both if old.negative_prompt != now.negative_prompt
    )
    lines = []
    for old, new in list(changed)[:2]:
        lines += changed_words(old, new, terminal, indent=indent, title="negative: ", brief=brief)
    return lines + ([f"  … and {len(changed) - 2:,} more"] if len(changed) > 2 else [])


def _changed(old: str, new: str) -> tuple[tuple[str, str], ...]:
    """Return the words that went and came; equal ones are one change."""
    return tuple((piece.kind, piece.text.strip()) for piece in word_diff(old, new) if piece.kind != "kept")


def _named(variant: Variant, limit: int = _LABEL) -> str:
    """Return a wording's label, in at most ``limit`` columns."""
    name = cut(variant.label or variant.prompt, limit) or "(empty)"
    return name if shown_width(name) <= limit else cut(name, limit // 2)
