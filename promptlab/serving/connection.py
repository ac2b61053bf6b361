"""Connects to a server: over a Unix socket that is the user's own, or by an address with a token.

Of the standard library alone: a client spends its time here before anything is asked. So at a socket it speaks the few
lines of HTTP/1.0 itself; :mod:`http.client`, which imports TLS and the reading of mails, is for other machines.

Invariant: nothing is said to a socket before it is certain that the same user listens there.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from promptlab.errors import InputError, ServerError, from_dict

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

__all__ = [
    "Endpoint",
    "Response",
    "ServerGone",
    "check_listening",
    "check_owner",
    "no_server",
    "request",
    "requested",
]

_CONNECT_TIMEOUT: Final = 10.0
_ANSWER_TIMEOUT: Final = 60.0
"""Seconds for what is answered at once: a process that loads weights may be deaf for some of them."""

_PEER: Final = struct.Struct("3i")  # Linux's struct ucred: pid, uid, gid


class ServerGone(ServerError):
    """Says that nobody listens there (any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Says where a server listens: at a ``socket``, or at ``host`` and ``port``.

    Args:
        token: what it asks for; where it listens at a socket, nothing.
        log: the file that it writes to, for errors; ``None`` on another machine.
        stamp: of the file by which it was found, which tells it from the next one there; ``None`` on another machine.
    """

    socket: Path | None = None
    host: str = "localhost"
    port: int | None = None
    tls: bool = False
    token: str | None = field(default=None, repr=False)
    log: Path | None = None
    stamp: tuple[int, int] | None = field(default=None, compare=False)

    @classmethod
    def read(cls, url: str, *, token: str | None) -> Endpoint:
        """Read ``http://HOST:PORT``.

        Raises:
            InputError: for anything else, a password in it among others: that is what the token is for.
        """
        from urllib.parse import urlsplit

        from promptlab._urls import redacted

        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        plain = not (parts.query or parts.fragment or "@" in parts.netloc) and parts.path in ("", "/")
        if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
            raise InputError(
                "server", redacted(url), problem="is no address of a server", allowed="http://HOST:PORT",
                hint="promptlab server status",
            )  # fmt: skip
        return cls(host=parts.hostname, port=port, tls=parts.scheme == "https", token=token)

    def __str__(self) -> str:
        """Return the address as one types it."""
        if self.socket is not None:
            return str(self.socket)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}" + ("" if self.port is None else f":{self.port}")


def _connected(path: Path) -> socket.socket:
    """Connect to a Unix socket, and make sure who listens."""
    check_owner(path.parent)
    check_owner(path)
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(_CONNECT_TIMEOUT)
    try:
        connected.connect(str(path))
        _refuse_stranger(path, _peer(connected), os.getuid())
    except BaseException:
        connected.close()
        raise
    return connected


class _SocketResponse:
    """Reads what HTTP/1.0 answers: a status, headers, and a body up to the end."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        version, _, rest = self._lines.readline().partition(b" ")
        if not version.startswith(b"HTTP/") or not rest[:3].isdigit():
            raise ConnectionError("it answers in no HTTP" if version else "it closed the connection")
        self.status = int(rest[:3])
        while self._lines.readline().strip():
            pass  # headers, of which none says anything else than the version does

    def readline(self) -> bytes:
        return self._lines.readline()

    def read(self) -> bytes:
        return self._lines.read()


class _HttpResponse:
    """Reads what :mod:`http.client` gives, and says of what breaks off in it what a socket would."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response, self.status = response, response.status

    def readline(self) -> bytes:
        with _as_connection_error():
            return self._response.readline()

    def read(self) -> bytes:
        with _as_connection_error():
            return self._response.read()


Response = _SocketResponse | _HttpResponse
"""Names what comes back: a status, and a body that is read by lines or whole."""


@contextmanager
def _as_connection_error() -> Iterator[None]:
    from http.client import HTTPException

    try:
        yield
    except HTTPException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def check_listening(path: Path) -> None:
    """Check that the user's own server listens at a Unix socket; nothing is said to it.

    Raises:
        ServerGone: when nobody listens there.
        ServerError: when it is somebody else's.
    """
    with _translated(path):
        _connected(path).close()


def _peer(connected: socket.socket) -> int:
    """Return the user who listens at the other end; this one, where the system does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    _, user, _ = _PEER.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(user)


def check_owner(path: Path, *, user: int | None = None) -> None:
    """Check that a file or folder is the user's own, and that nobody else may write to it.

    Args:
        user: whose it has to be; of this process by default.

    Raises:
        ServerError: when it is not.
        OSError: when there is none.
    """
    about = path.lstat()
    _refuse_stranger(path, about.st_uid, os.getuid() if user is None else user)
    if path.is_dir() and about.st_mode & 0o077:
        raise ServerError(f"{path} is open to others; type: chmod 700 {path}")


def _refuse_stranger(path: Path, found: int, wanted: int) -> None:
    if found != wanted:
        raise ServerError(f"{path} belongs to another user (number {found}), who is not trusted with what is asked")


@contextmanager
def requested(
    address: Endpoint,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
) -> Iterator[Response]:
    """Send a request; give its response, whose lines may come for as long as the context lasts.

    Args:
        timeout: seconds without an answer; a model may load for minutes before the first line of a job.

    Raises:
        ServerGone: when nobody listens, or no more.
        ServerError: when the server refuses, or is not the user's own.
        PromptLabError: what the server says is wrong with the request.
    """
    text = b"" if body is None else json.dumps(body).encode()
    if address.socket is not None:
        with _translated(address):
            connected = _connected(address.socket)
        with connected, connected.makefile("rb") as lines:
            with _translated(address):
                response = _asked_at_socket(connected, lines, method, path, text, timeout)
            yield _accepted(address, response)
        return
    connection = _http_connection(address)
    try:
        with _translated(address):
            there = _asked_elsewhere(connection, address, method, path, text, timeout)
        yield _accepted(address, there)
    finally:
        connection.close()


@contextmanager
def _translated(address: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServerGone(f"the server at {address} does not answer: {error or type(error).__name__}") from error


def _asked_at_socket(
    connected: socket.socket, lines: BinaryIO, method: str, path: str, text: bytes, timeout: float | None
) -> Response:
    connected.settimeout(timeout)
    head = f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connected.sendall(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
    return _SocketResponse(lines)


def _http_connection(address: Endpoint) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection

    kind = HTTPSConnection if address.tls else HTTPConnection
    return kind(address.host, address.port, timeout=_CONNECT_TIMEOUT)


def _asked_elsewhere(
    connection: HTTPConnection, address: Endpoint, method: str, path: str, text: bytes, timeout: float | None
) -> Response:
    headers = {"Content-Type": "application/json"}
    if address.token is not None:
        headers["Authorization"] = f"Bearer {address.token}"
    with _as_connection_error():
        connection.connect()
        connection.sock.settimeout(timeout)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.request(method, path, text or None, headers)
        return _HttpResponse(connection.getresponse())


def _accepted(address: Endpoint, response: Response) -> Response:
    if response.status not in (200, 503):
        raise _refusal(address, response)
    return response


def request(address: Endpoint, method: str, path: str) -> dict[str, Any]:
    """Send a request; return what it is answered with. Raises what :func:`requested` does."""
    with requested(address, method, path, timeout=_ANSWER_TIMEOUT) as response, _translated(address):
        text = response.read()
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):  # a page of some other program
        raise no_server(address, response) from None


def _refusal(address: Endpoint, response: Response) -> Exception:
    try:
        error = from_dict(json.loads(response.read())["error"])
    except (ValueError, KeyError, TypeError):
        return no_server(address, response)
    if response.status in (401, 403):
        return ServerError(f"{address} refuses: {error.message}")
    return error


def no_server(address: Endpoint, response: Response) -> ServerError:
    """Return the error that says that some other program answers at ``address``."""
    return ServerError(f"what listens at {address} is no server of PromptLab: HTTP {response.status}")
