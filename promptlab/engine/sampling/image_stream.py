"""Makes the images of a stream: begins each when its turn comes, and yields it as soon as it is there.

Each turn (:mod:`promptlab.plan.step_scheduler`) is one forward, for the images whose turn it is, in
:mod:`promptlab.engine.sampling.call_hub`. Who is finished makes room for the next at once; decoding waits until enough
images are there to be decoded together.

Invariants: every request that was begun ends in exactly one event. An image that cannot be made costs only itself.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from promptlab.engine.errors import is_out_of_memory, translate_errors
from promptlab.engine.events import EngineEvent, ForwardOutOfMemory, ImageDone, ImageFailed, ImageStarted
from promptlab.engine.machine.memory import check_rows, measure_peak_memory, out_of_memory, release
from promptlab.engine.machine.options import apply_options
from promptlab.engine.sampling.call_hub import Ended, Hub, Known, Waits
from promptlab.engine.sampling.inference_context import inference_context
from promptlab.engine.sampling.pipeline_call import PipelineCall
from promptlab.engine.sampling.progress import BatchProgress
from promptlab.errors import OutOfMemory, PromptLabError
from promptlab.plan import ImageRequest
from promptlab.plan.resolved import images_per_forward
from promptlab.plan.step_scheduler import StepScheduler, forwards

__all__ = ["ImageStream", "rows_of"]

_FAILED: Final = "the images could not be made"
_FEWEST: Final = 2
"""Images that must have failed before it is said that none can be made: one alone may be at fault itself."""


def rows_of(request: ImageRequest) -> int:
    """Return how many images share the forwards that ``request`` is made in."""
    import torch

    return images_per_forward(
        request.device, request.batch_size, threads=torch.get_num_threads(), compiled=request.machine.compile
    )


def _decoded_together(request: ImageRequest, rows: int) -> int:
    """Return how many images are decoded together: one on CUDA, which it fills."""
    return 1 if request.device.startswith("cuda") else rows


class ImageStream:
    """Makes the images of requests that may share forwards; see the module.

    Args:
        pipeline: loaded; it is not changed.
        requests: all of one batch key.
        progress: of the generation that it is a part of.
        known: what the engine remembers from streams before.
        weights: tells whose texts are remembered.
        rows: images that share a forward, to try out another number than :func:`rows_of` gives.
        graphs: whether forwards may be replayed, where the machine is to.
    """

    def __init__(
        self, pipeline: Any, requests: Sequence[ImageRequest], progress: BatchProgress, known: Known,
        weights: tuple[object, ...], *, rows: int | None = None, graphs: bool = True,
    ) -> None:  # fmt: skip
        first = requests[0]
        self._pipeline, self._requests, self._progress = pipeline, requests, progress
        self._known, self._weights = known, weights
        self._device, self._dtype, self._machine = first.device, first.pipeline.dtype, first.machine
        self._rows = rows_of(first) if rows is None else rows
        steps = [each.steps or (0, each.call.num_inference_steps or 1) for each in requests]
        self._turns = StepScheduler(self._rows, steps, together=first.machine.offload is not None)
        self._forwards, self._made = forwards(self._rows, steps), 0
        self._hub = Hub(
            pipeline, rows=self._rows, decoded=_decoded_together(first, self._rows), known=known, weights=weights,
            graphs=graphs and first.machine.graphs,
        )  # fmt: skip
        self._begun: set[str] = set()
        self._left = dict.fromkeys(range(len(requests)))
        """Images that have not ended, by their places."""
        self._seconds = [0.0] * len(requests)
        self._ended: list[tuple[int, Ended]] = []
        self._copying: list[tuple[list[tuple[int, Ended]], int | None]] = []
        self._failures: list[PromptLabError] = []
        self._peak: int | None = None

    def events(self) -> Iterator[EngineEvent]:
        """Yield each image as soon as it is there, and what happens on the way."""
        try:
            rows = yield from self._until_short()
            if rows is None:
                return
            yield from self._ready(wait=True)  # of the images that are there, only the copies were under way
            if self._known.graphs.drop():
                yield from self._without_graphs()
                return
            yield ForwardOutOfMemory(request_ids=tuple(self._requests[one].id for one in self._left), rows=rows)
        finally:
            self._hub.close()
            if self._machine.offload is not None:
                self._pipeline.maybe_free_model_hooks()

    def _until_short(self) -> Generator[EngineEvent, None, int | None]:
        """Yield events until too little memory is left; return the rows of the forward that did not fit.

        The error goes no further: as long as it is handled, its frames are alive, and what they computed with.
        """
        try:
            yield from self._events()
        except OutOfMemory as error:
            return error.rows
        return None

    def _without_graphs(self) -> Iterator[EngineEvent]:
        """Make what is left by eager forwards of as many rows: graphs keep memory, batches their recipe."""
        release(self._device)
        left = [self._requests[one] for one in self._left]
        again = ImageStream(
            self._pipeline, left, self._progress, self._known, self._weights, rows=self._rows, graphs=False
        )
        for event in again.events():
            if not (isinstance(event, ImageStarted) and event.request_id in self._begun):
                yield event

    def _events(self) -> Iterator[EngineEvent]:
        while True:
            if not self._progress.going():
                self._turns.stop()
            while (place := self._turns.begin()) is not None:
                self._begun.add(self._requests[place].id)
                yield ImageStarted(request_id=self._requests[place].id)
                self._begin(place)
                yield from self._told()
            places = self._turns.turn()
            if not places:
                break
            if self._forward(places):
                yield self._progress.step(self._made, max(self._made, self._forwards))
            yield from self._told()
        yield from self._ready(wait=True)

    def _begin(self, place: int) -> None:
        began, call = time.perf_counter(), PipelineCall(pipeline=self._pipeline, request=self._requests[place])
        with self._working():
            self._note(place, self._hub.begin(place, call))
        self._seconds[place] += time.perf_counter() - began

    def _forward(self, places: Sequence[int]) -> bool:
        """Run a forward; return whether it was one of the denoiser."""
        began, decodes = time.perf_counter(), self._hub.decodes(places[0])
        with self._working():
            for place, told in self._hub.forward(places):
                self._note(place, told)
        for place in places:
            self._seconds[place] += (time.perf_counter() - began) / len(places)
        self._made += not decodes
        return not decodes

    def _note(self, place: int, told: Waits | Ended) -> None:
        if isinstance(told, Waits):
            self._turns.ask(place, told.lane, last=told.decodes)
            return
        if told.problem is not None and is_out_of_memory(told.problem):
            raise told.problem
        self._turns.end(place)
        self._ended.append((place, told))

    def _told(self) -> Iterator[EngineEvent]:
        """Yield what became of the images that ended in the last turn: those that were made are one batch."""
        ended, self._ended = self._ended, []
        made = [(place, told) for place, told in ended if told.problem is None]
        if made:
            self._copying.append((made, self._peak))
            self._peak = None
        for place, told in ended:
            if told.problem is not None:
                self._failures.append(self._reason(told.problem))
                yield self._failed(place, self._failures[-1])
        if self._is_hopeless():
            self._turns.stop()
            for place in list(self._left):
                yield self._failed(place, self._failures[0])
        yield from self._ready()

    def _ready(self, *, wait: bool = False) -> Iterator[EngineEvent]:
        """Yield the images whose copies are complete, or all."""
        while self._copying and (wait or all(told.output.ready for _, told in self._copying[0][0])):
            made, memory = self._copying.pop(0)
            for row, (place, told) in enumerate(made):
                picture = told.output.taken()
                del self._left[place]
                yield ImageDone(
                    request_id=self._requests[place].id, pixels=picture.pixels, batch=self._progress.batch, row=row,
                    seconds=self._seconds[place], environment=self._progress.environment, peak_memory=memory,
                    flag=picture.flag, decoded_in="float32" if told.decoded_again else None,
                )  # fmt: skip
            self._progress.batch += 1

    def _failed(self, place: int, reason: PromptLabError) -> ImageFailed:
        del self._left[place]
        return ImageFailed.because(reason, self._requests[place].id)

    def _is_hopeless(self) -> bool:
        """Say whether the images that are left would fail as all others did: it would go on like this."""
        alike = len(self._failures) >= _FEWEST and len({error.message for error in self._failures}) == 1
        return alike and self._hub.idle and len(self._left) + len(self._failures) == len(self._requests)

    def _reason(self, problem: Exception) -> PromptLabError:
        """Return what kept an image from being made, in the words of those who may know more of it."""
        try:
            with translate_errors(_FAILED, self._requests[0].pipeline.model), self._options():
                raise problem
        except PromptLabError as error:
            error.__cause__ = error.__context__ = None  # frames keep tensors
            return error.with_traceback(None)

    def _options(self) -> AbstractContextManager[None]:
        return apply_options(self._pipeline, self._machine)

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Compute in the block, which is left before an event is handed out: settings are the process's."""
        with (
            out_of_memory(self._rows, self._device), self._ended_without_memory(),
            measure_peak_memory(self._device) as peak, inference_context(self._device, self._dtype), self._options(),
            self._hub.catching(),
        ):  # fmt: skip
            check_rows(self._rows, self._progress.most_rows)
            yield
        self._peak = max(self._peak or 0, peak.bytes) if peak.bytes is not None else self._peak

    @contextmanager
    def _ended_without_memory(self) -> Iterator[None]:
        """End all calls where there is too little memory: they hold what is to be given back."""
        try:
            yield
        except Exception as error:
            if is_out_of_memory(error):
                self._hub.close()
            raise
