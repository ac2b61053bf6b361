"""Makes one generation of what many workers yield: each request ends once, batches have one count.

What a worker cannot make for want of memory or weights, another may: only when every worker has refused images, they
are what the engine's protocol calls them, out of memory or failed. An image that failed once it was begun is tried once
on another worker; one that has broken, or whose engine raised an error, is taken out, and the others go on.

Invariant: what a lost worker had yielded counts, and what it had not is made by others, once.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from promptlab.cluster.dealer import LOSSES, Dealer
from promptlab.cluster.messages import Message, ShareEnded, ShareEvents, ShareFailed, WorkerGone, WorkerReady
from promptlab.cluster.pool import WorkerPool
from promptlab.cluster.work_items import work_items
from promptlab.cluster.worker_faults import Failure, WorkerFaults
from promptlab.cluster.worker_states import WorkerStates
from promptlab.engine import (
    DevicesDiffer,
    EngineEvent,
    ForwardOutOfMemory,
    ImageDone,
    ImageFailed,
    ImageStarted,
    ModelLoaded,
    ModelLoading,
    Permissions,
    StepDone,
    WorkerLost,
    WorkerRefused,
)
from promptlab.errors import EngineError
from promptlab.plan import ImageRequest
from promptlab.records import Environment

__all__ = ["RayGeneration"]

_PATIENCE: Final = 60.0
"""Seconds without any worker before the generation ends; and for which one that is being started is waited for."""

_LOOKED: Final = 0.5
"""Seconds after which it is looked whether any worker is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    reason: str
    rows: int | None = None


