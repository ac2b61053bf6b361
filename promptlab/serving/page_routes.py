"""Answers the requests by which pages are kept open.

::

    POST /page               open the page of a workspace; answers a line with its address, and keeps it open until the
                             client is gone
    POST /page/mlflow        tell it where MLflow's own pages are
    GET  /pages              the pages that are open
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from promptlab import __version__
from promptlab.errors import PromptLabError, ServerError, to_dict
from promptlab.serving.jobs import QueueClosed
from promptlab.serving.messages import PageOrder
from promptlab.serving.page_host import PageHost
from promptlab.wire import decode, encode

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import Receive, Scope, Send

__all__ = ["page_routes"]

_LOOK_EVERY: Final = 0.5
"""Seconds after which it is noticed that nobody asks for a page any more."""


def page_routes(host: PageHost) -> list[Route]:
    """Return the routes by which the pages of ``host`` are opened, and found."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    class Leased(StreamingResponse):
        """Lets the lease go whatever becomes of the answer.

        Of a client that is gone already, no line is asked for.
        """

        def __init__(self, lease: ExitStack, lines: AsyncIterator[bytes]) -> None:
            super().__init__(lines, media_type="application/x-ndjson")
            self._lease = lease

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await super().__call__(scope, receive, send)
            finally:
                threading.Thread(target=self._lease.close, name="page-closing").start()  # it waits for who looks at it

    async def keep(request: Request) -> Response:
        lease = ExitStack()
        try:
            order = _read_order(await request.body())
            address = await run_in_threadpool(lease.enter_context, host.leased(order))
        except QueueClosed:
            return JSONResponse({"closed": True}, 503)
        except PromptLabError as error:
            return JSONResponse({"error": to_dict(error)}, 400)

        async def answer() -> AsyncIterator[bytes]:
            yield _line({"page": encode(address), "promptlab": __version__})
            while not host.is_ending:
                await asyncio.sleep(_LOOK_EVERY)
                yield b"\n"  # so that a client that is gone is noticed

        return Leased(lease, answer())

    async def show_mlflow(request: Request) -> Response:
        try:
            await run_in_threadpool(host.show_mlflow, _read_order(await request.body()))
        except PromptLabError as error:
            return JSONResponse({"error": to_dict(error)}, 400)
        return JSONResponse({})

    def pages(_request: Request) -> Response:  # on a thread: a page that is being opened, or closed, is waited for
        found = [
            {"workspace": str(root), "database": database, "page": encode(address)}
            for root, database, address in host.addresses
        ]
        return JSONResponse({"pages": found, "promptlab": __version__})

    return [
        Route("/page", keep, methods=["POST"]),
        Route("/page/mlflow", show_mlflow, methods=["POST"]),
        Route("/pages", pages, methods=["GET"]),
    ]


def _read_order(body: bytes) -> PageOrder:
    """Read what a client posted.

    Raises:
        ServerError: when it is no order of this version.
    """
    try:
        posted = json.loads(body)
        theirs, plain = str(posted["promptlab"]), posted["order"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ServerError(f"what was sent orders no page of PromptLab {__version__}") from error
    order: PageOrder = decode(PageOrder, plain, theirs=theirs)
    return order


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
