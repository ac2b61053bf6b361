"""The plan: every run in the order to make them, what each still owes, and what that will take.

Invariants: every cell is in exactly one run, whatever the order; ``there + repeated + owed == images``; and nothing is
planned twice: a cell that another run of the same plan makes first is owed by that run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from promptlab._gc import gc_paused
from promptlab.plan.batch_key import StreamEstimate, stream_key
from promptlab.plan.order import loads_of, order_line, ordered
from promptlab.plan.pace import Pace, rule_of_thumb
from promptlab.plan.requests import ImageRequest, ResolvedSpec, keys_of, requests_of
from promptlab.plan.step_scheduler import DenoisingSteps

__all__ = ["Plan", "PlannedRun", "TruncatedPrompt", "plan"]


_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedPrompt:
    """Words that a text encoder would not get to see.

    Args:
        prompt: in full; a negative prompt likewise.
        encoder: the part that cuts, by its name in the pipeline, such as ``tokenizer_2``.
        words: what is cut off, as written in the prompt, from the first word that is not read whole.
    """

    prompt: str
    encoder: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run of a plan. Its tasks are made when they are asked for: a plan of 100,000 runs is looked at, not run.

    Args:
        resolved: what is run.
        original: its place in the order as written, from 0.
        keys: the recipe keys of its images, in the grid's order.
        rows: images per forward, as the engine makes them.
        work: evaluations of the denoiser that an image takes, where the run is a part of a stream; see
            :mod:`promptlab.plan.batch_key`.
        there: those of them that are made already.
        repeated: those that an earlier run of this plan makes, or has by then.
    """

    resolved: ResolvedSpec
    original: int
    keys: tuple[str, ...]
    rows: int
    work: DenoisingSteps | None = None
    there: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()

    @property
    def tasks(self) -> tuple[ImageRequest, ...]:
        """All its images, in the grid's order."""
        return requests_of(self.resolved)

    @property
    def owed(self) -> tuple[ImageRequest, ...]:
        """The images that are still to be made, in the grid's order."""
        return tuple(task for task in self.tasks if self._owes(task.recipe_key))

    @property
    def images(self) -> int:
        """How many images it has."""
        return len(self.keys)

    @property
    def there_count(self) -> int:
        """How many of its images are made already."""
        return sum(map(self.there.__contains__, self.keys)) if self.there else 0

    @property
    def repeated_count(self) -> int:
        """How many of its images an earlier run of the plan makes."""
        return sum(map(self.repeated.__contains__, self.keys)) if self.repeated else 0

    @property
    def owed_count(self) -> int:
        """How many images are still to be made."""
        return len(self.keys) - self.there_count - self.repeated_count

    @property
    def batches(self) -> int:
        """Batches in which what is owed comes out, were the run alone. Only in a stream do pictures with and without a
        negative prompt share one; and elsewhere those of different words not where the pipeline cannot mix them, nor
        those of texts of different lengths."""
        size, owed = self.rows, self._owed_by_kind()
        if self.work is not None:
            owed = (sum(owed), 0)
        return sum([-(-count // size) for count in owed])

    def _owes(self, key: str) -> bool:
        return key not in self.there and key not in self.repeated

    def _owed_by_kind(self) -> Iterable[int]:
        """How many images are owed of each kind that can share a forward."""
        width, mixed, pieces = len(self.resolved.spec.seeds), self.resolved.mixes_words, self.resolved.pieces
        counts: dict[object, int] = {}
        for row, variant in enumerate(self.resolved.spec.variants):
            cells = self.keys[row * width : (row + 1) * width]
            owed = sum(map(self._owes, cells)) if self.there or self.repeated else width
            words = variant.negative_prompt != "" if mixed else (variant.prompt, variant.negative_prompt)
            kind = words, pieces[row] if pieces else 1
            counts[kind] = counts.get(kind, 0) + owed
        return counts.values()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What carrying out some specs comes to.

    Args:
        runs: in the order chosen.
        varying: what changes from run to run, slowest first, in the words of the command line.
        batches: batches of pictures for all that is owed.
        forwards: of the denoiser, for what is owed and made in streams.
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
        """Images of all runs."""
        return sum(run.images for run in self.runs)

    @property
    def there(self) -> int:
        """Images that are made already."""
        return sum(run.there_count for run in self.runs)

    @property
    def repeated(self) -> int:
        """Images that one run of the plan has from another."""
        return sum(run.repeated_count for run in self.runs)

    @property
    def owed(self) -> int:
        """Images that are still to be made."""
        return sum(run.owed_count for run in self.runs)

    @property
    def order_line(self) -> str:
        """The order chosen, such as ``model → vae → scheduler``; ``as written`` when one setting is all there is."""
        return order_line(self.varying)


@gc_paused()
def plan(
    resolved: Sequence[ResolvedSpec],
    *,
    there: Collection[str] = frozenset(),
    rows: Callable[[ResolvedSpec], int] | None = None,
    work: Callable[[ResolvedSpec], DenoisingSteps | None] = lambda _: None,
    pace: Callable[[ResolvedSpec], Pace | None] = lambda _: None,
    cut: Iterable[TruncatedPrompt] = (),
) -> Plan:
    """The order to make ``resolved`` in, what is owed, and what it takes.

    Args:
        resolved: the runs, as written.
        there: recipe keys of images that need not be made; a mapping from them will do.
        rows: how many images of a run share a forward, padding included; its batch size unless the engine says less.
        work: how often an image of a run asks the denoiser, where its run shares forwards with others.
        pace: what history says about a run's setting; ``None`` when it says nothing. Asked once for each run that owes
            an image, so it should remember its answers.
        cut: what :meth:`promptlab.engine.Engine.cut_words` says, passed on.
    """
    places, varying = ordered(resolved)
    runs = _runs(
        resolved,
        places,
        there if isinstance(there, frozenset) else frozenset(there),
        rows or (lambda one: one.batch_size),
        work,
    )
    owing = [run for run in runs if run.owed_count]
    seconds = size = 0.0
    batches = loads = 0
    guess = False
    streams: dict[object, StreamEstimate] = {}
    for run, loading in zip(owing, loads_of(run.resolved for run in owing), strict=True):
        found = pace(run.resolved) or rule_of_thumb(run.resolved)
        loads, guess = loads + loading, guess or found.guess
        seconds += loading * found.load_seconds
        size += run.owed_count * found.bytes_per_image
        if run.work is not None:
            streams.setdefault(_stream_of(run), StreamEstimate(run.rows)).add(
                run.owed_count, run.work, found.seconds_per_image
            )
            continue
        batches += run.batches
        seconds += run.batches * run.rows * found.seconds_per_image
    return Plan(
        runs=runs, varying=varying, batches=batches + sum(each.batches for each in streams.values()),
        forwards=sum(each.forwards for each in streams.values()), loads=loads,
        seconds=seconds + sum(each.seconds for each in streams.values()), bytes=round(size), guess=guess,
        cut=tuple(cut),
    )  # fmt: skip


def _runs(
    resolved: Sequence[ResolvedSpec],
    places: Sequence[int],
    made: frozenset[str],
    rows: Callable[[ResolvedSpec], int],
    work: Callable[[ResolvedSpec], DenoisingSteps | None],
) -> tuple[PlannedRun, ...]:
    seen: set[str] = set()
    runs = []
    for place, keys in zip(places, keys_of(resolved[place] for place in places), strict=True):
        there = _NONE if made.isdisjoint(keys) else made.intersection(keys)
        repeated = _NONE if seen.isdisjoint(keys) else frozenset(seen.intersection(keys)) - there
        seen.update(keys)
        one = resolved[place]
        runs.append(
            PlannedRun(
                resolved=one, original=place, keys=keys, rows=rows(one), work=work(one), there=there, repeated=repeated
            )
        )
    return tuple(runs)


def _stream_of(run: PlannedRun) -> object:
    resolved, spec = run.resolved, run.resolved.spec
    return stream_key(spec.pipeline, spec.call, spec.machine, batch_size=resolved.batch_size, device=resolved.device)
