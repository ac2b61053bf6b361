"""Serves the page of a workspace at a port of 127.0.0.1, for as long as somebody asks for it."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from promptlab.errors import InputError, ref_value
from promptlab.expand.values import DEFAULT
from promptlab.models import bundled_vaes
from promptlab.page.gate import Gate, PageKeys
from promptlab.page.model_facts import model_facts, model_names
from promptlab.page.routes import page_routes
from promptlab.page.shapes import setting_shape
from promptlab.page.typed_command import SpellCommand
from promptlab.page.typed_settings import form_rows
from promptlab.page.workspace_page import WorkspacePage
from promptlab.serving.guard import Guard
from promptlab.serving.lab_server import LabServer
from promptlab.serving.messages import PageAddress, PageOrder
from promptlab.serving.page_host import OpenedPage
from promptlab.serving.process import answering
from promptlab.specs import AUTO, DTYPES
from promptlab.specs.settings import Setting

__all__ = ["ASSETS", "DEFAULT_PORT", "PageServer"]

ASSETS: Final = Path(__file__).parent / "assets"
DEFAULT_PORT: Final = 7870
_PORTS_TRIED: Final = 50
_BACKLOG: Final = 128


class PageServer:
    """Serves pages.

    Args:
        spell: spells a command as one types it.
        option_of: returns the option of a setting.
        assets: the folder of the page's static files.
    """

    def __init__(self, spell: SpellCommand, option_of: Callable[[Setting], str], *, assets: Path = ASSETS) -> None:
        self._spell, self._option_of, self._assets = spell, option_of, assets

    @contextmanager
    def opened(self, order: PageOrder, server: LabServer) -> Iterator[OpenedPage]:
        """Serve the page that ``order`` asks for while the context lasts.

        Raises:
            InputError: when its port is taken.
            WorkspaceError: when its database cannot be read.
        """
        from starlette.applications import Starlette

        token = order.token or secrets.token_urlsafe(32)
        with _listening(order.port) as listener:
            port: int = listener.getsockname()[1]
            keys = PageKeys.of(token, port)
            page = WorkspacePage(order, server, self._spell, keys=keys)
            routes = page_routes(page, assets=self._assets, csrf=keys.csrf, facts=self._facts)
            gate = Gate(Starlette(routes=routes), keys)
            threading.Thread(target=page.files.prune, name="page-prune", daemon=True).start()
            with page.open(), answering(listener, Guard(gate, port=port), name="page"):
                try:
                    yield OpenedPage(address=PageAddress(port=port, token=token), show_mlflow=page.show_mlflow)
                finally:
                    page.log.close()

    def _facts(self, model: str) -> Mapping[str, Any]:
        settings = [setting_shape(row, self._option_of(row), _choices(row)) for row in form_rows()]
        return {"model": model_facts(model), "settings": settings}


def _choices(row: Setting) -> Sequence[str]:
    """Return the values that are offered for a setting; schedulers are the model's."""
    match row.name:
        case "model":
            return model_names()
        case "vae":
            return [DEFAULT, *bundled_vaes()]
        case "dtype":
            return [*DTYPES, AUTO]
        case _:
            return ["true", "false"] if row.kind == "switch" else row.choices


@contextmanager
def _listening(port: int | None) -> Iterator[socket.socket]:
    """Give a socket that listens at ``port`` of 127.0.0.1, or at the usual one, or the next that is free.

    Raises:
        InputError: when that port is taken.
    """
    first = DEFAULT_PORT if port is None else port
    listener = next(filter(None, map(_bound, range(first, first + (_PORTS_TRIED if port is None else 1)))), None)
    if listener is None:
        raise InputError(
            "port", first, problem="is taken by another program, or not yours to use", allowed="a free port",
            hint=ref_value("port", 0),
        )  # fmt: skip
    with listener:
        yield listener


def _bound(port: int) -> socket.socket | None:
    with suppress(OSError):
        return socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    return None
