"""Changes prompts: appends, prepends, replaces; and keeps where each wording comes from.

Every verb takes variants and gives variants; the text it puts in is a template, and each of its prompts gives one
variant more. Invariants: what cannot be done is found before any work; no two variants of one run have the same words;
and a variant keeps ``source``, the place in the parent's run of the variant it goes back to, however many verbs lie
between.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from promptlab.errors import InputError, one_line, ref_value
from promptlab.expand.gaps import Pieces, gap, is_blank, merge, tidy
from promptlab.expand.grammar import escape
from promptlab.expand.templates import MAX_CHARACTERS, MAX_PROMPTS, Lists, parse
from promptlab.specs import Variant

__all__ = [
    "appended",
    "distinct",
    "from_prompts",
    "inherited",
    "prepended",
    "replaced",
    "replacements",
    "room",
    "space",
]

_ARROW: Final = re.compile(r"(?<!\\)=>")
_LONGEST: Final = 1_000_000
"""Characters of a prompt that a replacement makes."""

_FORM: Final = ref_value("replace", "old words=>new words")


def from_prompts(
    prompts: Iterable[str], *, negative_prompt: str = "", what: str = "prompts", lists: Lists | None = None
) -> tuple[Variant, ...]:
    """Make the variants that ``prompts`` stand for, each of them a template.

    Raises:
        InputError: for what is no template, or a prompt that comes up twice.
    """
    made: list[Variant] = []
    for text in prompts:
        template = parse(text, what=what)
        room(len(made) + template.count(lists), what)
        expanded = template.expand(lists)
        shown = None if expanded == (text,) else text
        made += [Variant(prompt=prompt, negative_prompt=negative_prompt, template=shown) for prompt in expanded]
    return distinct(made, what)


def inherited(variants: Sequence[Variant], *, only: int | None = None) -> tuple[Variant, ...]:
    """Return a parent's variants as a rerun begins with them: each points at the place it came from.

    Args:
        variants: all of the parent's.
        only: the place of the one that is kept; ``None`` keeps all.
    """
    return tuple(
        replace(variant, source=place, replacement=None)
        for place, variant in enumerate(variants)
        if only is None or place == only
    )


def appended(
    variants: Sequence[Variant], text: str, *, what: str = "append", lists: Lists | None = None
) -> tuple[Variant, ...]:
    """Put ``text`` behind every prompt, to the letter: a blank or comma between them is its own.

    Raises:
        InputError: as :func:`from_prompts`.
    """
    return _extended(variants, text, what, lists, behind=True)


def prepended(
    variants: Sequence[Variant], text: str, *, what: str = "prepend", lists: Lists | None = None
) -> tuple[Variant, ...]:
    """Put ``text`` before every prompt, to the letter.

    Raises:
        InputError: as :func:`from_prompts`.
    """
    return _extended(variants, text, what, lists, behind=False)


def replaced(variants: Sequence[Variant], text: str, *, lists: Lists | None = None) -> tuple[Variant, ...]:
    r"""Take the old words of ``"old=>new"`` out of every prompt and put the new ones in.

    The new words are a template: ``a old=>{the oldest|a old||a young}`` gives four variants each. The old ones are
    plain text, found letter by letter, and all of them are replaced, as by A1111's Prompt S/R; but where they stand as
    words of their own in a prompt, only there, so that ``a=>the`` leaves "portrait" alone. One blank on both sides of
    the arrow belongs to the arrow; ``\=>`` is no arrow.

    Raises:
        InputError: when there is no arrow, nothing before it, or some prompt does not have the old words.
    """
    old, new = _sides(text)
    missing = [variant for variant in variants if old not in variant.prompt]
    if missing:
        raise _not_there(old, new, missing, len(variants))
    template = parse(new, what="replace")
    fillings = [gap("".join(filling)) if is_blank(filling) else filling for filling in template.pieces(lists)]
    room(len(variants) * len(fillings), "replace")
    made: list[Variant] = []
    split = [_split(variant.prompt, old) for variant in variants]
    longest = max((sum(map(len, filling)) for filling in fillings), default=0)
    lengths = [len(each.prompt) + len(around) * longest for each, around in zip(variants, split, strict=True)]
    if max(lengths, default=0) > _LONGEST:  # rules that double a word, one after the other, soon reach any length
        problem = f"makes a prompt of up to {max(lengths):,} characters, too long"
        raise InputError("replace", one_line(text, limit=120), problem=problem, allowed=f"{_LONGEST:,}")
    space(sum(lengths) * len(fillings), "replace")
    for variant, around in zip(variants, split, strict=True):
        shown = None if template.is_literal else new.join(map(escape, around))
        for filling in fillings:
            parts: list[Pieces] = [(around[0],)]
            for following in around[1:]:
                parts += (filling, (following,))
            step = f"{_on_one_line(old).replace('=>', chr(92) + '=>')}=>{_on_one_line(tidy(filling))}"
            made.append(
                replace(
                    variant,
                    prompt=tidy(merge(parts)),
                    label="",
                    template=shown,
                    replacement=step if variant.replacement is None else f"{variant.replacement}\n{step}",
                )
            )
    return distinct(made, "replace")


def replacements(variant: Variant) -> tuple[tuple[str, str], ...]:
    """Return what :func:`replaced` noted: (old, new) for each replacement, in the order they were applied."""
    return tuple(_sides(line) for line in (variant.replacement or "").split("\n") if _ARROW.search(line))


def _sides(text: str) -> tuple[str, str]:
    arrow = _ARROW.search(text)
    if arrow is None:
        raise InputError("replace", text, problem="has no => between old and new words", hint=_FORM)
    old, new = text[: arrow.start()], text[arrow.end() :]
    if old.endswith(" ") and new.startswith(" ") and old.strip():
        old, new = old[:-1], new[1:]
    old = old.replace("\\=>", "=>")
    if not old:
        raise InputError("replace", text, problem="has no old words before the =>", hint=_FORM)
    return old, new


def _split(prompt: str, old: str) -> list[str]:
    """Split ``prompt`` at each ``old``: where it is words of its own, if it ever is so."""
    parts: list[str] = []
    start = 0
    at = prompt.find(old)
    while at >= 0:
        end = at + len(old)
        if not (at and _joined(prompt[at - 1], old[0])) and not (end < len(prompt) and _joined(old[-1], prompt[end])):
            parts.append(prompt[start:at])
            start = end
            at = prompt.find(old, end)
        else:
            at = prompt.find(old, at + 1)
    return [*parts, prompt[start:]] if parts else prompt.split(old)


def _joined(left: str, right: str) -> bool:
    """Say whether two neighbours are inside one word. Only scripts with capitals separate all words."""
    return all(character.isdigit() or character.upper() != character.lower() for character in (left, right))


def _extended(
    variants: Sequence[Variant], text: str, what: str, lists: Lists | None, *, behind: bool
) -> tuple[Variant, ...]:
    template = parse(text, what=what)
    additions = template.pieces(lists)
    room(len(variants) * len(additions), what)
    own_length, added = sum(len(variant.prompt) for variant in variants), sum(sum(map(len, each)) for each in additions)
    space(own_length * len(additions) + added * len(variants) + len(text) * len(variants), what)
    made: list[Variant] = []
    for variant in variants:
        own = escape(variant.prompt)
        shown = None if template.is_literal else own + text if behind else text + own
        for addition in additions:
            prompt: Pieces = (variant.prompt,)
            if "".join(addition):  # else it is exactly the prompt it was, blanks at its end included
                prompt = merge((prompt, addition) if behind else (addition, prompt))
            made.append(replace(variant, prompt=tidy(prompt), label="", template=shown))
    return distinct(made, what)


def room(count: int, what: str) -> None:
    """Refuse more than ``MAX_PROMPTS`` variants, before they are made."""
    if count > MAX_PROMPTS:
        raise InputError(what, problem=f"makes {count:,} variants, too many", allowed=f"{MAX_PROMPTS:,}")


def space(characters: int, what: str) -> None:
    """Refuse prompts of more than ``MAX_CHARACTERS`` together, before they are made."""
    if characters > MAX_CHARACTERS:
        problem = f"makes prompts of {characters:,} characters together, too many"
        raise InputError(what, problem=problem, allowed=f"{MAX_CHARACTERS:,}")


def distinct(variants: Sequence[Variant], what: str) -> tuple[Variant, ...]:
    """Return ``variants``; refuse two with the same words: the grid would show one row twice.

    Raises:
        InputError: when two have.
    """
    first: dict[tuple[str, str], int] = {}
    for place, variant in enumerate(variants):
        words = (variant.prompt, variant.negative_prompt)
        if words in first:
            raise InputError(
                what,
                problem=f"gives the prompt '{one_line(variant.prompt, limit=120)}' twice, as variants "
                f"{first[words] + 1} and {place + 1}",
                allowed="each prompt once",
            )
        first[words] = place
    return tuple(variants)


def _not_there(old: str, new: str, missing: Sequence[Variant], count: int) -> InputError:
    near = _nearest(old, missing[0].prompt)
    of = "the prompt" if count == 1 else f"{len(missing)} of {count} prompts, such as"
    problem = f"is not in {of} '{one_line(missing[0].prompt, limit=200)}'"
    if near is not None:
        problem += f" (did you mean '{near}'?)"
    return InputError(
        "replace", old, problem=problem, hint=ref_value("replace", f"{near or 'old words'}=>{_on_one_line(new)}")
    )


def _nearest(old: str, prompt: str) -> str | None:
    """Return the words of ``prompt``, as many as ``old`` has, that look most like it."""
    words = [word.strip(",") for word in prompt.split()][:500]
    size = max(len(old.split()), 1)
    runs = {" ".join(words[at : at + size]): None for at in range(max(len(words) - size + 1, 0))}
    runs = {run: None for run in runs if run in prompt}
    folded = {run.lower(): run for run in runs}
    near = difflib.get_close_matches(old.strip().lower()[:200], folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def _on_one_line(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text)
