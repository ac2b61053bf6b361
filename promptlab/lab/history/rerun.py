"""Derives a rerun's spec from its parent's: named fields are changed, all others inherited. Pure.

Prompts are changed by the verbs of :mod:`promptlab.expand.prompt_edits`, in the order prompt → replace → prepend →
append, whatever order they were typed in; settings by :meth:`promptlab.specs.RunSpec.vary`. All texts are templates:
``{a|b}`` in any of them gives a variant each, and several multiply.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from promptlab.errors import NotFound, ref_value
from promptlab.expand import inherited, show_seeds
from promptlab.expand.labels import MAX_LABEL
from promptlab.expand.word_diff import cut, word_diff
from promptlab.lab.history.prompt_edit import PromptEdit
from promptlab.plan import DEFAULT_BATCH_SIZE
from promptlab.records import ImageRecord, RunRecord
from promptlab.specs import RunSpec, Variant, options

__all__ = ["RunOrImage", "derived_spec", "rerun_spec"]


def _label_by_change(before: tuple[Variant, ...], after: tuple[Variant, ...]) -> tuple[Variant, ...]:
    """Label a prompt that was made from one other by the words added or removed, for side-by-side grids."""
    if not (len(before) == len(after) == 1) or after[0].replacement or before[0].prompt == after[0].prompt:
        return after
    pieces = word_diff(before[0].prompt, after[0].prompt)
    for sign, kind in (("+", "added"), ("-", "removed")):
        words = "".join(piece.text for piece in pieces if piece.kind == kind).strip(" ,;\n")
        if words:
            return (dataclasses.replace(after[0], label=f"{sign} {cut(words, MAX_LABEL - 2)}"),)
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrImage:
    """Names a run, or one image of it by its ``position``."""

    run: RunRecord
    position: int | None = None

    @property
    def ref(self) -> str:
        """Return its name, ``3`` or ``3/1``, by which it is found whatever comes after it."""
        return str(self.run.id) if self.position is None else f"{self.run.id}/{self.position}"

    def spec(self, seeds: tuple[int, ...] = ()) -> RunSpec:
        """Return the spec of this run or image alone, with ``seeds`` picked out of the run's own.

        Raises:
            NotFound: when a seed or the image is not in the run.
        """
        run = self.run
        missing = next((seed for seed in seeds if seed not in run.spec.seeds), None)
        if missing is not None:
            raise NotFound(
                "seed", missing,
                allowed=f"the seeds of run {run.id}: {show_seeds(run.spec.seeds)}",
                hint=f"{ref_value('seeds', missing)} to make a new one",
            )  # fmt: skip
        if self.position is None:
            size = _batch_size(run, [image for image in run.images if not seeds or image.seed in seeds])
            return run.spec.vary(variants=inherited(run.spec.variants), seeds=seeds or run.spec.seeds, batch_size=size)
        image = next((image for image in run.images if image.position == self.position), None)
        if image is None:
            raise NotFound(
                "image", f"{run.id}/{self.position}",
                allowed=f"{run.id}/0 to {run.id}/{len(run.images) - 1}", hint=f"promptlab show {run.id}",
            )  # fmt: skip
        variants = inherited(run.spec.variants, only=image.variant)
        return run.spec.vary(variants=variants, seeds=seeds or (image.seed,), batch_size=_batch_size(run, [image]))


def _batch_size(run: RunRecord, images: Sequence[ImageRecord]) -> int | Literal["auto"] | None:
    """Return the batch size that ``images`` were made at; their run's, where they were not made at one."""
    sizes = {image.batch_size or run.spec.batch_size for image in images}
    return sizes.pop() if len(sizes) == 1 else run.spec.batch_size


def derived_spec(
    source: RunOrImage, seeds: tuple[int, ...], edit: PromptEdit | None, changes: Mapping[str, Any] | None
) -> RunSpec:
    """Return the spec of a rerun of ``source``, in batches of its own where none are named.

    The batch size is part of a recipe, and a forward of four rows takes as long for one image as for four. So it is
    inherited where it must be: where an image of the parent's is asked for again, which is then there, or comes out to
    the byte. Where none is, the child has as many rows as images, at most those of its parent; a parent that had no
    more than its own images asked for says nothing of the child's.
    """
    changes = changes or {}
    child, parent = rerun_spec(source.spec(seeds), edit or PromptEdit(), changes), source.run.spec
    size = child.batch_size
    if "batch_size" in changes or not isinstance(size, int) or _repeats(parent, child):
        return child
    unasked = size == min(DEFAULT_BATCH_SIZE, parent.image_count)
    return child.vary(batch_size=None if unasked else min(size, child.image_count))


def _repeats(parent: RunSpec, child: RunSpec) -> bool:
    """Say whether an image of ``parent`` is among those of ``child``."""
    mine, theirs = ({(each.prompt, each.negative_prompt) for each in spec.variants} for spec in (child, parent))
    setting = child.vary(variants=parent.variants, seeds=parent.seeds, batch_size=parent.batch_size)
    return bool(mine & theirs and {*child.seeds} & {*parent.seeds}) and setting == parent


def rerun_spec(base: RunSpec, edit: PromptEdit, changes: Mapping[str, Any]) -> RunSpec:
    """Return ``base`` with its prompts and settings changed.

    A size, a revision and a configuration belong to their model: with another model they are that one's own again,
    unless named. Further call arguments are added to the inherited ones.
    """
    if changes.get("model", base.pipeline.model) != base.pipeline.model:
        changes = {"revision": None, "variant": None, "config": None, "height": None, "width": None, **changes}
    if "arguments" in changes:
        changes = {**changes, "arguments": options({**dict(base.call.arguments), **dict(changes["arguments"])})}
    variants = _label_by_change(base.variants, edit.apply(base.variants))
    return base.vary(**{**changes, "variants": variants})
