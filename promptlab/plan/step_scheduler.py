"""Chooses which images share the next forward, when images need different numbers of steps.

Pure: no torch, no I/O. Of a stream of images, ``rows`` share a forward. Those with most steps are begun first (Graham's
longest processing time first), and an image that is finished leaves its row to the next at once. So far the last images
would end one by one, in forwards that are nearly empty. Therefore an image is begun early, and takes turns with those
that are under way, when it would otherwise end after all the others: when the steps that are left, shared by all rows,
take no longer than that image alone. From then on, those with most left come first (McNaughton, *Scheduling with
deadlines and loss functions*, 1959: preemption reaches the bound). Invariant, for images of one kind whose steps are
known: the number of forwards is the least there can be, ``max(longest, ceil(steps / rows))``.

Only what is alike shares a forward: guided and unguided rows, texts of different lengths are different *lanes*. Which
lane an image is in, it says itself, each time it asks for a forward, and it may change lanes on the way. Its steps are
an estimate: one that asks more often than was thought is served all the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Final

__all__ = ["DenoisingSteps", "StepScheduler", "forwards"]

DenoisingSteps = tuple[int, int]
"""Evaluations of the denoiser that an image takes: so many with guidance, then so many without."""

_MOST_WAITING: Final = 4
"""Forwards' worth of images that may be under way, none of them alike, before one that is not full is run."""


class StepScheduler:
    """Says which image is begun next, and which share the next forward.

    Args:
        rows: images that share a forward.
        steps: of each image.
        together: begin images only when none is under way: where each part of a pipeline has to be fetched.
    """

    def __init__(self, rows: int, steps: Sequence[DenoisingSteps], *, together: bool = False) -> None:
        self._rows, self._together = rows, together
        self._left = {image: list(each) for image, each in enumerate(steps)}
        self._lanes: dict[Hashable, dict[int, None]] = {}
        """Images that wait for a forward, by what they ask, in the order in which they asked."""
        self._last: dict[Hashable, dict[int, None]] = {}
        """Likewise, of what comes after the steps: it waits until a forward is full, or nothing else is left."""
        self._waiting: tuple[deque[int], deque[int]] = deque(), deque()
        for image in sorted(self._left, key=lambda image: -sum(steps[image])):
            self._waiting[self._kind(image)].append(image)
        self._work = [sum(each[0] for each in steps), sum(each[1] for each in steps if not each[0])]
        self._open = True

    def begin(self) -> int | None:
        """Return the image that is to be begun now; None where the next forward comes first."""
        under_way = sum(map(len, self._lanes.values()))
        if self._together and (under_way >= self._rows or not self._open):
            return None
        heads = [kind for kind in (0, 1) if self._waiting[kind]]
        room = under_way < _MOST_WAITING * self._rows
        if room and not any(len(lane) >= self._rows for lane in self._lanes.values()):
            heads.sort(key=lambda kind: -sum(self._left[self._waiting[kind][0]]))
        else:
            heads = [kind for kind in heads if self._ends_last(kind)]
        return self._waiting[heads[0]].popleft() if heads else None

    def ask(self, image: int, lane: Hashable, *, last: bool = False) -> None:
        """Take note that ``image`` asks for a forward with what is in ``lane``.

        Args:
            last: whether it is what comes after the steps, decoding: that can wait for company.
        """
        (self._last if last else self._lanes).setdefault(lane, {})[image] = None

    def turn(self) -> tuple[int, ...]:
        """Return the images of the next forward, all of one lane; none where nothing is under way."""
        full = [lane for lane in self._last.values() if len(lane) >= self._rows]
        if full or not self._lanes:
            lanes = full or list(self._last.values())
            images = tuple(lanes[0])[: self._rows] if lanes else ()
            self._leave(self._last, images)
            self._open = not self._lanes and not self._last
            return images
        self._open = False
        # the fullest first: what has left guidance behind waits for company, but not for ever
        lane = max(self._lanes.values(), key=lambda lane: min(len(lane), self._rows))
        images = tuple(sorted(lane, key=lambda image: -sum(self._left[image]))[: self._rows])
        self._leave(self._lanes, images)
        for image in images:
            self._count(image)
        return images

    def end(self, image: int) -> None:
        """Take note that ``image`` asks for no more forwards, finished or not."""
        guided, plain = self._left[image]
        self._work[0 if guided else 1] -= guided or plain
        self._left[image] = [0, 0]

    def stop(self) -> None:
        """Begin no more images; those that are under way still have their turns."""
        for images in self._waiting:
            images.clear()

    def _kind(self, image: int) -> int:
        """Return 0 for an image that begins with guidance, 1 for another."""
        return 0 if self._left[image][0] else 1

    def _ends_last(self, kind: int) -> bool:
        """Say whether the next image of ``kind`` would end after all the others, were it not begun now."""
        return self._left[self._waiting[kind][0]][kind] * self._rows >= max(self._work[kind], 1)

    def _count(self, image: int) -> None:
        """Count a forward of ``image``."""
        left = self._left[image]
        kind = 0 if left[0] else 1
        if not left[kind]:
            return  # it asks more often than was thought
        left[kind] -= 1
        self._work[kind] -= 1
        if kind == 0 and not left[0]:
            self._work[1] += left[1]

    def _leave(self, lanes: dict[Hashable, dict[int, None]], images: Sequence[int]) -> None:
        for name in [name for name, lane in lanes.items() if images and images[0] in lane]:
            for image in images:
                del lanes[name][image]
            if not lanes[name]:
                del lanes[name]


def forwards(rows: int, steps: Sequence[DenoisingSteps]) -> int:
    """Return how many forwards of the denoiser there are."""
    if any(guided and plain for guided, plain in steps):
        return sum(1 for _ in _turns(rows, steps))
    kinds = ([guided for guided, _ in steps if guided], [plain for _, plain in steps if plain])
    return sum(max(*counts, -(-sum(counts) // rows)) for counts in kinds if counts)


def _turns(rows: int, steps: Sequence[DenoisingSteps]) -> Iterator[tuple[int, ...]]:
    """Yield the forwards of images that ask exactly as often as ``steps`` says."""
    scheduler, left = StepScheduler(rows, steps), [list(each) for each in steps]

    def ask(image: int) -> None:
        if sum(left[image]):
            scheduler.ask(image, bool(left[image][0]))
        else:
            scheduler.end(image)

    while True:
        while (image := scheduler.begin()) is not None:
            ask(image)
        images = scheduler.turn()
        if not images:
            return
        yield images
        for image in images:
            left[image][0 if left[image][0] else 1] -= 1
            ask(image)
