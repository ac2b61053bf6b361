"""Lets in to MLflow's pages who has opened the page beside them, and leads from runs to that.

MLflow asks nobody who he is, and whoever is logged in on a machine reaches its 127.0.0.1. Served beside our page,
MLflow's pages ask for the cookie of that page: all ports of an address share their cookies, so a browser that has
opened the one has it for the other, and sends it for no page of another site (``SameSite=Strict``).

Without the cookie are answered: MLflow's document with its scripts, which are the same for everybody; whether the
server is well; and pictures by the id of their run, 122 random bits that are told to who has the cookie, since a report
that MLflow shows stands in a frame that has no cookies.

``/promptlab/run/3/1`` is an address that stays: MLflow's descriptions name it, and it leads to wherever the page is.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

__all__ = ["GATE", "PLACE", "WITHOUT_COOKIE", "PageBeside", "environment_beside", "gated", "run_path"]

GATE: Final = "/promptlab/gate"
"""Answers who has the cookie, and refuses all others: so one sees that it is asked for."""

PLACE: Final = "_PROMPTLAB_PAGE"
_COOKIE: Final = "_PROMPTLAB_PAGE_COOKIE"

WITHOUT_COOKIE: Final = "Open the address that 'promptlab ui' says, then this one once more."

_RUN: Final = re.compile(r"/promptlab(/run/\d{1,9}(?:/\d{1,9})?)")
_UID: Final = re.compile(rb"uid=[0-9a-f]{1,32}")
_PICTURE: Final = re.compile(r"[\w/.-]{1,200}\.png")
_RUN_ID: Final = re.compile("[0-9a-f]{32}")

Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageBeside:
    """Says where our page is, beside which MLflow's are served, and which cookie it gives.

    Args:
        url: its address, without a slash at the end.
        cookie: ``NAME=VALUE``.
    """

    url: str
    cookie: str = field(repr=False)

    @classmethod
    def of_environment(cls) -> PageBeside | None:
        """Return the page that MLflow's server was started beside, if it was."""
        url, cookie = os.environ.get(PLACE), os.environ.get(_COOKIE)
        return cls(url=url, cookie=cookie) if url and cookie else None

    def admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Tell whether a request brings the cookie, among whatever other programs of this machine have given."""
        given = b";".join(value for name, value in headers if name.lower() == b"cookie")
        return any(hmac.compare_digest(part.strip(), self.cookie.encode()) for part in given.split(b";"))


def environment_beside(page: PageBeside | None) -> Mapping[str, str]:
    """Return the environment of an MLflow server that is started beside ``page``, or alone."""
    rest = {name: value for name, value in os.environ.items() if name not in (PLACE, _COOKIE)}
    return rest if page is None else {**rest, PLACE: page.url, _COOKIE: page.cookie}


def run_path(run_id: int) -> str:
    """Return what follows the address of MLflow's pages to go on from a run on our page."""
    return f"promptlab/run/{run_id}"


def gated(inner: Any, page: PageBeside | None) -> Any:
    """Wrap an ASGI application so that it answers who has the cookie of ``page``, and leads to runs there.

    Args:
        page: ``None`` where there is none beside it; then it answers everybody, as MLflow does.
    """

    async def outer(scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await inner(scope, receive, send)
            return
        path: str = scope["path"]
        if scope.get("method") == "GET" and (found := _RUN.fullmatch(path)):
            await _lead(send, page, found[1], scope.get("query_string", b""))
        elif page is not None and not (page.admits(scope["headers"]) or _is_for_everybody(scope)):
            await _refuse(scope, send)
        elif page is not None and path == GATE:
            await _say(send, 200, "")
        else:
            await inner(scope, receive, send)

    return outer


def _is_for_everybody(scope: Message) -> bool:
    path: str = scope["path"]
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    if path in ("/", "/health") or path.startswith("/static-files/"):
        return True
    return path == "/get-artifact" and _is_picture(scope.get("query_string", b""))


def _is_picture(query: bytes) -> bool:
    asked = parse_qs(query.decode("latin-1"))
    (run_id, *more), (path, *others) = (asked.get(name) or [""] for name in ("run_uuid", "path"))
    plain = not more and not others and asked.keys() <= {"run_uuid", "path"} and ".." not in path
    return plain and _RUN_ID.fullmatch(run_id) is not None and _PICTURE.fullmatch(path) is not None


async def _lead(send: Any, page: PageBeside | None, place: str, query: bytes) -> None:
    """Lead to a run on the page, or say what opens it."""
    if page is None:
        ref = place.removeprefix("/run/")
        await _say(send, 404, f"PromptLab's page is not open beside MLflow's. Type: promptlab open {ref}")
        return
    more = f"?{query.decode()}" if _UID.fullmatch(query) else ""
    await _say(send, 303, "", (b"location", f"{page.url}{place}{more}".encode()))


async def _refuse(scope: Message, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await _say(send, 401, WITHOUT_COOKIE)


async def _say(send: Any, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = text.encode()
    plain = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*plain, *headers]})
    await send({"type": "http.response.body", "body": body})
