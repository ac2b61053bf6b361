"""Shares images out among workers: what each makes next, and from whom an idle one takes. Pure.

- **What may share forwards is dealt together**: a share is of one batch key, in whole batches.
- **Affinity**: a worker goes on with the shape that it has just made, else with the pipeline that it has loaded. One
  that has to load another takes that of which most is left for each of those who are at it.
- **Longest first** within a batch key (Graham, *Bounds on multiprocessing timing anomalies*, 1969).
- **Shares shrink**: each is half of an equal part of what is left, one batch at least (Polychronopoulos and Kuck,
  *Guided self-scheduling*, 1987). So there are few borders at first, and no long share at the end.
- **Nobody is idle while another has two batches left**: of the worker with most images not begun, all of these are
  taken back when the batch under way is done, and dealt anew.
- **Who was lost gives back what it had**. What it had begun is dealt one by one from then on, so that an image by which
  workers die takes no others along; after :data:`LOSSES` it is given up.
- **What failed on one is tried on another**, once. Until it is known whose fault it was, a worker on which
  :data:`DOUBTS` images failed in a row makes nothing but what failed on others.

Invariant: an image is dealt to one worker at a time, and never again once it is settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from promptlab.cluster.work_items import WorkItem

__all__ = ["DOUBTS", "LONGEST", "LOSSES", "Dealer"]

LONGEST: Final = 32
"""Batches of a share, at most: what is lost with a worker, and how late another worker's pipeline is known."""

LOSSES: Final = 3
"""Workers that may be lost with an image under way before it is given up."""


DOUBTS: Final = 2
"""Images that fail on a worker one after the other before it is waited for what others make of them."""


@dataclass(slots=True, eq=False)
class _Group:
    """Holds what waits of one batch key, longest first."""

    pipeline_key: Hashable
    rows: int
    waiting: deque[WorkItem] = field(default_factory=deque)
    cost: float = 0.0
    refused_by: set[str] = field(default_factory=set)
    is_second_try: bool = False

    def put_back(self, items: Iterable[WorkItem]) -> None:
        for item in sorted(items, key=lambda item: item.cost):
            self.waiting.appendleft(item)
            self.cost += item.cost

    def take(self, most: float) -> list[WorkItem]:
        """Take whole batches until they cost ``most``: one at least."""
        taken: list[WorkItem] = []
        cost = 0.0
        while self.waiting and (cost < most or len(taken) % self.rows) and len(taken) < LONGEST * self.rows:
            taken.append(self.waiting.popleft())
            cost += taken[-1].cost
        self.cost = self.cost - cost if self.waiting else 0.0
        return taken


@dataclass(slots=True, eq=False)
class _Worker:
    """Holds what one worker is at, and what it has loaded."""

    share: dict[str, WorkItem] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    batch_key: str | None = None
    pipeline_key: Hashable = None
    dealt_to: bool = False
    giving_back: bool = False
    doubts: int = 0


