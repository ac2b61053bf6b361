"""Sends MLflow's requests to a server elsewhere, each with a deadline and a bound on the answer.

MLflow's own settings bound the single steps of a request and not the whole: a server that sends a byte every two
seconds is waited for without end, a ``Retry-After`` of an hour is obeyed, and an answer without an end is read into
memory. So the request is made on a thread of its own, and whoever waits for it leaves when the time is over, whatever
it hangs at: a name that is looked up, a handshake, a header. Its connections are closed then, which ends the thread.

Only requests to the addresses of :func:`session_for` come here; what else uses MLflow in this process is left alone.
"""

from __future__ import annotations

import io
import math
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from requests import Response, Session
from requests.adapters import HTTPAdapter
from requests.utils import super_len
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from promptlab.tracking.deadlines import Deadlines
from promptlab.tracking.internals import requests_entrance
from promptlab.tracking.server_health import SILENT_SECONDS, Unanswered

__all__ = ["BoundedSession", "session_for"]

LARGEST_BODY: Final = 64 * 2**20
"""Bytes of an answer. A page of a thousand runs with long descriptions has ten million."""

UPLOAD_RATE: Final = 1e6
"""Bytes a second. What is uploaded extends the deadlines by as long as it takes at this rate."""

BUSY: Final = frozenset({429, 503})
"""Statuses with which a server asks to be left alone for a while."""

INTERRUPTED: Final = "was not waited for any longer"

_REDIRECTS: Final = "MLFLOW_ALLOW_HTTP_REDIRECTS"
"""MLflow's variable by which its user forbids to follow a server elsewhere."""

_UNTIL: ContextVar[float] = ContextVar("until", default=math.inf)
"""When the telling that a request belongs to has to be over, in monotonic seconds."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Exchange:
    """Represents a request under way, and what came of it."""

    done: threading.Event = field(default_factory=threading.Event)
    response: Response | None = None
    error: Exception | None = None
    interrupted: bool = False


class _Adapter(HTTPAdapter):
    """Reads answers whole, up to :data:`LARGEST_BODY`, and can close the connections that are in use."""

    def __init__(self) -> None:
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def send(self, request: Any, *args: Any, **options: Any) -> Response:
        """Send ``request`` and read its answer; whoever asks for its content finds it read."""
        response = super().send(request, *args, **options | {"stream": True})
        body = io.BytesIO()
        for chunk in response.raw.stream(2**16, decode_content=True):
            if body.tell() + len(chunk) > LARGEST_BODY:
                response.close()
                raise Unanswered(f"answers without an end, with more than {LARGEST_BODY // 2**20} MiB")
            body.write(chunk)
        body.seek(0)
        response.raw.release_conn()
        response.raw = body
        return response

    def abandon(self) -> None:
        """Close the connections that are in use, which ends whatever waits for them."""
        for connection in list(self._connections):
            if (used := connection.sock) is not None:
                with suppress(OSError):
                    socket.socket.shutdown(used, socket.SHUT_RDWR)

    def _pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Return urllib3's pools, with connections that we keep sight of."""
        known = self._connections

        class Connection(HTTPConnection):
            def connect(self) -> None:
                known.add(self)
                super().connect()

        class SecureConnection(HTTPSConnection):
            def connect(self) -> None:
                known.add(self)
                super().connect()

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        return {"http": Pool, "https": SecurePool}


