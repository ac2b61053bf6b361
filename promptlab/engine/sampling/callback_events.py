"""Turns what a call reports through a callback into events that are yielded, while the call goes on.

diffusers' pipelines and the Hub's downloads know nothing but callbacks. So the call runs on a thread of its own and
stops at each report until the event has been consumed: there is never more than one of the two threads at work, and
order, memory and settings are those of a plain call.

Invariant: when the generator is left early, the call is ended at its next report, and has ended before the generator
has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["reported"]

_Event = TypeVar("_Event")
_Result = TypeVar("_Result")


class _Abandoned(BaseException):
    """Ends a call whose events nobody wants any more; no handler of errors may take it for one."""


def reported(call: Callable[[Callable[[_Event], None]], _Result]) -> Generator[_Event, None, _Result]:
    """Run ``call`` and yield what it reports; return what it returns.

    Args:
        call: given the function to report by, which may be called from any of its threads.

    Raises:
        Exception: whatever ``call`` raises.
    """
    events: SimpleQueue[tuple[_Event] | None] = SimpleQueue()
    reporting, consumed, left = threading.Lock(), threading.Semaphore(0), threading.Event()
    outcome: Future[_Result] = Future()

    def report(event: _Event) -> None:
        with reporting:
            if not left.is_set():
                events.put((event,))
                consumed.acquire()
        if left.is_set():
            raise _Abandoned

    def run() -> None:
        try:
            outcome.set_result(call(report))
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            outcome.set_exception(error)
        events.put(None)

    thread = threading.Thread(target=run, name="reported", daemon=True)
    thread.start()
    try:
        while (item := events.get()) is not None:
            yield item[0]
            consumed.release()
        return outcome.result()
    finally:
        left.set()
        consumed.release()
        thread.join()
