"""Chooses which images share the next forward, when images need different numbers of steps.

Pure: no torch, no I/O. Of a stream of images, ``rows`` share a forward. Those with most steps are begun first (Graham's
longest processing time first), and an image that is finished leaves its row to the next at once. So far the last images
would end one by one, in forwards that are nearly empty. Therefore an image is begun early, and takes turns with those
that are under way, when it would otherwise end after all the others: when the steps that are left, shared by all rows,
take no longer than that image alone. From then on, those with most left come first (McNaughton, *Scheduling with
deadlines and loss functions*, 1959: preemption reaches the bound). Invariant, for images of one kind: the number of
forwards is the least there can be, ``max(longest, ceil(steps / rows))``.

Images with guidance take two rows of a forward, those without it one, and a forward has one shape whatever company an
image is in; so the two kinds have forwards of their own. An image may begin as the one and end as the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["StepBatch", "StepScheduler", "forwards"]

DenoisingSteps = tuple[int, int]
"""Evaluations of the denoiser that an image takes: so many with guidance, then so many without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBatch:
    """Holds one forward: ``images`` by their places in the stream, no more than rows; guided or not."""

    images: tuple[int, ...]
    guided: bool


class StepScheduler:
    """Yields the forwards of a stream, in order, when it is iterated over.

    Args:
        rows: images that share a forward.
        steps: of each image.

    Attributes:
        order: in which images are begun: of two kinds, each in it.
    """

    def __init__(self, rows: int, steps: Sequence[DenoisingSteps]) -> None:
        self._steps = steps
        self._guided, self._plain = _Lane(rows), _Lane(rows)
        self._begun: set[int] = set()
        self.order = sorted(range(len(steps)), key=lambda image: -sum(steps[image]))
        for image in self.order:
            guided, plain = steps[image]
            lane, count = (self._guided, guided) if guided else (self._plain, plain)
            if count:
                lane.add(image, count)

    def __iter__(self) -> Iterator[StepBatch]:
        while self._guided or self._plain:
            # what has left guidance behind waits for company, but not for ever
            lane = self._plain if self._plain.full or not self._guided else self._guided
            images = lane.turn()
            self._begun.update(images)
            yield StepBatch(images=images, guided=lane is self._guided)
            done = lane.done(images)
            if lane is self._guided:
                for image in done:
                    if self._steps[image][1]:
                        self._plain.take(image, self._steps[image][1])

    def stop(self) -> None:
        """Begin no more images; those that are under way still have their turns."""
        for lane in (self._guided, self._plain):
            lane.keep(self._begun)

    def drop(self, image: int) -> None:
        """Give this image no further turns."""
        for lane in (self._guided, self._plain):
            lane.drop(image)


class _Lane:
    """Holds the images of one kind: those that wait, longest first, and those under way."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._waiting: deque[tuple[int, int]] = deque()
        self._under_way: dict[int, int] = {}
        self._left = 0

    def __bool__(self) -> bool:
        return bool(self._waiting or self._under_way)

    @property
    def full(self) -> bool:
        """Say whether what is under way fills a forward."""
        return len(self._under_way) >= self._rows

    def add(self, image: int, count: int) -> None:
        self._waiting.append((image, count))
        self._left += count

    def take(self, image: int, count: int) -> None:
        self._under_way[image] = count
        self._left += count

    def turn(self) -> tuple[int, ...]:
        while self._waiting and (not self.full or self._waiting[0][1] * self._rows >= self._left):
            image, count = self._waiting.popleft()
            self._under_way[image] = count
        if len(self._under_way) <= self._rows:
            return tuple(self._under_way)
        return tuple(sorted(self._under_way, key=lambda image: -self._under_way[image])[: self._rows])

    def done(self, images: Sequence[int]) -> list[int]:
        """Count a turn of ``images``; return those of them that are finished."""
        finished = []
        for image in images:
            if image not in self._under_way:  # dropped meanwhile
                continue
            self._left -= 1
            self._under_way[image] -= 1
            if not self._under_way[image]:
                del self._under_way[image]
                finished.append(image)
        return finished

    def keep(self, images: set[int]) -> None:
        self._waiting.clear()
        self._under_way = {image: count for image, count in self._under_way.items() if image in images}
        self._left = sum(self._under_way.values())

    def drop(self, image: int) -> None:
        self._left -= self._under_way.pop(image, 0)


def forwards(rows: int, steps: Sequence[DenoisingSteps]) -> int:
    """Return how many forwards there are."""
    if any(guided and plain for guided, plain in steps):
        return sum(1 for _ in StepScheduler(rows, steps))
    kinds = ([guided for guided, _ in steps if guided], [plain for _, plain in steps if plain])
    return sum(max(*counts, -(-sum(counts) // rows)) for counts in kinds if counts)
