"""Plans runs: the order to make them in, what each still owes, and what that will take.

Invariants: every cell is in exactly one run, whatever the order; ``there + repeated + owed == images``; and nothing is
planned twice: a cell that another run of the same plan makes first is owed by that run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from promptlab._gc import gc_paused
from promptlab.plan.batch_key import batch_keys
from promptlab.plan.order import loads_of, order_line, ordered
from promptlab.plan.pace import Pace, SharedForwards, rule_of_thumb
from promptlab.plan.requests import ImageRequest, keys_of, requests_of
from promptlab.plan.resolved import ResolvedSpec
from promptlab.plan.truncated_prompt import TruncatedPrompt

__all__ = ["Plan", "PlannedRun", "plan"]


_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """Holds one run of a plan. Its requests are made when asked for: a plan of 100,000 runs stays small.

    Args:
        resolved: what is run.
        original: its place in the order as written, from 0.
        keys: the recipe keys of its images, in the grid's order.
        there: those of them that are made already.
        repeated: those that an earlier run of this plan makes, or has by then.
    """

    resolved: ResolvedSpec
    original: int
    keys: tuple[str, ...]
    there: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()

    @property
    def rows(self) -> int:
        """Return how many images share a forward."""
        return self.resolved.rows

    @property
    def requests(self) -> tuple[ImageRequest, ...]:
        """Return the requests of all its images, in the grid's order."""
        return requests_of(self.resolved)

    @property
    def owed(self) -> tuple[ImageRequest, ...]:
        """Return the requests of images that are still to be made, in the grid's order."""
        return tuple(request for request in self.requests if self._owes(request.recipe_key))

    @property
    def images(self) -> int:
        """Return how many images it has."""
        return len(self.keys)

    @property
    def there_count(self) -> int:
        """Return how many of its images are made already."""
        return sum(map(self.there.__contains__, self.keys)) if self.there else 0

    @property
    def repeated_count(self) -> int:
        """Return how many of its images an earlier run of the plan makes."""
        return sum(map(self.repeated.__contains__, self.keys)) if self.repeated else 0

    @property
    def owed_count(self) -> int:
        """Return how many images are still to be made."""
        return len(self.keys) - self.there_count - self.repeated_count

    @property
    def batches(self) -> int:
        """Return in how many batches what is owed comes out, were the run alone."""
        rows = self.rows
        return sum([-(-count // rows) for count in self.owed_by_key().values()])

    def owed_by_key(self) -> Mapping[str, int]:
        """Count the images that are owed, by their batch keys."""
        width = len(self.resolved.spec.seeds)
        counts: dict[str, int] = {}
        for row, key in enumerate(batch_keys(self.resolved)):
            cells = self.keys[row * width : (row + 1) * width]
            owed = sum(map(self._owes, cells)) if self.there or self.repeated else width
            counts[key] = counts.get(key, 0) + owed
        return counts

    def _owes(self, key: str) -> bool:
        return key not in self.there and key not in self.repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Says what carrying out some specs comes to.

    Args:
        runs: in the order chosen.
        varying: what changes from run to run, slowest first, in the words of the command line.
        batches: batches of pictures for all that is owed.
        forwards: of the denoiser, for what is owed, where it is known how often each image asks it; else 0.
        loads: how often a pipeline, or a VAE, must be loaded for what is owed, from nothing in memory.
        seconds: estimated, for what is owed and its loads.
        bytes: estimated, of the PNGs that are owed.
        guess: whether any of the two rests on another setting's history, or on none.
        cut: words that text encoders would cut.
    """

    runs: tuple[PlannedRun, ...]
    varying: tuple[str, ...]
    batches: int
    forwards: int
    loads: int
    seconds: float
    bytes: int
    guess: bool
    cut: tuple[TruncatedPrompt, ...] = ()

    @property
    def images(self) -> int:
        """Count the images of all runs."""
        return sum(run.images for run in self.runs)

    @property
    def there(self) -> int:
        """Count the images that are made already."""
        return sum(run.there_count for run in self.runs)

    @property
    def repeated(self) -> int:
        """Count the images that one run of the plan has from another."""
        return sum(run.repeated_count for run in self.runs)

    @property
    def owed(self) -> int:
        """Count the images that are still to be made."""
        return sum(run.owed_count for run in self.runs)

    @property
    def order_line(self) -> str:
        """Return the order chosen: ``model → vae``, or ``as written`` when there is one setting only."""
        return order_line(self.varying)


@gc_paused()
def plan(
    resolved: Sequence[ResolvedSpec],
    *,
    there: Collection[str] = frozenset(),
    pace: Callable[[ResolvedSpec], Pace | None] = lambda _: None,
    cut: Iterable[TruncatedPrompt] = (),
) -> Plan:
    """Choose the order to make ``resolved`` in, and tell what is owed and what it takes.

    Args:
        resolved: the runs, as written.
        there: recipe keys of images that need not be made; a mapping from them will do.
        pace: what history says about a run's setting; ``None`` when it says nothing. Asked once for each run that owes
            an image, so it should remember its answers.
        cut: what :meth:`promptlab.engine.Engine.truncated_prompts` says, passed on.
    """
    places, varying = ordered(resolved)
    runs = _runs(resolved, places, there if isinstance(there, frozenset) else frozenset(there))
    owing = [run for run in runs if run.owed_count]
    seconds = size = 0.0
    loads = 0
    guess = False
    shared: dict[str, SharedForwards] = {}
    for run, loading in zip(owing, loads_of(run.resolved for run in owing), strict=True):
        found = pace(run.resolved) or rule_of_thumb(run.resolved)
        loads, guess = loads + loading, guess or found.guess
        seconds += loading * found.load_seconds
        size += run.owed_count * found.bytes_per_image
        for key, images in run.owed_by_key().items():
            stream = shared.setdefault(key, SharedForwards(run.rows))
            stream.add(images, run.resolved.steps, run.resolved.spec.call, found.seconds_per_image)
    return Plan(
        runs=runs, varying=varying, batches=sum(each.batches for each in shared.values()),
        forwards=sum(each.forwards for each in shared.values()), loads=loads,
        seconds=seconds + sum(each.seconds for each in shared.values()), bytes=round(size), guess=guess,
        cut=tuple(cut),
    )  # fmt: skip


def _runs(resolved: Sequence[ResolvedSpec], places: Sequence[int], made: frozenset[str]) -> tuple[PlannedRun, ...]:
    seen: set[str] = set()
    runs = []
    for place, keys in zip(places, keys_of(resolved[place] for place in places), strict=True):
        there = _NONE if made.isdisjoint(keys) else made.intersection(keys)
        repeated = _NONE if seen.isdisjoint(keys) else frozenset(seen.intersection(keys)) - there
        seen.update(keys)
        runs.append(PlannedRun(resolved=resolved[place], original=place, keys=keys, there=there, repeated=repeated))
    return tuple(runs)
