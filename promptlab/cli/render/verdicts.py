"""Renders what came of making images again and comparing them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from promptlab.cli.render.layout import counted
from promptlab.cli.render.text import verification_line
from promptlab.records import Outcome

if TYPE_CHECKING:
    from promptlab.lab.maintenance.verify import Verdict

__all__ = ["verdict_lines"]


def verdict_lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield exact ones counted by run, all others one by one with what they share; then the sum."""
    for run_id, group in groupby(verdicts, key=lambda verdict: verdict.run_id):
        ours = list(group)
        exact = [one for one in ours if one.verification and one.verification.outcome is Outcome.EXACT]
        if run_id is not None and exact:
            yield f"run {run_id}: {len(exact)} of {counted(len(ours), 'picture')} exact"
        for one in ours:
            if run_id is None or one not in exact:
                found = one.verification
                yield f"  {one.ref}  " + (verification_line(found) if found else f"not made again: {one.problem}")
        yield from _causes(ours)
    counts = Counter("not made again" if one.verification is None else one.verification.outcome for one in verdicts)
    tally = ", ".join(f"{counts[name]} {name}" for name in (*Outcome, "not made again") if counts[name])
    yield f"{counted(len(verdicts), 'picture')}: {tally or 'nothing was made yet'}"


def _causes(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield what changed since those that are not exact were made."""
    unlike = [
        one.verification for one in verdicts if one.verification and one.verification.outcome is not Outcome.EXACT
    ]
    for changes in dict.fromkeys(one.changes for one in unlike):
        if changes:
            yield "  changed since: " + "; ".join(map(str, changes))
        else:
            yield "  nothing that is recorded of the environment has changed"
