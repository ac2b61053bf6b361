"""Sends one request to a server and follows its events, with Ctrl-C as it is without one.

Ctrl-C once asks the server to finish the images under way, twice to stop at once; a third time the client leaves. When
this process is killed instead, its job goes on.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from promptlab import __version__
from promptlab.errors import ServerError, from_dict
from promptlab.serving.connection import Endpoint, Response, ServerGone, no_server, request, requested
from promptlab.serving.messages import JobRequest
from promptlab.wire import encode

if TYPE_CHECKING:
    from promptlab.lab.execution.events import Event, Watch

__all__ = ["FindServer", "carry_out"]

FindServer = Callable[[bool], Endpoint]
"""Finds a server, or starts one; with True, another in place of the one that it found last, which is ending."""

_ATTEMPTS: Final = 3
_PRESSES: Final = 3
"""So many times Ctrl-C, and the client leaves whatever the server does."""


def carry_out(find: FindServer, asked: JobRequest, arguments: Mapping[str, Any], watch: Watch) -> tuple[Any, str]:
    """Ask a server for a verb; return its result as plain values, and the server's version.

    Args:
        watch: told of the events, on this thread.

    Raises:
        PromptLabError: what the verb raised there.
        ServerError: when the server is gone before it ended.
        KeyboardInterrupt: when it was stopped.
    """
    posted = {"promptlab": __version__, "request": encode(asked), "arguments": encode(dict(arguments))}
    for attempt in range(_ATTEMPTS):
        try:
            outcome = _Following(find(attempt > 0), watch).follow(posted)
        except ServerGone:  # it ended between being found and being asked
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        if outcome is not None:
            return outcome
    raise ServerError("every server that was found was about to end; type the command again")


class _Following:
    """Follows one job from the request to its end."""

    def __init__(self, address: Endpoint, watch: Watch) -> None:
        self._address, self._watch = address, watch
        self._job: str | None = None
        self._theirs = "?"
        self._begun = False
        self._presses = 0

    def follow(self, posted: Mapping[str, Any]) -> tuple[Any, str] | None:
        """Return the result and the version of the server, or None where it ends before it began with the job."""
        with self._pressed_by_ctrl_c(), requested(self._address, "POST", "/jobs", posted) as response:
            for line in _lines(response, self._address):
                if "accepted" in line:
                    self._job, self._theirs = line["accepted"]["job"], line["accepted"]["promptlab"]
                    for _ in range(self._presses):
                        self._cancel()
                elif "event" in line:
                    self._begun = self._begun or line["event"].get("type") != "JobWaiting"
                    self._hear(_event(line["event"], self._theirs))
                else:
                    return self._outcome(line)
        if self._job is None:
            raise ServerGone(f"the server at {self._address} ended before it answered")
        log = "" if self._address.log is None else f" (its log: {self._address.log})"
        if self._begun:
            raise ServerError(f"the server is gone before the end{log}; what was made stays")
        raise ServerError(f"the server is gone before it began{log}; type it again")

    def _outcome(self, line: Mapping[str, Any]) -> tuple[Any, str] | None:
        if "result" in line:
            return line["result"], self._theirs
        if "error" in line:
            raise from_dict(line["error"])
        if "interrupted" in line:
            raise KeyboardInterrupt
        if "unexpected" in line:
            raise _unexpected(line["unexpected"])
        return None

    def _hear(self, event: Event) -> None:
        try:
            self._watch(event)
        except BaseException:  # as in one process, what the watcher raises ends the job
            self._cancel()
            self._cancel()
            raise

    def _cancel(self) -> None:
        if self._job is not None:
            with suppress(ServerError):
                request(self._address, "POST", f"/jobs/{self._job}/cancel")

    @contextmanager
    def _pressed_by_ctrl_c(self) -> Iterator[None]:
        """Pass Ctrl-C on to the server; outside the main thread no signal arrives."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def pressed(_number: int, _frame: FrameType | None) -> None:
            self._presses += 1
            if self._presses >= _PRESSES:
                raise KeyboardInterrupt
            self._cancel()

        before = signal.signal(signal.SIGINT, pressed)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _event(plain: Any, theirs: str) -> Event:
    # Imported once the server is at work: what it tells takes longer to import than to ask for.
    from promptlab.lab.execution.events import Event
    from promptlab.wire import decode

    event: Event = decode(Event, plain, theirs=theirs)
    return event


def _lines(response: Response, address: Endpoint) -> Iterator[dict[str, Any]]:
    """Yield the objects of a response, until it ends or breaks off.

    Raises:
        ServerError: for a line that is none: a proxy answers, or another program.
    """
    with suppress(OSError):
        while line := response.readline():
            if not line.endswith(b"\n") and response.status == 200:
                return  # the server died within it
            try:
                told = dict(json.loads(line))
            except (ValueError, TypeError):
                raise no_server(address, response) from None
            yield told


def _unexpected(told: Mapping[str, str]) -> Exception:
    """Return an exception of the name that the server's had, which nobody expected."""
    error: Exception = type(told["type"], (RuntimeError,), {})(told["message"])
    error.add_note(told["trace"])
    return error
