"""Expands prompt templates: one text that stands for many prompts.

``{a|b||c}`` is one of its alternatives, of which one may be empty; ``{2$$, $$a|b|c}`` is any two of them, in the order
they are written; ``__age__`` and ``${age}`` are one entry of the list ``age``, at each place anew; see
:mod:`promptlab.expand.grammar`.

Invariant: a template's prompts and their order never change from one version to the next, because runs are named after
them: the leftmost choice changes slowest, as in nested loops. Work is bounded before it is begun: how many prompts, and
how long they can get, is known by multiplying.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

from promptlab.errors import InputError, ref_value
from promptlab.expand.expander import COUNTED, Expander, Lists
from promptlab.expand.gaps import Pieces, tidy
from promptlab.expand.grammar import Body, read

__all__ = ["COUNTED", "MAX_CHARACTERS", "MAX_PROMPTS", "Lists", "Template", "parse"]

MAX_PROMPTS: Final = 100_000
"""Of one expansion."""

MAX_CHARACTERS: Final = 200_000_000
"""Of one expansion, all its prompts together, each taken as long as the longest."""


def parse(text: str, *, what: str = "prompts") -> Template:
    r"""Parse the template that ``text`` is.

    ``\{ \} \| \$ \_ \\`` stand for the characters themselves; any other backslash, too. A text without ``{``, ``}``
    and ``__`` is taken exactly as it is.

    Args:
        text: any text.
        what: the field or the place in a file where it was typed, for what errors say.

    Raises:
        InputError: for what is no template; it names the column, from 1.
    """
    return Template(text=text, what=what, body=read(text, what=what))


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Holds a template that :func:`parse` has read."""

    text: str
    what: str
    body: Body

    @property
    def is_literal(self) -> bool:
        """Say whether it stands for exactly one prompt: its own text."""
        return self.body == (self.text,)

    def count(self, lists: Lists | None = None) -> int:
        """Count the prompts that :meth:`expand` would give; ``COUNTED`` for that many or more.

        Raises:
            InputError: for a list that is unknown, empty, or contains itself.
        """
        return Expander(lists).measure(self.body).count

    def expand(self, lists: Lists | None = None) -> tuple[str, ...]:
        """Return every prompt, the leftmost choice changing slowest; those that come out equal are all given.

        Raises:
            InputError: as :meth:`count`, or when there are more than ``MAX_PROMPTS``.
        """
        return tuple(tidy(pieces) for pieces in self.pieces(lists))

    def pieces(self, lists: Lists | None = None) -> tuple[Pieces, ...]:
        """Expand without tidying, so that the text around it can be tidied along."""
        expander = Expander(lists)
        size = expander.measure(self.body)
        count, longest = size.count, size.longest
        if count > MAX_PROMPTS or count * longest > MAX_CHARACTERS:
            shown = f"{count:,}" if count < COUNTED else f"{COUNTED:,} or more"
            raise InputError(
                self.what,
                self.text,
                problem=f"makes {shown} prompts of up to {longest:,} characters, too many to make all of them",
                allowed=f"{MAX_PROMPTS:,} prompts and {MAX_CHARACTERS:,} characters",
            )
        return tuple(expander.expanded(self.body))

    def sample(self, n: int, seed: int, lists: Lists | None = None) -> tuple[str, ...]:
        """Draw ``n`` different prompts by weight; the same for the same seed, in every version.

        Only ``random.Random(seed).random()`` is used: the one method whose sequence Python's documentation promises.

        Args:
            n: 1 or more, and no more than there are.
            seed: 0 or more.
            lists: see :meth:`expand`.

        Raises:
            InputError: as :meth:`count`, or when there are not ``n`` different prompts.
        """
        import random

        if n < 1:
            raise InputError("sample", n, problem="is too few", allowed="1 or more", hint=ref_value("sample", "10"))
        if seed < 0:
            raise InputError(
                "template_seed",
                seed,
                problem="is out of range",
                allowed="0 or more",
                hint=ref_value("template_seed", "0"),
            )
        expander = Expander(lists)
        size = expander.measure(self.body)
        count, longest = size.count, size.longest
        if n > min(count, MAX_PROMPTS) or n * longest > MAX_CHARACTERS:
            allowed = f"1 to {min(count, MAX_PROMPTS, MAX_CHARACTERS // max(longest, 1)):,} for this template"
            raise InputError("sample", n, problem="is too many", allowed=allowed)
        generator = random.Random(seed)  # noqa: S311  (it is to be repeatable)
        drawn: dict[str, None] = {}
        for _ in range(20 * n + 100):
            drawn[tidy(expander.drawn(self.body, generator))] = None
            if len(drawn) == n:
                return tuple(drawn)
        if count <= MAX_PROMPTS and count * longest <= MAX_CHARACTERS:  # some are all but never drawn: take the next
            drawn.update(dict.fromkeys(map(tidy, expander.expanded(self.body))))
        if len(drawn) < n:
            raise InputError("sample", n, problem="is too many", allowed=f"the {len(drawn):,} that differ")
        return tuple(itertools.islice(drawn, n))
