"""Keeps pages open for as long as somebody asks for them: one page a workspace, whoever asks.

A page is leased: whoever ordered it keeps its request open, and the page is gone with the last of these. So a page
never outlives the command that was typed for it, and a server that is replaced is asked for it anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptlab.errors import InputError, ServerError, ref_value
from promptlab.serving.jobs import QueueClosed
from promptlab.serving.lab_server import LabServer
from promptlab.serving.messages import PageAddress, PageOrder

__all__ = ["OpenPage", "OpenedPage", "PageHost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPage:
    """Represents a page that is open.

    Args:
        address: where.
        show_mlflow: tells it where MLflow's own pages are.
    """

    address: PageAddress
    show_mlflow: Callable[[str], None]


OpenPage = Callable[[PageOrder, LabServer], AbstractContextManager[OpenedPage]]
"""Serves a page for as long as its context lasts."""

_Key = tuple[Path, str | None, str | None]


@dataclass(slots=True)
class _Leased:
    """Holds one page that is open."""

    page: OpenedPage
    closing: ExitStack
    leases: int = 0


class PageHost:
    """Opens the pages of one server.

    Args:
        open_page: serves one page; ``None`` where this server has none to offer.
    """

    def __init__(self, server: LabServer, open_page: OpenPage | None = None) -> None:
        self._server, self._open_page = server, open_page
        self._lock = threading.Lock()
        self._pages: dict[_Key, _Leased] = {}

    @contextmanager
    def leased(self, order: PageOrder) -> Iterator[PageAddress]:
        """Give the address of the page that ``order`` asks for; it is there while the context lasts.

        Raises:
            QueueClosed: when the server ends.
            ServerError: when this server has no pages, or the workspace is no absolute path.
            InputError: when its port is taken, or it is open at another one.
        """
        key = _key(order)
        with self._server.held():
            page = self._join(key, order)
            try:
                yield page.page.address
            finally:
                self._leave(key, page)

    def show_mlflow(self, order: PageOrder) -> None:
        """Tell the page of an order where MLflow's own pages are, where it is open."""
        with self._lock:
            leased = self._pages.get(_key(order))
        if leased is not None and order.mlflow_url is not None:
            leased.page.show_mlflow(order.mlflow_url)

    @property
    def addresses(self) -> tuple[tuple[Path, str | None, PageAddress], ...]:
        """Return the workspaces, and their databases elsewhere, whose pages are open, and where."""
        with self._lock:
            return tuple((root, database, page.page.address) for (root, database, _), page in self._pages.items())

    @property
    def is_ending(self) -> bool:
        """Say whether the server ends, and its pages with it."""
        return self._server.is_ending

    def _join(self, key: _Key, order: PageOrder) -> _Leased:
        with self._lock:
            if self._open_page is None:
                raise ServerError("this server has no pages")
            if self._server.is_ending:
                raise QueueClosed("the server is ending")
            if not order.workspace.is_absolute():
                raise ServerError(f"the workspace {order.workspace} is no absolute path")
            page = self._pages.get(key)
            if page is None:
                closing = ExitStack()
                page = _Leased(closing.enter_context(self._open_page(order, self._server)), closing)
                self._pages[key] = page
            elif order.port not in (None, 0, page.page.address.port):
                raise _open_elsewhere(order.port, page.page.address.port)
            page.leases += 1
            return page

    def _leave(self, key: _Key, page: _Leased) -> None:
        with self._lock:
            page.leases -= 1
            if page.leases == 0:
                del self._pages[key]
                page.closing.close()


def _open_elsewhere(port: int | None, there: int) -> InputError:
    """Return the error for a port that is not the one at which the page of a workspace is open already."""
    return InputError(
        "port", port, problem=f"is another than {there}, where the page of this workspace is open already",
        allowed="a workspace has one page: stop the other 'promptlab ui' first", hint=ref_value("port", there),
    )  # fmt: skip


def _key(order: PageOrder) -> _Key:
    return order.workspace, order.database, order.tracking_uri
