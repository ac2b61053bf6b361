"""Finds out which images a failed forward was failed by, and says what became of each request.

A forward that fails for an unknown reason takes all its images along. So they are tried one by one, padded to the same
shape: their bytes are those of the batch. Where none of them can be made, it would go on like this, and the rest of the
requests is not tried. A forward that is out of memory would not fit another time either: it names all that was to share
such forwards.

Invariant: every request that was begun ends in exactly one event, and is said to be begun once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

from promptlab.engine.events import EngineEvent, ForwardOutOfMemory, ImageDone, ImageFailed, ImageStarted
from promptlab.errors import OutOfMemory, PromptLabError

__all__ = ["recovered"]

_FEWEST: Final = 2
"""Images to try before it is said that none can be made: one alone may be at fault itself."""

_Generate = Callable[[Sequence[str]], Iterator[EngineEvent]]


def recovered(generate: _Generate, ids: Sequence[str], going: Callable[[], bool]) -> Iterator[EngineEvent]:
    """Make the images of requests, all of one batch key, whatever becomes of single forwards.

    Args:
        generate: makes some of them, by the ids of their requests; only PromptLab's own errors leave it.
        ids: of all of them.
        going: whether more images may be begun.
    """
    return _Recovery(generate, ids, going).events()


class _Recovery:
    def __init__(self, generate: _Generate, ids: Sequence[str], going: Callable[[], bool]) -> None:
        self._generate, self._going = generate, going
        self._left = dict.fromkeys(ids)
        """In order; an id goes when its request has ended."""
        self._started: set[str] = set()

    def events(self) -> Iterator[EngineEvent]:
        while self._left and self._going():
            error = yield from self._attempt(tuple(self._left))
            if error is None:
                return
            if isinstance(error, OutOfMemory):
                yield ForwardOutOfMemory(request_ids=tuple(self._left), rows=error.rows)
                return
            yield from self._one_by_one(error)

    def _attempt(self, ids: Sequence[str]) -> Generator[EngineEvent, None, PromptLabError | None]:
        """Pass on what happens; return what ended it, without its frames, which keep tensors."""
        try:
            for event in self._generate(ids):
                match event:
                    case ImageStarted(request_id=one):
                        if one in self._started:
                            continue
                        self._started.add(one)
                    case ImageDone(request_id=one) | ImageFailed(request_id=one):
                        del self._left[one]
                    case _:
                        pass
                yield event
        except PromptLabError as error:
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        return None

    def _one_by_one(self, error: PromptLabError) -> Iterator[EngineEvent]:
        """Try the images of the forward that ``error`` ended, one by one."""
        under_way = [one for one in self._left if one in self._started]
        waiting = [one for one in self._left if one not in self._started]
        suspects = under_way + waiting[: max(0, _FEWEST - len(under_way))]
        reasons: dict[str, PromptLabError] = {}
        for suspect in suspects:
            if not self._going():
                return
            problem = yield from self._attempt((suspect,))
            if isinstance(problem, OutOfMemory):
                yield ForwardOutOfMemory(request_ids=tuple(self._left), rows=problem.rows)
                self._left.clear()
                return
            if problem is not None:
                reasons[suspect] = problem
        if len(reasons) == len(suspects):
            reasons = dict.fromkeys(self._left, error) | reasons
        for one, reason in reasons.items():
            del self._left[one]
            yield ImageFailed.because(reason, one)
