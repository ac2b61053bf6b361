"""Answers requests: those of one lane by one forward, and finds out what cannot share one.

It is found out by trying: a module whose merged forward fails, or gives something that has no row for each image, is
called for each image alone from then on; so is one whose first forward looked at numbers that depend on company
(:mod:`promptlab.engine.sampling.reading`).

Invariant: a forward has the same shape whatever company an image is in, short ones filled up with the last image's
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlab.engine.errors import is_out_of_memory
from promptlab.engine.sampling.attention_state import AttentionState
from promptlab.engine.sampling.fp32_fallback import decode_carefully
from promptlab.engine.sampling.graphs import GraphCache
from promptlab.engine.sampling.modules import Method
from promptlab.engine.sampling.reading import NumbersRead, Readers, kind_of
from promptlab.engine.sampling.rows import copied, merge_named, split
from promptlab.engine.sampling.signature import row_count, signature_of
from promptlab.engine.sampling.text_memory import is_alone
from promptlab.errors import one_line

__all__ = ["Answer", "ForwardRunner", "Request"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """Holds what an image asks for: a call of a module that was caught.

    Args:
        method: what was called, with ``args`` and ``kwargs``.
        rows: of the call.
        lane: equal for requests that may share a forward.
        kind: of the call, see :func:`promptlab.engine.sampling.reading.kind_of`.
    """

    method: Method
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rows: int
    lane: Hashable
    kind: Hashable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """Holds what a request is answered with: what its forward gave, or why it gave nothing."""

    output: Any = None
    problem: Exception | None = None
    decoded_again: bool = False


class ForwardRunner:
    """Runs the forwards of one stream; see the module.

    Args:
        readers: remembers which denoisers look at their company.
        attention: the processors that calls put into a denoiser.
        graphs: replays forwards that came before; None where all are to be eager.

    Attributes:
        alone: why forwards are not shared, a sentence for each module whose are not.
    """

    def __init__(self, readers: Readers, attention: AttentionState, graphs: GraphCache | None = None) -> None:
        self._readers, self._attention, self._graphs = readers, attention, graphs
        self.alone: dict[tuple[int, str], str] = {}

    def request(self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        """Return what a call of ``method`` asks for, and with what it may share a forward."""
        rows = row_count(args, kwargs)
        lane: Hashable = method.key
        kind = kind_of(method.module, method.parameters, args, kwargs)
        if method.rows > 1:
            lane = (method.key, rows, self._lane(method, kind, args, kwargs, rows))
        return Request(method=method, args=args, kwargs=kwargs, rows=rows, lane=lane, kind=kind)

    def _lane(
        self, method: Method, kind: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any], rows: int
    ) -> Hashable:
        """Return what must be equal for a request of ``method`` to share a forward."""
        reading = self._readers.reading(kind)
        if reading is NumbersRead.LATENTS:
            self.alone.setdefault(method.key, f"{method.part}: its rows depend on each other")
        if method.key in self.alone:
            return object()  # equal to nothing
        masks = reading is NumbersRead.MASKS or method.compiled  # which is not Python that could be watched
        return self._attention.kind(method.module), signature_of(method.parameters, args, kwargs, rows, masks=masks)

    def filled_up(self, encoder: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Encode a text beside nothing but copies of itself, up to the rows of a full forward.

        An encoder that takes one text at a time is given one, always.
        """
        if encoder.rows > 1 and not is_alone():
            rows = row_count(args, kwargs)
            try:
                merged_args, merged = merge_named(encoder.parameters, [(args, kwargs)] * encoder.rows, rows)
                return copied(split(encoder.original(*merged_args, **merged), 0, encoder.rows, rows))
            except Exception as problem:
                if is_out_of_memory(problem):
                    raise  # in its own shape it might fit, and would be another text
        return encoder.original(*args, **kwargs)

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """Run a forward; where it fails, find out for which images, or whether it can be shared at all."""
        first, method = requests[0], requests[0].method
        if method.rows == 1 or method.key in self.alone:
            return [self._tried(self.plain, request) for request in requests]
        before = self._readers.reading(first.kind)
        try:
            answers = self._together(requests)
        except Exception as problem:
            if is_out_of_memory(problem):
                raise
            return [self._by_itself(request) for request in requests]
        reading = self._readers.reading(first.kind)
        alone = len(requests) == 1 and reading is not NumbersRead.LATENTS
        return answers if reading is before or alone else self._sorted_out(requests)

    def _sorted_out(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer requests that were thought to be alike, as the first forward of their kind has shown."""
        lanes: dict[Hashable, list[int]] = {}
        for place, each in enumerate(requests):
            lanes.setdefault(self._lane(each.method, each.kind, each.args, each.kwargs, each.rows), []).append(place)
        answers: dict[int, Answer] = {}
        for places in lanes.values():
            answers.update(zip(places, self.answers([requests[place] for place in places]), strict=True))
        return [answers[place] for place in range(len(requests))]

    def _by_itself(self, request: Request) -> Answer:
        """Answer one request in a forward of full shape, or in its own where that fails."""
        padded = self._tried(lambda one: self._together([one])[0], request)
        if padded.problem is None:
            return padded
        plain = self._tried(self.plain, request)
        if plain.problem is None:
            self.alone[request.method.key] = f"{request.method.part}: {one_line(padded.problem)}"
        return plain

    def _tried(self, run: Callable[[Request], Answer], request: Request) -> Answer:
        try:
            return run(request)
        except Exception as problem:
            if is_out_of_memory(problem):
                raise
            return Answer(problem=problem)

    def _together(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer requests of one lane by one forward of the full number of rows."""
        first, method = requests[0], requests[0].method
        filled = [*requests, *[requests[-1]] * (method.rows - len(requests))]
        args, kwargs = merge_named(method.parameters, [(each.args, each.kwargs) for each in filled], first.rows)
        output, again = self._carried_out(first, args, kwargs)
        return [
            Answer(
                output=split(output, place, method.rows, first.rows),
                decoded_again=any(again[place :: method.rows]),
            )
            for place in range(len(requests))
        ]

    def plain(self, request: Request) -> Answer:
        """Answer a request by the very call that was caught."""
        output, again = self._carried_out(request, request.args, request.kwargs)
        return Answer(output=output, decoded_again=any(again))

    def _carried_out(self, like: Request, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, list[bool]]:
        method, run = like.method, self._replayed(like.method)
        if method.decodes:
            return decode_carefully(method.module, run, args, kwargs)
        if method.compiled:
            return method.original(*args, **kwargs), []
        return self._readers.run(like.kind, run, args, kwargs), []

    def _replayed(self, method: Method) -> Callable[..., Any]:
        """Return ``method``, by a graph wherever there is one."""
        graphs = self._graphs
        if graphs is None:
            return method.original
        kind = self._attention.kind(method.module)
        return lambda *args, **kwargs: graphs.run(method.module, method.original, args, kwargs, kind)
