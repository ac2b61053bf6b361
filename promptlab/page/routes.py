"""Answers the requests of a page: JSON, pictures, and events for as long as it is open.

Lookups are carried out on threads, so that events go on meanwhile.
"""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from promptlab.errors import InputError, NotFound, PromptLabError
from promptlab.images.viewer import asset
from promptlab.models import DEFAULT_MODEL
from promptlab.page.picture_files import WIDTHS
from promptlab.page.shapes import error_shape
from promptlab.page.workspace_page import WorkspacePage
from promptlab.serving.jobs import QueueClosed

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

__all__ = ["PageFacts", "page_routes"]

Endpoint = Callable[["Request"], Awaitable["Response"]]
Answer = Callable[["Request"], Any]
"""Looks something up, on a thread; what it returns is answered as JSON, but for a response."""

PageFacts = Callable[[str], Mapping[str, Any]]
"""Returns what can be set, and chosen for a model, by its name."""

_LONGEST: Final = 2**20
"""Bytes of a request in JSON."""

_FOR_EVER: Final = {"cache-control": "private, max-age=31536000, immutable"}
_NEWEST: Final = 2**31
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.(html|js|css|svg|png|ico|woff2|json|txt)")
_SHARED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.(js|css)")

_REPORT_POLICY: Final = (
    "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox allow-downloads; default-src 'none'; "
    "img-src 'self' data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""A report is one file with its script in it; sandboxed it has an origin of its own, and reaches nothing of ours."""


def page_routes(page: WorkspacePage, *, assets: Path, csrf: str, facts: PageFacts) -> list[Route]:
    """Return the routes of ``page``.

    Args:
        assets: the folder of the page's own static files; those of the viewer it shares with reports.
        csrf: what the header of changes has to say; told to who has the cookie.
    """
    from starlette.routing import Route

    get, post, image = ("GET",), ("POST",), "/images/{run:int}/{position:int}"
    table: list[tuple[str, Endpoint, tuple[str, ...]]] = [
        ("/", _document(assets), get),
        ("/run/{run:int}", _document(assets), get),
        ("/run/{run:int}/{position:int}", _document(assets), get),
        ("/assets/viewer/{name}", _shared, get),
        ("/assets/{name}", _static(assets), get),
        ("/api/state", _json(lambda _: {**page.state(), **facts(DEFAULT_MODEL), "csrf": csrf}), get),
        ("/api/model", _json(lambda request: facts(request.query_params.get("name", DEFAULT_MODEL)[:1000])["model"]),
         get),
        ("/api/runs", _json(lambda request: _runs(page, request)), get),
        ("/api/runs/{run:int}", _json(lambda request: page.run(_run(request), first=_whole(request, "from", 0))), get),
        ("/api/runs/{run:int}/request", _json(lambda request: page.request(_run(request), _position(request))), get),
        ("/api/runs/{run:int}/whole", _json(lambda request: page.whole_request(_run(request))), get),
        ("/api/words", _json(lambda request: page.words(request.query_params.get("text", "")[:1000])), get),
        ("/api/events", _events(page), get),
        ("/api/plan", _json(lambda request: page.plan(request.state.body)), post),
        ("/api/jobs", _json(lambda request: page.begin(request.state.body), status=202), post),
        ("/api/jobs/{job}", _json(lambda request: page.cancel(request.path_params["job"])), ("DELETE",)),
        ("/api/runs/{run:int}/resume", _json(lambda request: page.resume(_run(request)), status=202), post),
        (f"/api{image}/verify", _json(lambda one: page.verify(*_image(one)), status=202), post),
        (f"/api{image}/rating", _json(lambda one: page.ratings.rate(*_image(one), _said(one, "stars"))), post),
        (f"/api{image}/favourite",
         _json(lambda one: page.ratings.favourite(*_image(one), _said(one, "favourite"))), post),
        ("/api/votes", _json(lambda one: _vote(page, one)), post),
        ("/api/votes/undo", _json(lambda one: _take_back(page, one)), post),
        ("/api/import", _import(page), post),
        (f"{image}.png", _json(lambda request: _picture(page, request)), get),
        ("/thumbs/{run:int}/{position:int}", _json(lambda request: _thumbnail(page, request)), get),
        ("/grids/{run:int}.png", _json(lambda one: _file(page, page.workspace.grid(_run(one)))), get),
        ("/reports/{key}/{path:path}", _json(lambda one: _report(page, one.path_params["path"])), get),
        ("/mlflow", _json(lambda one: _led(page.mlflow.view(one.query_params.get("experiment")))), get),
        ("/mlflow/{run:int}", _json(lambda one: _led(page.mlflow_address(_run(one)))), get),
    ]  # fmt: skip
    return [Route(path, endpoint, methods=list(methods)) for path, endpoint, methods in table]


def _json(answer: Answer, *, status: int = 200) -> Endpoint:
    """Carry out ``answer`` on a thread; its errors are answered as the page reads them."""

    @wraps(answer)
    async def endpoint(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse, Response

        try:
            request.state.body = await _read_json(request)
            found = await run_in_threadpool(answer, request)
        except PromptLabError as error:
            return JSONResponse({"error": error_shape(error)}, _status(error))
        return found if isinstance(found, Response) else JSONResponse(found, status)

    return endpoint


def _status(error: PromptLabError) -> int:
    if isinstance(error, NotFound):
        return 404
    return 503 if isinstance(error, QueueClosed) else 400 if isinstance(error, InputError) else 500


async def _read_json(request: Request) -> Any:
    """Return the body of a request that changes something.

    Raises:
        InputError: when it is no JSON, or too long.
    """
    if request.method != "POST":
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST:
            raise InputError("request", problem="is too long", allowed=f"{_LONGEST >> 20} MiB")
    try:
        return json.loads(bytes(body) or b"{}")
    except (ValueError, RecursionError) as error:
        raise InputError("request", problem="is no JSON") from error


def _events(page: WorkspacePage) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        from starlette.responses import StreamingResponse

        last = request.headers.get("last-event-id") or request.query_params.get("after")
        return StreamingResponse(
            page.log.lines(last, first=page.greeting),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    return endpoint


def _document(assets: Path) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return _file_of(assets, "index.html", request)

    return endpoint


def _static(folder: Path) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        name = request.path_params["name"]
        return _file_of(folder, name, request) if _NAME.fullmatch(name) else _no_file()

    return endpoint


async def _shared(request: Request) -> Response:
    """Answer a module or style that the page has in common with reports."""
    name = request.path_params["name"]
    content = asset(name) if _SHARED.fullmatch(name) else None
    return _no_file() if content is None else _asset(content, name, request)


def _file_of(folder: Path, name: str, request: Request) -> Response:
    """Answer a file of the package."""
    try:
        return _asset((folder / name).read_bytes(), name, request)
    except OSError:
        return _no_file()


def _asset(content: bytes, name: str, request: Request) -> Response:
    """Answer what a browser asks for anew each time, and gets only where it has changed.

    Its tag is of what is in it: of two versions a file may have one time, as a packager sets it.
    """
    from starlette.responses import Response

    headers = {"cache-control": "no-cache", "etag": f'"{sha256(content).hexdigest()[:16]}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
    return Response(content, headers=headers, media_type=kind)


def _no_file() -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": {"message": "there is no such file", "field": None}}, 404)


def _import(page: WorkspacePage) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        name = unquote(request.headers.get("x-filename", "picture.png"))
        try:
            found = await run_in_threadpool(page.take_in, await request.body(), name)
        except PromptLabError as error:
            return JSONResponse({"error": error_shape(error)}, _status(error))
        return JSONResponse(found)

    return endpoint


def _runs(page: WorkspacePage, request: Request) -> dict[str, Any]:
    limit = min(max(_whole(request, "limit", 20), 1), 50)
    before = _whole(request, "before", _NEWEST)
    return page.runs(before=before, limit=limit, experiment=request.query_params.get("experiment"))


def _vote(page: WorkspacePage, request: Request) -> dict[str, Any]:
    page.ratings.vote(_said(request, "winner"), _said(request, "loser"), tie=_said(request, "tie") is True)
    return {}


def _take_back(page: WorkspacePage, request: Request) -> dict[str, Any]:
    page.ratings.take_back(_said(request, "winner"), _said(request, "loser"))
    return {}


def _picture(page: WorkspacePage, request: Request) -> Response:
    from starlette.responses import FileResponse

    path, known = page.files.picture(*_image(request))
    headers = dict(_FOR_EVER) if "v" in request.query_params else {"cache-control": "no-cache"}
    name = f"run-{_run(request)}-seed{known.seed}.png" if "download" in request.query_params else None
    return FileResponse(path, media_type="image/png", headers=headers, filename=name)


def _thumbnail(page: WorkspacePage, request: Request) -> Response:
    from starlette.responses import Response

    wanted = _whole(request, "width", 256)
    width = next((each for each in WIDTHS if each >= wanted), WIDTHS[-1])
    headers = dict(_FOR_EVER) if "v" in request.query_params else {"cache-control": "no-cache"}
    return Response(page.files.thumbnail(*_image(request), width), media_type="image/webp", headers=headers)


def _file(page: WorkspacePage, path: Path) -> Response:
    from starlette.responses import FileResponse

    return FileResponse(page.files.inside(path), headers={"cache-control": "no-cache"})


def _report(page: WorkspacePage, path: str) -> Response:
    """Answer a report, or a picture that it names by its path beside it."""
    name = path.rpartition("/")[2]
    if name != "report.html" and not name.endswith(".png"):
        raise NotFound("file", name[:80], hint="promptlab doctor")
    response = _file(page, page.workspace.root / "images" / path)
    if name == "report.html":
        response.headers["content-security-policy"] = _REPORT_POLICY
    else:
        response.headers["cross-origin-resource-policy"] = "cross-origin"
    return response


def _led(address: str) -> Response:
    from starlette.responses import RedirectResponse

    return RedirectResponse(address, 303)


def _run(request: Request) -> int:
    return min(int(request.path_params["run"]), _NEWEST)


def _image(request: Request) -> tuple[int, int]:
    return _run(request), min(int(request.path_params["position"]), _NEWEST)


def _position(request: Request) -> int | None:
    return _whole(request, "position", 0) if request.query_params.get("position") else None


def _whole(request: Request, name: str, default: int) -> int:
    """Return a number of the address.

    Raises:
        InputError: when it is none.
    """
    text = request.query_params.get(name) or str(default)
    if not re.fullmatch(r"\d{1,10}", text):
        raise InputError(name, text[:80], problem="is no number")
    return min(int(text), _NEWEST)


def _said(request: Request, name: str) -> object:
    body = request.state.body
    return body.get(name) if isinstance(body, Mapping) else None
