"""Arranges the images of one run in one cell of a sweep's overview.

A sweep's runs have one block in common, so that the same place in every cell is the same variant and seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from promptlab.errors import one_line
from promptlab.images.captions import UNKNOWN_SIZE, cell_size
from promptlab.images.layout import Box
from promptlab.records import ImageRecord, RunRecord
from promptlab.specs import Variant

__all__ = ["RunBlock"]

_MOST: Final = 16
"""Images in a cell; of runs with more, a run's own grid shows them all."""

_GAP: Final = 4
"""Pixels between the images of a cell, at full size: room for the frame of one that is flagged."""

_AROUND: Final = 10
"""Pixels by which one cell's images are further from the next cell's than from one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBlock:
    """Arranges rows × columns of images.

    Args:
        variants, seeds: how many of a run's are shown.
        variants_asked, seeds_asked: how many the largest run has.
        across: images side by side.
        cell: width and height that hold every image, pixels.
        words: the variants and seeds, where all runs have the same; else nothing is said of them.
    """

    variants: int
    seeds: int
    variants_asked: int
    seeds_asked: int
    across: int
    cell: tuple[int, int]
    words: tuple[tuple[Variant, ...], tuple[int, ...]]

    @classmethod
    def of(cls, runs: Sequence[RunRecord]) -> RunBlock:
        """Return the block that all ``runs`` fit into."""
        variants_asked = max((len(run.variants) for run in runs), default=1)
        seeds_asked = max((len(run.spec.seeds) for run in runs), default=1)
        variants = min(variants_asked, _MOST)
        seeds = seeds_asked if variants * seeds_asked <= _MOST else 1
        if variants == 1 and seeds_asked > _MOST:
            seeds = _MOST
        count = variants * seeds
        square = count if count <= 3 else math.ceil(math.sqrt(count))
        sizes = [cell_size(run) for run in runs] or [(UNKNOWN_SIZE, UNKNOWN_SIZE)]
        all_variants = {run.spec.variants for run in runs}
        all_seeds = {run.spec.seeds for run in runs}
        return cls(
            variants=variants,
            seeds=seeds,
            variants_asked=variants_asked,
            seeds_asked=seeds_asked,
            across=seeds if variants > 1 and seeds > 1 else square,
            cell=(max(width for width, _ in sizes), max(height for _, height in sizes)),
            words=(
                all_variants.pop() if len(all_variants) == 1 else (),
                all_seeds.pop() if len(all_seeds) == 1 else (),
            ),
        )

    @property
    def count(self) -> int:
        """Return the number of images in it."""
        return self.variants * self.seeds

    @property
    def side(self) -> int:
        """Return the pixels of an image's shorter side."""
        return min(self.cell)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the whole, pixels."""
        down = math.ceil(self.count / self.across)
        width, height = self.cell
        around = _AROUND if self.count > 1 else 0
        return self.across * (width + _GAP) - _GAP + around, down * (height + _GAP) - _GAP

    def images(self, run: RunRecord) -> list[ImageRecord | None]:
        """Return what is shown of ``run``, by place; None where the run has no such variant or seed."""
        by_place = {(image.variant, image.seed): image for image in run.images}
        seeds: list[int | None] = [*run.spec.seeds[: self.seeds]]
        seeds += [None] * (self.seeds - len(seeds))
        return [
            None if seed is None else by_place.get((variant, seed))
            for variant in range(self.variants)
            for seed in seeds
        ]

    def boxes(self, box: Box, shrink: int) -> Iterator[Box]:
        """Yield where the images go inside ``box``, the whole made smaller by ``shrink``."""
        width, height = (math.ceil(side / shrink) for side in self.cell)
        gap = max(2, _GAP // shrink) if shrink > 1 else _GAP
        if self.count == 1:
            yield box
            return
        for place in range(self.count):
            down, right = divmod(place, self.across)
            x, y = right * (self.cell[0] + _GAP) // shrink, down * (self.cell[1] + _GAP) // shrink
            yield Box(
                x=box.x + x,
                y=box.y + y,
                width=min(width, box.width - x, (self.cell[0] + _GAP) // shrink - gap),
                height=min(height, box.height - y, (self.cell[1] + _GAP) // shrink - gap),
            )

    def headers(self) -> list[str]:
        """Return a name for each place, as the columns of one row a run have it."""
        variants, seeds = self.words
        found = []
        for place in range(self.count):
            variant, seed = divmod(place, self.seeds)
            words = [_label(variants[variant], variant)] if self.variants > 1 and variants else []
            if seeds and (self.seeds > 1 or not words):
                words.append(f"seed {seeds[seed]}")
            found.append("\n".join(words) or f"picture {place + 1}")
        return found

    def facts(self, *, in_cells: bool) -> Iterator[str]:
        """Yield what the head says: what was left out, the order in a cell, the common words."""
        variants, seeds = self.words
        if self.seeds < self.seeds_asked:
            yield "the first seed of each variant" if self.seeds == 1 else f"the first {self.seeds} seeds of each run"
        if self.variants < self.variants_asked:
            yield f"the first {self.variants} of {self.variants_asked} variants"
        shown = ", ".join(map(str, seeds[: self.seeds]))
        if len(variants) == 1 or self.variants == 1:
            if seeds and (in_cells or self.count == 1):
                yield f"seed{'s' * (self.seeds > 1)} {shown}"
        elif in_cells and variants:
            labels = " | ".join(_label(one, at) for at, one in enumerate(variants[: self.variants]))
            grouped = "in each cell, row by row" if self.seeds > 1 else "in each cell"
            yield f"{grouped}: {labels}"
            if seeds:
                yield f"{'side by side: ' if self.seeds > 1 else ''}seed{'s' * (self.seeds > 1)} {shown}"
        if len(variants) == 1:
            yield f"prompt: {variants[0].prompt.strip() or '(empty)'}"
            if variants[0].negative_prompt.strip():
                yield f"negative: {variants[0].negative_prompt.strip()}"


def _label(variant: Variant, at: int) -> str:
    return one_line(variant.label or variant.prompt, limit=60) or f"variant {at + 1}"
