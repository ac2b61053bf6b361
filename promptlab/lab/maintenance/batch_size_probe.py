"""Tries out how many images fit into one forward, in a few steps, and remembers it.

An accelerator says when it is out of memory, and nothing is lost. A CPU does not: the system stops the process, or
everything grows slow. So there a forward fits when its peak is at most :data:`SHARE` of the memory there is, and a size
is only tried when what the smaller ones took, continued in a straight line, stays below that.

Invariant: what is remembered was measured, in the environment it is asked for in; whether it fits is asked anew of the
memory there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from promptlab.engine import (
    NO_PERMISSIONS,
    Engine,
    EngineEvent,
    ImageDone,
    Permissions,
    StepDone,
    finished_images,
)
from promptlab.errors import InputError, OutOfMemory
from promptlab.lab.execution.events import BatchSizeChosen, ProbeStarted, Watch
from promptlab.plan import ResolvedSpec, requests_of
from promptlab.records import ProbeRecord, ProbeTrial
from promptlab.specs import AUTO, RunSpec
from promptlab.store.notebook import Notebook

__all__ = ["MOST", "SHARE", "SIZES", "STEPS", "Prober", "probe_key"]

STEPS: Final = 3
"""Of a forward that is tried out: the first is left out of what a step takes."""

SHARE: Final = 0.8
"""Of the memory there is on a CPU, that a forward may take: the rest is for everything else that runs."""

SIZES: Final = (1, 2, 4, 8)
"""The batch sizes of ``promptlab probe``."""

MOST: Final = 64
"""Images of a forward above which more would not be quicker."""


def probe_key(resolved: ResolvedSpec, environment_hash: str) -> str:
    """Return the hash of what decides the memory of a forward: weights, size, dtype, guidance, device."""
    spec = resolved.spec
    guided = spec.call.guidance_scale is None or spec.call.guidance_scale > 1
    call = replace(spec.call, num_inference_steps=None, guidance_scale=2.0 if guided else 1.0)
    plain = replace(spec, call=call, pipeline=replace(spec.pipeline, scheduler=None), batch_size=None)
    return f"{replace(resolved, spec=plain).setting_key[:32]}{environment_hash[:32]}"


class Prober:
    """Tries out forwards.

    Args:
        notebook: where it is remembered.
        permissions: what the engine may do.
    """

    def __init__(
        self, engine: Engine, notebook: Notebook, watch: Watch, *, permissions: Permissions = NO_PERMISSIONS
    ) -> None:
        self._engine, self._notebook, self._watch, self._permissions = engine, notebook, watch, permissions
        self._warm: set[str] = set()
        self.tried = 0

    def settled(self, specs: Sequence[RunSpec]) -> tuple[RunSpec, ...]:
        """Return ``specs`` with a number in place of ``auto``: the largest that fits, no more than images.

        Raises:
            OutOfMemory: when not even one image fits.
            EngineError: when a model would not load.
        """
        wanted = [spec for spec in specs if spec.batch_size == AUTO]
        found: dict[int, RunSpec] = {}
        for spec, resolved in zip(wanted, self._engine.resolve(wanted, permissions=self._permissions), strict=True):
            before = self.tried
            size = self.largest(resolved)
            self._watch(BatchSizeChosen(batch_size=size, tried=self.tried - before))
            found[id(spec)] = replace(spec, batch_size=size)
        return tuple(found.get(id(spec), spec) for spec in specs)

    def largest(self, resolved: ResolvedSpec) -> int:
        """Find the most images of ``resolved`` that fit into one forward.

        Twice as many each time, until they do not fit; then between the two. Sizes at which images would not share a
        forward (see :attr:`promptlab.plan.ResolvedSpec.rows`) gain nothing and are left out.
        """
        most = min(resolved.spec.image_count, MOST)
        sizes = [size for size in range(1, most + 1) if resolved.at(size).rows == size]
        known = self._notebook.probe_trials(self._key(resolved))
        fits, low, high = self._asker(resolved, known), 0, len(sizes)
        if not fits(sizes[0]):
            raise OutOfMemory(rows=1)
        while high - low > 1:
            doubled = next((at for at in range(low + 1, high) if sizes[at] >= 2 * sizes[low]), high - 1)
            middle = doubled if high == len(sizes) else (low + high) // 2
            low, high = (middle, high) if fits(sizes[middle]) else (low, middle)
        return sizes[low]

    def table(self, spec: RunSpec, sizes: Sequence[int], slicing: Sequence[bool]) -> ProbeRecord:
        """Measure every size, with and without attention slicing, until one does not fit.

        Raises:
            InputError: for what is wrong with ``spec``.
        """
        first = self._resolve(spec.vary(attention_slicing=slicing[0], batch_size=sizes[0]))
        tried: list[ProbeTrial] = []
        why = None
        for sliced in slicing:
            try:
                resolved = self._resolve(spec.vary(attention_slicing=sliced, batch_size=sizes[0]))
            except InputError as error:
                if not sliced or len(slicing) == 1:
                    raise
                why = error.problem
                continue
            fits = self._asker(resolved, {}, tried)
            for size in sizes:
                if not fits(size):
                    break
        available = self._engine.available_memory(first.device)
        return ProbeRecord(
            spec=first.spec, device=first.device, model_identity=first.model_identity, vae_identity=first.vae_identity,
            environment=first.environment, probed_at=datetime.now(UTC), measured_steps=_steps(first),
            available=available, limit=_limit(first.device, available), tried=tuple(tried), unsliced_only=why,
        )  # fmt: skip

    def _key(self, resolved: ResolvedSpec) -> str:
        return probe_key(resolved, resolved.environment.hash)

    def _asker(
        self, resolved: ResolvedSpec, known: Mapping[int, ProbeTrial], tried: list[ProbeTrial] | None = None
    ) -> Callable[[int], bool]:
        """Says whether a size fits: from what is known, by a straight line through it, or by trying."""
        measured = {} if tried is not None else dict(known)

        def fits(size: int) -> bool:
            limit = _limit(resolved.device, self._engine.available_memory(resolved.device))
            if size not in measured:
                expected = _expected(size, measured)
                if resolved.device == "cpu" and expected is not None and expected > limit:
                    measured[size] = ProbeTrial(batch_size=size, fits=False)
                else:
                    measured[size] = self._try(resolved, size)
            one = measured[size]
            one = replace(one, fits=one.fits and (one.peak_memory or 0) <= limit)
            if tried is not None:
                tried.append(replace(one, attention_slicing=resolved.spec.machine.attention_slicing))
            return one.fits

        return fits

    def _try(self, resolved: ResolvedSpec, size: int) -> ProbeTrial:
        key = self._key(resolved)
        self._watch(ProbeStarted(batch_size=size, attention_slicing=resolved.spec.machine.attention_slicing))
        self.tried += 1
        try:
            if key not in self._warm:  # weights are loaded, kernels chosen: not what a forward takes
                self._forward(resolved, 1, 1)
                self._warm.add(key)
            self._engine.available_memory(resolved.device)
            pictures, times = self._forward(resolved, size, _steps(resolved))
        except OutOfMemory:
            found = ProbeTrial(batch_size=size, fits=False)
        else:
            whole = sum(picture.seconds for picture in pictures)
            forwards = -(-size // resolved.at(size).rows)
            step = (times[-1] - times[0]) / (len(times) - 1) * forwards if len(times) > 1 else whole
            found = ProbeTrial(
                batch_size=size, fits=True, step_seconds=step, seconds=max(0.0, whole - step * max(1, len(times))),
                peak_memory=max((picture.peak_memory or 0 for picture in pictures), default=None),
            )  # fmt: skip
        self._notebook.add_probe_trial(key, found)
        return found

    def _resolve(self, spec: RunSpec) -> ResolvedSpec:
        return self._engine.resolve([spec], permissions=self._permissions)[0]

    def _forward(self, resolved: ResolvedSpec, size: int, steps: int) -> tuple[list[ImageDone], list[float]]:
        """Run one forward; return its images, and when each of its steps was done."""
        spec = resolved.spec
        few = replace(
            spec, variants=spec.variants[:1], seeds=tuple(range(size)), batch_size=size,
            call=replace(spec.call, num_inference_steps=spec.call.num_inference_steps and steps),
        )  # fmt: skip
        times: list[float] = []

        def hear(event: EngineEvent) -> None:
            if isinstance(event, StepDone):
                if event.batch == 0:
                    times.append(time.perf_counter())
            else:
                self._watch(event)

        (tried,) = self._engine.resolve([few], permissions=self._permissions)
        generation = self._engine.generate(requests_of(tried), permissions=self._permissions)
        return list(finished_images(generation, hear)), times


def _steps(resolved: ResolvedSpec) -> int:
    return min(STEPS, resolved.spec.call.num_inference_steps or STEPS)


def _limit(device: str, available: int) -> int:
    return int(available * SHARE) if device == "cpu" else available


def _expected(size: int, measured: Mapping[int, ProbeTrial]) -> float | None:
    """Estimate the bytes of ``size`` images by the two largest below; by one alone, so many times as much."""
    peaks = [(one.batch_size, one.peak_memory) for one in measured.values() if one.fits and one.peak_memory is not None]
    below = sorted(pair for pair in peaks if pair[0] < size)[-2:]
    if not below:
        return None
    last, most = below[-1]
    if len(below) == 1:
        return most * size / last
    before, less = below[0]
    return most + max(0, most - less) / (last - before) * (size - last)
