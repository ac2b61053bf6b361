"""Keeps a page open at whatever server there is: the client's side of a page.

Of the standard library alone. The request stays open for as long as the page is wanted. When the server goes, because
its code was changed or it was killed, the next one is asked for a page at the same port with the same token: a browser
reconnects and does not know the difference.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from promptlab import __version__
from promptlab.errors import PromptLabError, ServerError
from promptlab.serving.connection import ServerGone, requested
from promptlab.serving.job_stream import FindServer
from promptlab.serving.messages import PageAddress, PageOrder
from promptlab.wire import decode, encode

__all__ = ["PageLease"]

_PAUSE: Final = 0.3
"""Seconds between two attempts to find a server that has a page."""

_ATTEMPTS: Final = 100
_FIRST_ATTEMPTS: Final = 2
"""Of a page that was never open: what is wrong then is the command's to say."""


class PageLease:
    """Keeps a page open from :meth:`open` until :meth:`close`.

    Args:
        find: finds the server, or starts one.
    """

    def __init__(self, find: FindServer, order: PageOrder) -> None:
        self._find, self._order = find, order
        self._opened, self._closed = threading.Event(), threading.Event()
        self._address: PageAddress | None = None
        self._failure: PromptLabError | None = None
        self._thread = threading.Thread(target=self._keep, name="page-lease", daemon=True)

    def open(self) -> PageAddress:
        """Open the page; return its address.

        Raises:
            PromptLabError: why it cannot be opened.
        """
        self._thread.start()
        self._opened.wait()
        if self._address is None:
            raise self._failure or ServerError("the server has no page")
        return self._address

    def wait(self) -> None:
        """Return never but by Ctrl-C (:exc:`KeyboardInterrupt`).

        Raises:
            PromptLabError: when there is no server any more, and none can be started.
        """
        while self._thread.is_alive():
            self._thread.join(1.0)
        if self._failure is not None:
            raise self._failure

    def show_mlflow(self, url: str) -> None:
        """Tell the page where MLflow's own pages are."""
        self._order = replace(self._order, mlflow_url=url)
        body = {"promptlab": __version__, "order": encode(self._order)}
        with suppress(PromptLabError), requested(self._find(False), "POST", "/page/mlflow", body, timeout=10.0):
            pass

    def close(self) -> None:
        """Let the page go."""
        self._closed.set()

    def _keep(self) -> None:
        attempts, replacing = 0, False
        while not self._closed.is_set():
            try:
                self._hold(replacing=replacing)
                attempts, replacing = 0, True  # that server has ended, or is about to
            except PromptLabError as error:
                attempts, replacing = attempts + 1, isinstance(error, ServerGone)
                if attempts > (_ATTEMPTS if self._opened.is_set() else _FIRST_ATTEMPTS):
                    self._failure = error
                    break
            self._closed.wait(_PAUSE)
        self._opened.set()

    def _hold(self, *, replacing: bool) -> None:
        """Keep the page open for as long as one server lives.

        Raises:
            ServerGone: when that ended before the page was open.
        """
        is_open = False
        body: Mapping[str, Any] = {"promptlab": __version__, "order": encode(self._order)}
        with requested(self._find(replacing), "POST", "/page", body) as response, suppress(OSError, ValueError):
            told = json.loads(response.readline())
            if "closed" in told:
                return
            address: PageAddress = decode(PageAddress, told["page"], theirs=told["promptlab"])
            self._address = address
            self._order = replace(self._order, port=address.port, token=address.token)
            self._opened.set()
            is_open = True
            while response.readline() and not self._closed.is_set():
                pass
        if not is_open:
            raise ServerGone("the server ended before it opened the page; type it again")
