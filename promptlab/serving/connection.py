"""Connects to a server: over a Unix socket that is the user's own, or by an address with a token.

Of the standard library alone: a client spends its time here before anything is asked.

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
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from promptlab._urls import redacted
from promptlab.errors import InputError, ServerError, from_dict

__all__ = ["Endpoint", "ServerGone", "check_owner", "request", "requested"]

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
    """

    socket: Path | None = None
    host: str = "localhost"
    port: int | None = None
    tls: bool = False
    token: str | None = field(default=None, repr=False)
    log: Path | None = None

    @classmethod
    def read(cls, url: str, *, token: str | None) -> Endpoint:
        """Read ``http://HOST:PORT``.

        Raises:
            InputError: for anything else, a password in it among others: that is what the token is for.
        """
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


class _UnixConnection(HTTPConnection):
    """Speaks HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_CONNECT_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Connect, and make sure who listens."""
        check_owner(self._path.parent)
        check_owner(self._path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
            _refuse_stranger(self._path, _peer(self.sock), os.getuid())
        except BaseException:
            self.sock.close()
            raise


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
) -> Iterator[HTTPResponse]:
    """Send a request; give its response, whose lines may come for as long as the context lasts.

    Args:
        timeout: seconds without an answer; a model may load for minutes before the first line of a job.

    Raises:
        ServerGone: when nobody listens, or no more.
        ServerError: when the server refuses, or is not the user's own.
        PromptLabError: what the server says is wrong with the request.
    """
    connection: HTTPConnection
    if address.socket is not None:
        connection = _UnixConnection(address.socket)
    else:
        connection = (HTTPSConnection if address.tls else HTTPConnection)(
            address.host, address.port, timeout=_CONNECT_TIMEOUT
        )
    try:
        with _translated(address):
            response = _answered(connection, address, method, path, body, timeout)
        yield response
    finally:
        connection.close()


@contextmanager
def _translated(address: Endpoint) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException) as error:
        raise ServerGone(f"the server at {address} does not answer: {error or type(error).__name__}") from error


def _answered(
    connection: HTTPConnection,
    address: Endpoint,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    timeout: float | None,
) -> HTTPResponse:
    headers = {"Content-Type": "application/json"}
    if address.token is not None:
        headers["Authorization"] = f"Bearer {address.token}"
    connection.connect()
    connection.sock.settimeout(timeout)
    if address.socket is None:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    if response.status not in (200, 503):
        raise _refusal(address, response)
    return response


def request(address: Endpoint, method: str, path: str) -> dict[str, Any]:
    """Send a request; return what it is answered with. Raises what :func:`requested` does."""
    with requested(address, method, path, timeout=_ANSWER_TIMEOUT) as response, _translated(address):
        return dict(json.loads(response.read()))


def _refusal(address: Endpoint, response: HTTPResponse) -> Exception:
    try:
        error = from_dict(json.loads(response.read())["error"])
    except (ValueError, KeyError, TypeError):
        return ServerError(f"what listens at {address} is no server of PromptLab: HTTP {response.status}")
    if response.status in (401, 403):
        return ServerError(f"{address} refuses: {error.message}")
    return error