class Dealer:
    """Shares ``items`` out among workers, which are called by any text.

    Attributes:
        unsettled: how many images are neither made nor given up.
    """

    def __init__(self, items: Iterable[WorkItem]) -> None:
        self._groups: dict[str, _Group] = {}
        self._suspects: deque[WorkItem] = deque()
        self._losses: dict[str, int] = {}
        self._workers: dict[str, _Worker] = {}
        self._open = True
        self.unsettled = 0
        for item in sorted(items, key=lambda item: -item.cost):
            group = self._groups.setdefault(item.batch_key, _Group(item.pipeline_key, item.rows))
            group.waiting.append(item)
            group.cost += item.cost
            self.unsettled += 1

    @property
    def under_way(self) -> int:
        """Return how many images are dealt out."""
        return sum(len(worker.share) for worker in self._workers.values())

    def knows(self, worker: str) -> bool:
        """Say whether ``worker`` has joined, and was not lost since."""
        return worker in self._workers

    def idle(self) -> tuple[str, ...]:
        """Return the workers that have ended their shares."""
        return tuple(name for name, worker in self._workers.items() if not worker.dealt_to)

    def busy(self) -> tuple[str, ...]:
        """Return the workers that have not."""
        return tuple(name for name, worker in self._workers.items() if worker.dealt_to)

    def join(self, worker: str) -> None:
        """Take note that ``worker`` can be dealt to."""
        self._workers.setdefault(worker, _Worker())

    def deal(self, worker: str) -> tuple[str, ...]:
        """Return the images that ``worker``, which is idle, is to make now; maybe none."""
        me = self._workers[worker]
        if me.dealt_to:
            raise ValueError(f"{worker} has not ended its share")
        found = self._suspect(worker) or self._share(worker, me)
        me.share = {item.id: item for item in found}
        me.begun, me.giving_back, me.dealt_to = set(), False, bool(found)
        if found:
            me.batch_key, me.pipeline_key = found[0].batch_key, found[0].pipeline_key
        return tuple(me.share)

    def victim(self, worker: str) -> str | None:
        """Return the worker that is to give back what it has not begun, because ``worker`` is idle; or None.

        It is asked once: until it has ended its share, it is not named again.
        """
        best, most = None, 0.0
        for name, other in self._workers.items():
            waiting = [item for key, item in other.share.items() if key not in other.begun]
            if name == worker or other.giving_back or not waiting or not self._open:
                continue
            enough = len(waiting) >= waiting[0].rows + (0 if other.begun else 1)
            cost = sum(item.cost for item in waiting)
            if enough and cost > most and worker not in self._groups[waiting[0].batch_key].refused_by:
                best, most = name, cost
        if best is not None:
            self._workers[best].giving_back = True
        return best

    def begin(self, worker: str, item_id: str) -> None:
        """Take note that ``worker`` has begun an image of its share."""
        if item_id in self._workers[worker].share:
            self._workers[worker].begun.add(item_id)

    def has_begun(self, worker: str, item_id: str) -> bool:
        """Say whether ``worker`` has begun an image that is not settled."""
        return item_id in self._workers[worker].begun

    def settle(self, worker: str, item_id: str) -> bool:
        """Take note that an image is made, or cannot be; say whether it was still to be settled by ``worker``."""
        me = self._workers[worker]
        if me.share.pop(item_id, None) is None:
            return False
        me.begun.discard(item_id)
        self.unsettled -= 1
        return True

    def end(self, worker: str) -> None:
        """Take note that ``worker`` makes no more of its share: what is left of it waits again."""
        me = self._workers[worker]
        self._put_back(me.share.values())
        me.share, me.begun, me.giving_back, me.dealt_to = {}, set(), False, False

    def lose(self, worker: str) -> tuple[str, ...]:
        """Take note that ``worker`` is gone; return the images that are given up by that."""
        me = self._workers.pop(worker)
        given_up = []
        rows = next(iter(me.share.values())).rows if me.share else 0
        for item_id in me.begun or list(me.share)[:rows]:  # it may have died before it could say what it began
            item = me.share.pop(item_id)
            self._losses[item_id] = losses = self._losses.get(item_id, 0) + 1
            if losses >= LOSSES:
                given_up.append(item_id)
            else:
                self._suspects.append(item)
        self._put_back(me.share.values())
        self.unsettled -= len(given_up)
        return tuple(given_up)

    def refuse(self, worker: str, item_ids: Iterable[str]) -> None:
        """Take note that ``worker`` can make neither these images nor any of their kind; others may."""
        me = self._workers[worker]
        items = [me.share.pop(item_id) for item_id in item_ids if item_id in me.share]
        for item in items:
            me.begun.discard(item.id)
            self._groups[item.batch_key].refused_by.add(worker)
        self._put_back(items)

    def try_elsewhere(self, worker: str, item_id: str) -> bool:
        """Take note that an image failed on ``worker``, and have others try it.

        Those that failed on one worker are dealt together again: batches stay whole.

        Returns:
            Whether it was ``worker``'s to make.
        """
        me = self._workers[worker]
        item = me.share.pop(item_id, None)
        if item is None:
            return False
        me.begun.discard(item_id)
        me.doubts += 1
        key, first = f"{item.batch_key} but not on {worker}", self._groups[item.batch_key]
        again = self._groups.setdefault(key, _Group(first.pipeline_key, first.rows, is_second_try=True))
        again.refused_by |= first.refused_by | {worker}
        again.put_back([replace(item, batch_key=key)])
        return True

    def trust(self, worker: str) -> None:
        """Take note that ``worker`` makes images, or that what failed on it is no fault of its own."""
        if worker in self._workers:
            self._workers[worker].doubts = 0

    def leave(self, worker: str) -> tuple[str, ...]:
        """Take note that ``worker`` is given nothing any more; return the images that are given up by that.

        What it had waits again. What it had begun may be what was wrong with it: that counts as in :meth:`lose`.
        """
        if self._workers[worker].begun:
            return self.lose(worker)
        self._put_back(self._workers.pop(worker).share.values())
        return ()

    def give_up(self) -> tuple[str, ...]:
        """Return the images that every worker has refused, and settle them; none where there is no worker."""
        given_up: list[str] = []
        if not self._workers:
            return ()
        for group in self._groups.values():
            if group.waiting and group.refused_by >= self._workers.keys():
                given_up += [item.id for item in group.waiting]
                group.waiting.clear()
                group.cost = 0.0
        hopeless = [item for item in self._suspects if self._groups[item.batch_key].refused_by >= self._workers.keys()]
        for item in hopeless:
            self._suspects.remove(item)
            given_up.append(item.id)
        self.unsettled -= len(given_up)
        return tuple(given_up)

    def stop(self) -> None:
        """Share nothing out any more."""
        self._open = False

    def _put_back(self, items: Iterable[WorkItem]) -> None:
        groups: dict[str, list[WorkItem]] = {}
        for item in items:
            if item.id in self._losses:
                self._suspects.append(item)
            else:
                groups.setdefault(item.batch_key, []).append(item)
        for key, some in groups.items():
            self._groups[key].put_back(some)

    def _suspect(self, worker: str) -> list[WorkItem]:
        """Take an image that a lost worker had begun: alone."""
        for item in self._suspects if self._open else ():
            if worker not in self._groups[item.batch_key].refused_by:
                self._suspects.remove(item)
                return [item]
        return []

    def _share(self, worker: str, me: _Worker) -> list[WorkItem]:
        if not self._open:
            return []
        fit = {key: group for key, group in self._groups.items() if group.waiting and worker not in group.refused_by}
        second = {key: group for key, group in fit.items() if group.is_second_try}
        if second or (me.doubts >= DOUBTS and len(self._workers) > 1):
            fit = second
        if not fit:
            return []
        left = sum(group.cost for group in fit.values())
        return self._group_for(me, fit).take(left / (2 * len(self._workers)))

    def _group_for(self, me: _Worker, fit: dict[str, _Group]) -> _Group:
        if me.batch_key in fit:
            return fit[me.batch_key]
        at_it: dict[Hashable, int] = {}
        left: dict[Hashable, float] = {}
        for other in self._workers.values():
            if other is not me and other.share:
                at_it[other.pipeline_key] = at_it.get(other.pipeline_key, 0) + 1
        for group in fit.values():
            left[group.pipeline_key] = left.get(group.pipeline_key, 0.0) + group.cost
        loaded = [group for group in fit.values() if group.pipeline_key == me.pipeline_key]
        return max(
            loaded or fit.values(),
            key=lambda group: (left[group.pipeline_key] / (1 + at_it.get(group.pipeline_key, 0)), group.cost),
        )
