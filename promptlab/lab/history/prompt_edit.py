"""Describes what a rerun does to its parent's prompts: who only holds it imports no expander."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptlab.specs import Variant

__all__ = ["PromptEdit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEdit:
    """Changes the prompts of a run.

    Args:
        prompts: in place of the parent's; several are several variants.
        append, prepend: after or before every prompt, several of them in the order given.
        replace: ``old=>new`` each, one after the other.
        negative_prompt: in place of the parent's; empty takes it away.
    """

    prompts: tuple[str, ...] = ()
    append: tuple[str, ...] = ()
    prepend: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    negative_prompt: str | None = None

    def apply(self, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        """Return the edited variants.

        Raises:
            InputError: when a text to replace is not in a prompt, or two variants come out the same.
        """
        from promptlab.expand import appended, from_prompts, labelled, prepended, replaced

        if self.prompts:
            source = (variants[0].source or 0) if len(variants) == 1 else None
            new = from_prompts(self.prompts, negative_prompt=variants[0].negative_prompt, what="prompt")
            variants = tuple(dataclasses.replace(variant, source=source) for variant in new)
        for rule in self.replace:
            variants = replaced(variants, rule)
        for text in reversed(self.prepend):
            variants = prepended(variants, text)
        for text in self.append:
            variants = appended(variants, text)
        if self.negative_prompt is not None:
            variants = tuple(dataclasses.replace(each, negative_prompt=self.negative_prompt) for each in variants)
        return labelled(variants)
