"""Makes the rows of a grid of ``prompts``: templates, replacements, fragments, orders, a sample.

The steps go in that order, whatever order they are written in. Invariant: what was given a label keeps it as long as
its words stay; all others are labelled by what tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptlab.errors import InputError
from promptlab.expand.fields import errors_at, where_typed
from promptlab.expand.labels import labelled, numbered
from promptlab.expand.prompt_edits import distinct, replaced, room
from promptlab.expand.prompt_matrix import in_every_order, switched
from promptlab.expand.sampling import drawn, sample_prompts
from promptlab.expand.templates import Lists, Template, parse
from promptlab.specs import Variant

__all__ = ["Entry", "PromptSteps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Holds one of ``prompts``.

    Args:
        text: a template.
        negative: its own negative prompt; ``None`` takes that of the experiment.
        label: its own label; ``None`` has one made.
        recorded: in place of ``text``: a variant as a run has it, its words taken to the letter.
    """

    text: str
    negative: str | None = None
    label: str | None = None
    recorded: Variant | None = None

    @property
    def what(self) -> str:
        """Return how errors call it."""
        return where_typed(self.text, "prompts")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSteps:
    """Holds what is done to all prompts alike, and does it.

    Args:
        replace: ``old=>new`` each, one after the other.
        fragments: switched on and off behind the prompt, in every combination.
        order: parts of the prompt that are put in every order; none leaves it; ``None`` takes what is between commas.
        sample: how many variants are drawn; ``None`` takes all.
        sample_what: where that was said.
        template_seed: what they are drawn with.
        lists: named lists.
    """

    replace: tuple[str, ...] = ()
    fragments: tuple[str, ...] = ()
    order: tuple[str, ...] | None = ()
    sample: int | None = None
    sample_what: str = "sample"
    template_seed: int = 0
    lists: Lists | None = None

    def variants(self, entries: Sequence[Entry], *, negative: str = "") -> tuple[Variant, ...]:
        """Make the variants that ``entries`` stand for.

        Raises:
            InputError: for what is no template, words that are not there, a prompt that comes up twice, too many.
        """
        if not entries:
            return ()
        variants = self._first(entries, negative)
        given = [variant for variant, entry in zip(*variants, strict=True) if entry.label is not None]
        rows = variants[0]
        for rule in self.replace:
            with errors_at(where_typed(rule, "replace")):
                rows = replaced(rows, rule, lists=self.lists)
        rows = switched(rows, self.fragments, lists=self.lists)
        if self.order is None or self.order:
            what = where_typed(self.order[0], "order") if self.order else "order"
            rows = in_every_order(rows, self.order, what=what)
        if self.sample is not None:
            rows = drawn(rows, self.sample, self.template_seed, what=self.sample_what)
        return _labelled(rows, {id(variant) for variant in given})

    def _first(self, entries: Sequence[Entry], negative: str) -> tuple[tuple[Variant, ...], tuple[Entry, ...]]:
        """Make the variants of all entries, before anything is done to them; with the entry of each."""
        templates: list[Template] = []
        total = 0
        for entry in entries:
            if entry.recorded is None:
                templates.append(parse(str(entry.text), what=entry.what))
                count = 1
                if not templates[-1].is_literal:
                    with errors_at(entry.what):
                        count = templates[-1].count(self.lists)
                total += count
                if self.sample is None:
                    room(total, entry.what)
                if count > 1 and entry.label is not None:
                    problem = f"labels {count:,} prompts alike"
                    raise InputError(
                        where_typed(entry.label, "label"), str(entry.label), problem=problem, allowed="one"
                    )
        made = iter(self._prompts(templates, entries))
        shown = iter([None if template.is_literal else template.text for template in templates])
        variants: list[Variant] = []
        owners: list[Entry] = []
        for entry in entries:
            own = negative if entry.negative is None else str(entry.negative)
            label = str(entry.label or "")
            if entry.recorded is not None:
                variants.append(replace(entry.recorded, negative_prompt=own, label=label))
            else:
                template = next(shown)
                variants += [
                    Variant(prompt=prompt, negative_prompt=own, label=label, template=template) for prompt in next(made)
                ]
            owners += [entry] * (len(variants) - len(owners))
        words = {(variant.prompt, variant.negative_prompt) for variant in variants}
        if len(words) < len(variants) and templates:  # what a run has recorded is taken as it is
            distinct(variants, _second(variants, owners))
        return tuple(variants), tuple(owners)

    def _prompts(self, templates: Sequence[Template], entries: Sequence[Entry]) -> Sequence[tuple[str, ...]]:
        if self.sample is not None and len(templates) == len(entries):
            with errors_at(self.sample_what):
                return sample_prompts(templates, self.sample, self.template_seed, self.lists)
        made: list[tuple[str, ...]] = []
        for template in templates:
            if template.is_literal:
                made.append((template.text,))
                continue
            with errors_at(template.what):
                made.append(template.expand(self.lists))
        return made


def _second(variants: Sequence[Variant], owners: Sequence[Entry]) -> str:
    """Return the entry that says again what one before it said; any, where none does."""
    seen: set[tuple[str, str]] = set()
    for variant, owner in zip(variants, owners, strict=True):
        words = variant.prompt, variant.negative_prompt
        if words in seen:
            return owner.what
        seen.add(words)
    return owners[-1].what if owners else "prompts"


def _labelled(rows: tuple[Variant, ...], given: set[int]) -> tuple[Variant, ...]:
    """Label all but those in ``given`` (by identity), which keep theirs; no two are the same."""
    made = labelled(rows)
    if not given:
        return made
    kept = [row.label for row in rows if id(row) in given]
    fresh = iter(numbered([*(label or "-" for label in kept), *(row.label for row in made)])[len(kept) :])
    return tuple(row if id(row) in given else replace(row, label=label) for row, label in zip(rows, fresh, strict=True))