class BoundedSession:
    """Makes the requests to one server.

    Args:
        deadlines: how long a call, and the telling of a run, may take.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._adapter = _Adapter()
        self._session = Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)
        self._under_way: set[_Exchange] = set()
        self._silent_until = 0.0

    @contextmanager
    def telling(self) -> Iterator[float]:
        """Give the calls of the block one deadline together; yield the seconds until then."""
        before = _UNTIL.set(time.monotonic() + self._deadlines.telling)
        try:
            yield self._deadlines.telling
        finally:
            _UNTIL.reset(before)

    def interrupt(self) -> None:
        """Let calls under way, and those of the next minute, fail at once; for other threads to call."""
        self._silent_until = time.monotonic() + SILENT_SECONDS
        for exchange in list(self._under_way):
            exchange.interrupted = True
            exchange.done.set()

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Make a request, once more where a busy server asks for no longer pause than there is time.

        Raises:
            Unanswered: when the server did not answer within the deadline, at all, or to an end.
        """
        sent = super_len(options.get("data") or b"")
        if sent:
            _UNTIL.set(_UNTIL.get() + sent / UPLOAD_RATE)
        until = min(time.monotonic() + self._deadlines.call + sent / UPLOAD_RATE, _UNTIL.get())
        while True:
            response = self._exchange(partial(self._session.request, method, url, **options), until)
            if response.status_code not in BUSY:
                return response
            asked = _retry_after(response)
            if asked is None or time.monotonic() + asked >= until:
                pause = "" if asked is None else f", and wants to be left alone for {asked:.0f} s"
                raise Unanswered(f"is busy (status {response.status_code}{pause})")
            self._wait(_Exchange(), asked)
            if sent:
                options["data"].seek(0)  # a file, from its beginning

    def _exchange(self, send: Callable[..., Response], until: float) -> Response:
        """Send on a thread of its own, and wait for the answer until the time is over."""
        seconds = until - time.monotonic()
        if time.monotonic() < self._silent_until:
            raise Unanswered(INTERRUPTED)
        if seconds <= 0:
            raise Unanswered("does not answer in time")
        exchange, answered = _Exchange(), False
        work = partial(_carry_out, exchange, partial(send, timeout=seconds + 1))  # the waiting ends first
        try:
            threading.Thread(target=work, daemon=True, name="tracking").start()
            answered = self._wait(exchange, seconds)
        finally:
            if not answered:
                self._adapter.abandon()
        if answered and exchange.response is not None:
            return exchange.response
        if answered and exchange.error is not None:
            raise _unanswered(exchange.error) from exchange.error
        raise Unanswered(f"does not answer within {self._deadlines.call:g} s")

    def _wait(self, exchange: _Exchange, seconds: float) -> bool:
        """Wait for ``exchange``, and return whether it is over.

        Raises:
            Unanswered: when it was interrupted.
        """
        self._under_way.add(exchange)
        try:
            over = exchange.done.wait(seconds)
        finally:
            self._under_way.discard(exchange)
        if exchange.interrupted:
            raise Unanswered(INTERRUPTED)
        return over


def session_for(url: str, deadlines: Deadlines) -> BoundedSession:
    """Return the session through which MLflow's requests to addresses below ``url`` go from now on."""
    session = _SESSIONS[url] = BoundedSession(deadlines)
    _enter_mlflow()
    return session


_SESSIONS: Final[dict[str, BoundedSession]] = {}


def _enter_mlflow() -> None:
    """See that MLflow hands requests to our servers to our sessions, from the first call on."""
    entrance = requests_entrance()
    if entrance is None:
        return
    original = getattr(*entrance)
    if getattr(original, "is_bounded", False):
        return

    def send(method: str, url: str, *retries: Any, **options: Any) -> Any:
        session = next((one for base, one in _SESSIONS.items() if url.startswith(f"{base}/")), None)
        if session is None:
            return original(method, url, *retries, **options)
        passed = {name: value for name, value in options.items() if name in _PASSED and value is not None}
        passed.setdefault("allow_redirects", os.environ.get(_REDIRECTS, "true").lower() in ("true", "1"))
        return session.request(method, url, **passed)

    send.is_bounded = True  # type: ignore[attr-defined]
    setattr(*entrance, send)


_PASSED: Final = frozenset({"headers", "params", "data", "json", "files", "auth", "cert", "verify", "allow_redirects"})
"""Lists what MLflow says of a request, other than how long to wait and how often to try."""


def _carry_out(exchange: _Exchange, send: Callable[[], Response]) -> None:
    try:
        exchange.response = send()
    except Exception as error:  # noqa: BLE001 - raised again by whoever waits
        exchange.error = error
    exchange.done.set()


def _retry_after(response: Response) -> float | None:
    """Return the seconds for which a server asks to be left alone; dates are not read."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


_REASONS: Final = (
    ("refused", "refuses the connection"),
    ("resolve", "has a name that nobody knows"),
    ("certificate", "has a certificate that is not trusted"),
)


def _unanswered(error: Exception) -> Unanswered:
    if isinstance(error, Unanswered):
        return error
    text = str(error).lower()
    return Unanswered(next((reason for sign, reason in _REASONS if sign in text), "cannot be reached"))
