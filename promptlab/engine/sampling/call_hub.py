"""Runs the calls of many images at once: each is diffusers' own, and their forwards meet here.

Every image is a call of its pipeline at batch 1, in a greenlet: a function that can be left in the middle and gone on
with. Where it calls its denoiser, or decodes, it is left: the call has become a request. Requests that are alike
(:mod:`promptlab.engine.sampling.signature`) are answered by one forward of a fixed number of rows
(:mod:`promptlab.engine.sampling.forward_runner`), and each image goes on with its own. So images with schedulers,
steps, words and guidance of their own share forwards, and no loop of any pipeline is written again.

Invariant: whichever images wait, the modules are as they were between two calls of :class:`Hub`.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import greenlet

from promptlab.engine.sampling.attention_state import AttentionState
from promptlab.engine.sampling.forward_runner import Answer, ForwardRunner, Request
from promptlab.engine.sampling.graphs import GraphCache
from promptlab.engine.sampling.modules import Method, caught_methods, text_encoders
from promptlab.engine.sampling.reading import Readers
from promptlab.engine.sampling.text_memory import TextMemory, is_alone

__all__ = ["Ended", "Hub", "Known", "Waits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Says that an image waits for a forward: with those of the same ``lane``.

    Args:
        decodes: whether it is there to be decoded.
    """

    lane: Hashable
    decodes: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ended:
    """Says that an image's call is over.

    Args:
        output: what it gave.
        problem: why it gave nothing.
        decoded_again: whether its decoding was done in float32, see :mod:`promptlab.engine.sampling.fp32_fallback`.
    """

    output: Any = None
    problem: Exception | None = None
    decoded_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Holds what an engine remembers from one stream to the next.

    Args:
        texts: what was encoded.
        readers: which denoisers look at their company.
        graphs: forwards that were recorded.
    """

    texts: TextMemory = field(default_factory=TextMemory)
    readers: Readers = field(default_factory=Readers)
    graphs: GraphCache = field(default_factory=GraphCache)


class _Call(greenlet.greenlet):
    """Holds one image's call, and what it waits for."""

    request: Request | None = None
    decoded_again: bool = False


class Hub:
    """Runs calls of one pipeline; see the module.

    Args:
        pipeline: loaded; calls are made with copies of it.
        rows: images that share a forward.
        decoded: images that are decoded together, and copies of a text that are encoded together.
        known: what is remembered of the pipelines before.
        weights: tells whose texts and graphs are remembered.
        graphs: whether forwards are replayed, see :mod:`promptlab.engine.sampling.graphs`.
    """

    def __init__(
        self, pipeline: Any, *, rows: int, decoded: int, known: Known, weights: Hashable, graphs: bool = False
    ) -> None:
        self._texts, self._weights = known.texts, weights
        self._calls: dict[int, _Call] = {}
        self._methods = caught_methods(pipeline, rows, decoded)
        self._encoders = text_encoders(pipeline, decoded)
        self._attention = AttentionState(pipeline)
        if graphs:
            known.graphs.belong_to(weights)
        else:
            known.graphs.drop()  # what is not replayed needs no memory
        self._runner = ForwardRunner(known.readers, self._attention, known.graphs if graphs else None)

    @property
    def alone(self) -> tuple[str, ...]:
        """Return why forwards are not shared: a sentence for each module whose are not."""
        return tuple(self._runner.alone.values())

    @property
    def idle(self) -> bool:
        """Say whether no call is under way."""
        return not self._calls

    def decodes(self, place: int) -> bool:
        """Say whether the image at ``place`` waits to be decoded."""
        request = self._calls[place].request
        return request is not None and request.method.decodes

    def begin(self, place: int, run: Callable[[], Any]) -> Waits | Ended:
        """Begin an image's call and run it up to its first request."""

        def body() -> Ended:
            try:
                return Ended(output=run())
            except Exception as problem:  # noqa: BLE001 - whoever began it says whose it is
                return Ended(problem=problem)

        call = _Call(body)
        call.gr_context = contextvars.copy_context()
        self._calls[place] = call
        return self._resume(place, call.switch)

    def forward(self, places: Sequence[int]) -> list[tuple[int, Waits | Ended]]:
        """Run one forward for images of one lane, and each of their calls up to its next request.

        Raises:
            Exception: when there is too little memory.
        """
        requests = [request for place in places if (request := self._calls[place].request) is not None]
        with self._attention.turn_of(places[0]):
            answers = self._runner.answers(requests)
        return [(place, self._answer(place, answer)) for place, answer in zip(places, answers, strict=True)]

    def close(self) -> None:
        """End every call that is not over, in the middle of what it does."""
        import torch

        calls, self._calls = self._calls, {}
        with torch.inference_mode():  # a pipeline's own ``no_grad`` puts back what it found, which is not ours
            for call in calls.values():
                with suppress(greenlet.error, ValueError):  # begun in another thread: it ends with that one
                    call.parent = greenlet.getcurrent()
                    call.throw(greenlet.GreenletExit)

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Intercept calls of the pipeline's modules in the block: what images ask for becomes requests."""
        caught = [(each, self._asking(each)) for each in self._methods]
        caught += [(each, self._remembering(each)) for each in self._encoders]
        before = [vars(each.module).get(each.name) for each, _ in caught]
        try:
            for each, replaced in caught:
                vars(each.module)[each.name] = replaced
            yield
        finally:
            for (each, _), own in zip(caught, before, strict=True):
                if own is None:
                    vars(each.module).pop(each.name, None)
                else:
                    vars(each.module)[each.name] = own

    def _asking(self, method: Method) -> Callable[..., Any]:
        @wraps(method.original)
        def ask(*args: Any, **kwargs: Any) -> Any:
            call = greenlet.getcurrent()
            if not isinstance(call, _Call) or call.parent is None:
                return method.original(*args, **kwargs)
            request = self._runner.request(method, args, kwargs)
            if method.decodes and method.rows == 1:
                answer = self._runner.plain(request)
                call.decoded_again = call.decoded_again or answer.decoded_again
                return answer.output
            call.request = request
            return call.parent.switch(request)

        return ask

    def _remembering(self, encoder: Method) -> Callable[..., Any]:
        def encode(*args: Any, **kwargs: Any) -> Any:
            return self._runner.filled_up(encoder, args, kwargs)

        @wraps(encoder.original)
        def remembered(*args: Any, **kwargs: Any) -> Any:
            which = self._weights, encoder.part, 1 if is_alone() else encoder.rows
            return self._texts.encoded(which, encode, args, kwargs, otherwise=encoder.original)

        return remembered

    def _answer(self, place: int, answer: Answer) -> Waits | Ended:
        call, problem = self._calls[place], answer.problem
        call.decoded_again = call.decoded_again or answer.decoded_again
        if problem is not None:
            return self._resume(place, lambda: call.throw(problem))
        return self._resume(place, lambda: call.switch(answer.output))

    def _resume(self, place: int, go_on: Callable[[], Any]) -> Waits | Ended:
        """Let a call go on until it asks for something, or is over."""
        call = self._calls[place]
        call.request, call.parent = None, greenlet.getcurrent()
        with self._attention.turn_of(place):
            told = go_on()
        if isinstance(told, Request):
            return Waits(lane=told.lane, decodes=told.method.decodes)
        del self._calls[place]
        self._attention.forget(place)
        if not isinstance(told, Ended):
            raise TypeError(f"a call ended with {told!r}")
        return Ended(output=told.output, problem=told.problem, decoded_again=call.decoded_again)
