"""Answers HTTP: the events of jobs, as lines of JSON, while they are carried out; the server's state.

::

    POST /jobs               a verb; answers lines: {"accepted": …}, {"event": …} …, and what came of it
    GET  /jobs               what is under way and waits
    POST /jobs/ID/cancel     as Ctrl-C: once, images under way are finished; twice, at once
    GET  /status             see :class:`promptlab.serving.messages.ServerStatus`
    POST /stop               end after the images that are under way

Pages are kept open beside them: :mod:`promptlab.serving.page_routes`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from promptlab import __version__
from promptlab.errors import PromptLabError, ServerError, to_dict
from promptlab.serving.jobs import Job, QueueClosed
from promptlab.serving.lab_server import LabServer
from promptlab.serving.messages import JobRequest
from promptlab.serving.page_host import PageHost
from promptlab.serving.page_routes import page_routes
from promptlab.wire import decode, encode

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["LINES", "Subscription", "create_app"]

LINES: Final = "application/x-ndjson"

_BACKLOG: Final = 1000
"""Lines that a client may be behind before news that later ones make old is left out."""

_SUPERSEDED: Final = frozenset({"ImagesGenerated", "ImageStarted", "ImagesVerified", "JobWaiting", "ModelLoading",
                                "Progress", "StepDone"})  # fmt: skip


class Subscription:
    """Hands the lines of jobs from the thread that works to the event loop; never makes it wait."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    def __call__(self, _job: Job, line: Mapping[str, Any]) -> None:
        """Take a line; see :data:`promptlab.serving.jobs.Listener`."""
        with suppress(RuntimeError):  # the loop has ended: nobody is there to be told
            self._loop.call_soon_threadsafe(self._keep, line)

    def _keep(self, line: Mapping[str, Any]) -> None:
        event = line.get("event")
        if self._lines.qsize() < _BACKLOG or event is None or event["type"] not in _SUPERSEDED:
            self._lines.put_nowait(line)

    async def lines(self) -> AsyncIterator[Mapping[str, Any]]:
        """Yield lines up to the last one of a job."""
        while True:
            line = await self._lines.get()
            yield line
            if "event" not in line:
                return


def create_app(server: LabServer, pages: PageHost | None = None) -> Starlette:
    """Return the application that answers for ``server``, and keeps ``pages``."""
    host = PageHost(server) if pages is None else pages
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    async def begin(request: Request) -> Response:
        try:
            job = _read_job(await request.body())
            subscription = Subscription()
            job.listen(subscription)
            server.submit(job)
        except QueueClosed:
            return JSONResponse({"closed": True}, 503)
        except PromptLabError as error:
            return JSONResponse({"error": to_dict(error)}, 400)

        async def answer() -> AsyncIterator[bytes]:
            yield _line({"accepted": {"job": job.id, "promptlab": __version__}})
            async for line in subscription.lines():
                yield _line(line)

        return StreamingResponse(answer(), media_type=LINES)

    async def cancel(request: Request) -> Response:
        server.cancel(str(request.path_params["job"]))
        return JSONResponse({})

    async def status(_request: Request) -> Response:
        return JSONResponse({"status": encode(server.status()), "promptlab": __version__})

    async def jobs(_request: Request) -> Response:
        return JSONResponse({"jobs": encode(server.status().jobs), "promptlab": __version__})

    async def stop(_request: Request) -> Response:
        server.stop()
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/jobs", begin, methods=["POST"]),
            Route("/jobs", jobs, methods=["GET"]),
            Route("/jobs/{job}/cancel", cancel, methods=["POST"]),
            Route("/status", status, methods=["GET"]),
            Route("/stop", stop, methods=["POST"]),
            *page_routes(host),
        ]
    )


def _read_job(body: bytes) -> Job:
    """Read what a client posted.

    Raises:
        ServerError: when it is no request of this version. What another leaves out, because it is its default, may
            mean something else here; and the same words of it may be another picture.
    """
    try:
        posted = json.loads(body)
        theirs, request, arguments = str(posted["promptlab"]), posted["request"], dict(posted["arguments"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ServerError(f"what was sent is no request of PromptLab {__version__}") from error
    if theirs != __version__:
        raise ServerError(
            f"the server has PromptLab {__version__}, and this command is of {theirs}; "
            f"type: pip install promptlab=={__version__}"
        )
    return Job(decode(JobRequest, request, theirs=theirs), arguments, theirs=theirs)


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
