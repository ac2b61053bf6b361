"""Is the server's process: listens, works on jobs until it may end, and leaves nothing behind.

Jobs are worked on by the main thread, where signals arrive; HTTP is answered by a thread beside it, which is idle while
nobody asks.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from promptlab.errors import InputError, ServerError, ref_value
from promptlab.serving.app import create_app
from promptlab.serving.credentials import read_token
from promptlab.serving.discovery import ServerPlace, private_folder
from promptlab.serving.guard import Guard
from promptlab.serving.lab_server import LabServer
from promptlab.serving.page_host import OpenPage, PageHost

if TYPE_CHECKING:
    import uvicorn

__all__ = ["answering", "end_process", "log_to_stderr", "serve_at", "serve_on"]

_BACKLOG: Final = 512
_LOOKED_AT: Final = 2.0
"""Seconds that clients may hold the lock of one that lives, one after the other, to see that none does."""

_POOL: Final = "MLFLOW_SQLALCHEMYSTORE_POOLCLASS"


def serve_at(
    place: ServerPlace, server: LabServer, ready: Callable[[], None], *, open_page: OpenPage | None = None
) -> None:
    """Serve the user's own commands at ``place`` until the server ends.

    Args:
        ready: called once it listens.
        open_page: serves the page of a workspace, where one is asked for.

    Raises:
        ServerError: when another server lives there.
    """
    from promptlab._locks import file_locked

    private_folder(place.folder)
    with file_locked(place.living, timeout=_LOOKED_AT, error=ServerError), _listening(place) as (listener, token):
        pages = PageHost(server, open_page)
        _work(server, listener, Guard(create_app(server, pages), token=token), ready)


def serve_on(host: str, port: int, server: LabServer, ready: Callable[[], None]) -> None:
    """Serve whoever has the token, at ``host`` and ``port``, until the server ends.

    Raises:
        InputError: when it cannot listen there, or has no token that only the user knows.
    """
    token = read_token(make=True)
    if token is None:  # a guard without one would let everybody in
        raise InputError(
            "token", problem="is gone again", hint=f"promptlab server start {ref_value('host', 'ADDRESS')}"
        )
    try:
        listener = socket.create_server((host, port), family=_family(host), backlog=_BACKLOG)
    except OSError as error:
        raise InputError(
            "port", port, problem=f"cannot be listened at on {host}: {error.strerror or error}",
            allowed="a free port of this machine",
        ) from error  # fmt: skip
    with listener:
        _work(server, listener, Guard(create_app(server), token=token, hosts=(host, socket.gethostname())), ready)


def end_process() -> NoReturn:
    """End this process, whatever thread still waits.

    A second Ctrl-C ends a job wherever it is, also where a pool of threads has begun one and not yet taken note of it.
    Such a thread is told by nobody to end, and Python would wait for it for ever.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what Python would call: files are removed, logs written
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def log_to_stderr() -> None:
    """Write a line for each job, and for what was not expected, to standard error."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("promptlab.serving").setLevel(logging.INFO)


@contextmanager
def answering(listener: socket.socket, app: Guard, *, name: str = "http") -> Iterator[None]:
    """Answer HTTP at ``listener``, on a thread of its own, while the context lasts."""
    import uvicorn

    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", ws="none", http="h11", loop="asyncio",
        server_header=False, timeout_graceful_shutdown=10,
    )  # fmt: skip
    http: uvicorn.Server = uvicorn.Server(config)
    thread = threading.Thread(target=http.run, kwargs={"sockets": [listener]}, name=name)
    thread.start()
    try:
        yield
    finally:
        http.should_exit = True
        thread.join()


def _work(server: LabServer, listener: socket.socket, app: Guard, ready: Callable[[], None]) -> None:
    with _unpooled(), answering(listener, app):
        ready()
        server.work()


@contextmanager
def _unpooled() -> Iterator[None]:
    """Keep MLflow from holding a workspace's file open between jobs, which may be deleted meanwhile."""
    if _POOL in os.environ:
        yield
        return
    os.environ[_POOL] = "NullPool"
    try:
        yield
    finally:
        del os.environ[_POOL]


@contextmanager
def _listening(place: ServerPlace) -> Iterator[tuple[socket.socket, str | None]]:
    """Give a socket that listens at ``place``, and the token that it needs; take both away afterwards."""
    if place.has_socket:
        place.socket.unlink(missing_ok=True)  # of a server that was killed: this one holds its lock
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with listener:
            listener.bind(str(place.socket))
            place.socket.chmod(0o600)
            listener.listen(_BACKLOG)
            try:
                yield listener, None
            finally:
                place.socket.unlink(missing_ok=True)
        return
    token = secrets.token_urlsafe(32)
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        place.address.unlink(missing_ok=True)
        with os.fdopen(os.open(place.address, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as told:
            json.dump({"port": listener.getsockname()[1], "token": token}, told)
        try:
            yield listener, token
        finally:
            place.address.unlink(missing_ok=True)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