class RayGeneration:
    """Implements :class:`promptlab.engine.Generation`: yields the events of all workers.

    Args:
        pool: the workers, open.
        requests: what is to be made; their ids differ.
        permissions: what the workers' engines may do.
    """

    def __init__(self, pool: WorkerPool, requests: Sequence[ImageRequest], permissions: Permissions) -> None:
        self._pool, self._permissions = pool, permissions
        self._requests = {request.id: request for request in requests}
        self._dealer = Dealer(work_items(requests))
        self._cancelled = self._stopped = False
        self._started: set[str] = set()
        self._said_out: set[str] = set()
        self._faults = WorkerFaults()
        self._taken_out: dict[str, str] = {}
        self._batches: dict[tuple[str, int, int], int] = {}
        self._shares: dict[str, int] = {}
        self._refusals: dict[str, _Refusal] = {}
        self._environments: dict[str, Environment] = {}
        self._loaded = 0.0
        self._total = sum(-(-count // rows) for rows, count in self._counts())
        self._states = WorkerStates()
        self._seen_worker = self._awaited = time.monotonic()

    def __iter__(self) -> Iterator[EngineEvent]:
        """Yield what happens at all workers.

        Raises:
            EngineError: when no worker is left, or an engine raised one.
        """
        return self._events()

    def cancel(self) -> None:
        """Share nothing out any more, and tell workers to begin no more of what they have."""
        self._cancelled = True
        self._pool.wake()

    def _events(self) -> Iterator[EngineEvent]:
        try:
            for worker, reason in dict(self._pool.refused).items() if self._requests else ():  # threads add to it
                yield from self._left_out(worker, reason)
            for worker in self._pool.ready:
                self._join(worker)
            self._deal()
            if self._requests:
                yield self._states.report(self._pool.ready)
            while self._dealer.unsettled:
                if self._cancelled and not self._stopped:
                    self._stop()
                if self._stopped and not self._dealer.under_way:
                    return
                message = self._pool.receive(_LOOKED)
                yield from self._given_up() if message is None else self._handle(message)
                self._check_workers()
                yield from self._states.due(self._pool.ready)
        finally:
            self._pool.drop()

    def _handle(self, message: Message) -> Iterator[EngineEvent]:
        worker = message.worker
        match message:
            case ShareEvents() | ShareEnded() | ShareFailed() if not self._dealer.knows(worker):
                return  # it was taken out meanwhile
            case ShareEvents(events=events):
                for event in events:
                    yield from self._hear(worker, event)
                return
            case ShareEnded():
                self._dealer.end(worker)
                self._states.idle(worker)
                yield from self._given_up()
            case WorkerReady():
                self._join(worker)
            case WorkerGone():
                yield from self._lose(message)
                self._join(worker)  # where it is back by now
                yield from self._given_up()
            case ShareFailed(error=error):
                if self._pool.size == 1:
                    raise EngineError(error.message)
                yield from self._take_out(worker, error.message)
        self._deal()

    def _hear(self, worker: str, event: EngineEvent) -> Iterator[EngineEvent]:
        """Pass on what a worker's engine yielded, as one of many."""
        self._states.hear(worker, event)
        match event:
            case ImageStarted(request_id=one):
                self._dealer.begin(worker, one)
                if one not in self._started:
                    self._started.add(one)
                    yield event
            case ImageDone(request_id=one):
                if self._dealer.settle(worker, one):
                    self._pool.made_something(worker)
                    self._dealer.trust(worker)
                    yield from self._differing(event.environment)
                    yield dataclasses.replace(event, batch=self._batch(worker, event.batch))
                    yield from self._blame(self._faults.made(one, worker))
            case ImageFailed(request_id=one, reason=reason) if not self._dealer.has_begun(worker, one):
                yield from self._refused(worker, [one], _Refusal(reason=self._at(worker, reason)))
            case ImageFailed():
                yield from self._failed(worker, event)
            case ForwardOutOfMemory(request_ids=ids, rows=rows):
                reason = self._at(worker, f"has no memory for {rows} images in one forward")
                yield from self._refused(worker, ids, _Refusal(reason=reason, rows=rows))
            case StepDone():
                batch = min(len(self._batches), self._total - 1)
                yield dataclasses.replace(event, batch=batch, batches=self._total)
            case ModelLoading(what=what) if self._pool.size > 1:
                yield dataclasses.replace(event, what=f"{what} (worker {worker})")
            case ModelLoaded(seconds=seconds):  # workers load beside each other: the longest is what it took
                yield ModelLoaded(seconds=max(0.0, seconds - self._loaded))
                self._loaded = max(self._loaded, seconds)
            case _:
                yield event

    def _failed(self, worker: str, event: ImageFailed) -> Iterator[EngineEvent]:
        """Hand what failed on this worker to another, once."""
        one = event.request_id
        if not event.of_request and not self._faults.has_failed(one) and self._has_others(worker):
            if self._dealer.try_elsewhere(worker, one):
                self._faults.note(one, Failure(worker=worker, reason=event.reason))
        elif self._dealer.settle(worker, one):
            self._acquit(one)
            yield event

    def _acquit(self, image: str) -> Failure | None:
        """Clear the worker that an image failed on: it fails elsewhere, too, or nobody else can try it."""
        failure = self._faults.take(image)
        if failure is not None:
            self._dealer.trust(failure.worker)
        return failure

    def _blame(self, failure: Failure | None) -> Iterator[EngineEvent]:
        if failure is not None and self._dealer.knows(failure.worker):
            yield from self._take_out(failure.worker, f"pictures failed that another worker made: {failure.reason}")

    def _take_out(self, worker: str, reason: str) -> Iterator[EngineEvent]:
        """Give a worker nothing more in this generation; its process is started anew for the next."""
        self._taken_out[worker] = f"{reason} (on {self._pool.host(worker)})"
        self._states.forget(worker)
        yield from self._left_out(worker, self._taken_out[worker])
        yield from self._died_with(self._dealer.leave(worker), reason)
        self._pool.restart(worker)
        yield from self._given_up()
        self._deal()

    def _has_others(self, worker: str) -> bool:
        """Say whether any worker but this one takes part, or may still."""
        return self._pool.size > len({worker, *self._taken_out, *dict(self._pool.refused)})

    def _refused(self, worker: str, ids: Sequence[str], refusal: _Refusal) -> Iterator[EngineEvent]:
        key = self._requests[ids[0]].batch_key
        known = self._refusals.get(key)
        self._refusals[key] = refusal
        self._dealer.refuse(worker, ids)
        if self._pool.size > 1 and (known is None or known.reason != refusal.reason):
            yield WorkerRefused(worker=worker, reason=refusal.reason)

    def _given_up(self) -> Iterator[EngineEvent]:
        """Yield how images ended that no worker can make, of those that are there or may come soon."""
        if self._awaits_workers():
            return
        kinds: dict[str, list[str]] = {}
        for one in self._dealer.give_up():
            if (failure := self._acquit(one)) is not None:
                yield ImageFailed(request_id=one, reason=failure.reason)
                continue
            kinds.setdefault(self._requests[one].batch_key, []).append(one)
        for key, ids in kinds.items():
            refusal = self._refusals[key]
            if refusal.rows is not None:
                yield ForwardOutOfMemory(request_ids=tuple(ids), rows=refusal.rows)
            else:
                yield from (ImageFailed(request_id=one, reason=refusal.reason) for one in ids)

    def _awaits_workers(self) -> bool:
        """Say whether a worker that is started, or started anew, may still be able to make what others cannot."""
        settled = {*self._dealer.idle(), *self._dealer.busy(), *dict(self._pool.refused), *self._taken_out}
        return len(settled) < self._pool.size and time.monotonic() - self._awaited < _PATIENCE

    def _lose(self, gone: WorkerGone) -> Iterator[EngineEvent]:
        worker = gone.worker
        self._states.forget(worker)
        self._awaited = time.monotonic()
        if gone.for_good:
            yield from self._left_out(worker, gone.reason)
        if not self._dealer.knows(worker):
            return
        before = self._dealer.under_way
        given_up = self._dealer.lose(worker)
        yield WorkerLost(worker=worker, reason=gone.reason, images=before - self._dealer.under_way)
        yield from self._died_with(given_up, gone.reason)

    def _died_with(self, images: Sequence[str], reason: str) -> Iterator[EngineEvent]:
        for one in images:
            self._faults.take(one)
            yield ImageFailed(request_id=one, reason=f"{LOSSES} workers were lost while they made it: {reason}")

    def _left_out(self, worker: str, reason: str) -> Iterator[EngineEvent]:
        """Say once that a worker takes no part: the pool knows it, and may tell it, too."""
        if worker not in self._said_out:
            self._said_out.add(worker)
            yield WorkerRefused(worker=worker, reason=reason)

    def _join(self, worker: str) -> None:
        if worker in self._pool.ready and worker not in self._taken_out:
            if not self._dealer.knows(worker):
                self._dealer.join(worker)
                self._states.idle(worker)
            self._seen_worker = time.monotonic()

    def _deal(self) -> None:
        """Give every idle worker a share, or have another give back what it has not begun."""
        for worker in self._dealer.idle():
            ids = self._dealer.deal(worker)
            if ids:
                self._shares[worker] = self._shares.get(worker, -1) + 1
                self._pool.give(worker, [self._requests[one] for one in ids], self._permissions)
            elif (victim := self._dealer.victim(worker)) is not None:
                self._pool.take_back(victim)

    def _stop(self) -> None:
        self._stopped = True
        self._dealer.stop()
        for worker in self._dealer.busy():
            self._pool.take_back(worker)

    def _check_workers(self) -> None:
        """Give workers that were lost some time to come back.

        Raises:
            EngineError: when none has.
        """
        gone = {**self._pool.refused, **self._taken_out}
        if self._pool.ready.keys() - self._taken_out.keys():
            self._seen_worker = time.monotonic()
        elif time.monotonic() - self._seen_worker > _PATIENCE or len(gone) == self._pool.size:
            why = "; ".join(f"worker {name} {reason}" for name, reason in gone.items())
            raise EngineError(f"no worker is left{f': {why}' if why else ''}; what was made stays")

    def _batch(self, worker: str, batch: int) -> int:
        return self._batches.setdefault((worker, self._shares[worker], batch), len(self._batches))

    def _differing(self, environment: Environment) -> Iterator[EngineEvent]:
        """Say once that there are two kinds of workers."""
        key = environment.hash
        if key in self._environments:
            return
        self._environments[key] = environment
        if len(self._environments) == 2:
            yield DevicesDiffer(devices=tuple(map(_device_name, self._environments.values())))

    def _at(self, worker: str, reason: str) -> str:
        """Return ``reason`` with the machine, where there are several."""
        ready = self._pool.ready
        hosts = {(facts.host, facts.node) for facts in ready.values()}
        return f"{reason} (on {ready[worker].host})" if len(hosts) > 1 and worker in ready else reason

    def _counts(self) -> Iterator[tuple[int, int]]:
        counts: dict[str, list[int]] = {}
        for request in self._requests.values():
            counts.setdefault(request.batch_key, [request.batch_size, 0])[1] += 1
        return ((rows, count) for rows, count in counts.values())


def _device_name(environment: Environment) -> str:
    facts = environment.facts
    return str(facts.get("device_name") or facts.get("device") or facts.get("engine"))
