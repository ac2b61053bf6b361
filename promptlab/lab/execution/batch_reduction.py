"""Goes on with smaller batches where a forward did not fit.

Their images have another recipe then, and rows say so. A batch of another size gives other bytes, so an image keeps two
recipe keys: the one that was asked for, by which the same run is found again, and the one that it is made by, by which
it is verified, resumed and linked. Rows are written before anything is made: whoever takes the run up goes on with the
smaller batches.

Invariant: the recipe key of a row follows from its run's setting at the row's own batch size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from promptlab.errors import EngineError, OutOfMemory, ref, ref_value
from promptlab.plan import ResolvedSpec, requests_of

__all__ = ["smaller_batch_size", "smaller_keys"]


def smaller_batch_size(rows: int, *, exact: bool) -> int:
    """Return the batch size to go on with: half of the rows that did not fit.

    Raises:
        OutOfMemory: when there was one row.
        EngineError: when nothing may differ from what was asked for.
    """
    if exact:
        half = f"{ref_value('batch_size', rows // 2)}, another recipe, or " if rows > 1 else ""
        raise EngineError(
            f"out of memory at {rows} images in one forward, and {ref('exact')} makes no smaller ones; type: {half}"
            f"{ref('vae_slicing')}, {ref('attention_slicing')}, or the command with {ref_value('exact', value=False)}"
        )
    if rows < 2:
        raise OutOfMemory(rows=rows)
    return rows // 2


def smaller_keys(resolved: ResolvedSpec, positions: Iterable[int], batch_size: int) -> Mapping[int, str]:
    """Return the recipe keys of a run's images at a smaller batch size, by their positions."""
    smaller = requests_of(resolved.at(batch_size))
    return {position: smaller[position].recipe_key for position in positions}
