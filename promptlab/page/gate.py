"""Lets in who has opened the address with the token, and says to browsers what our page may do.

The first address has the token in it; whoever opens it gets a cookie, and the address without the token. The cookie is
sent by no page of another site (``SameSite=Strict``) and read by no script. What changes something needs a header
beside it that only our own page knows, since a form of another page can send no header.

The document and its modules are the same for everybody and say nothing: they are let through, so that a link in a
report or in MLflow's pages opens the page, whose own requests then bring the cookie.

A report is shown in a sandbox, so that whatever script is in the file reaches nothing of ours: it has an origin of its
own and sends no cookie. Its address, and those of the pictures in it, have a key in them instead.

Invariant: nothing of a workspace is answered without the cookie or that key, nothing changes without the header.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CSRF_HEADER", "Gate", "PageKeys", "ticket"]

CSRF_HEADER: Final = "x-promptlab"

_STATIC: Final = ("/run/", "/assets/")
_MOST: Final = 64 * 2**20
"""Bytes of a request: of a picture that is dropped onto the page."""

_TICKET_SECONDS: Final = 60
_TICKET: Final = re.compile(r"([0-9]{1,12})-[0-9a-f]{32}-([0-9a-f]{64})")

_LONGEST_PATH: Final = 200
_DIGITS: Final = 12

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
"""Headers of every answer that has not its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKeys:
    """Holds what opens one page: all of it follows from the token, and so outlives the server's process.

    Args:
        token: of the first address.
        cookie: the name of the cookie: all ports of a machine share their cookies, so that names tell pages apart.
        session: what the cookie says.
        csrf: what the header of changes says.
        files: stands in the addresses of reports, which have an origin of their own and with it no cookie.
    """

    token: str = field(repr=False)
    cookie: str
    session: str = field(repr=False)
    csrf: str = field(repr=False)
    files: str = field(repr=False)

    @classmethod
    def of(cls, token: str, port: int) -> PageKeys:
        """Return the keys of the page at ``port``."""
        names = (b"session", b"csrf", b"files")
        session, csrf, files = (hmac.new(token.encode(), what, hashlib.sha256).hexdigest() for what in names)
        return cls(token=token, cookie=f"promptlab_{port}", session=session, csrf=csrf, files=files)

    @property
    def header(self) -> str:
        """Return the cookie as a browser sends it."""
        return f"{self.cookie}={self.session}"


def ticket(token: str, *, now: float | None = None) -> str:
    """Return what opens the page once, within a minute, in place of the token of a first address.

    A browser is started with the address on its command line, which everybody on the machine can read.
    """
    said = f"{int(time.time() if now is None else now) + _TICKET_SECONDS}-{secrets.token_hex(16)}"
    return f"{said}-{_signed(token, said)}"


def _signed(token: str, said: str) -> str:
    return hmac.new(token.encode(), f"ticket {said}".encode(), hashlib.sha256).hexdigest()


class Gate:
    """Stands before the routes of one page."""

    def __init__(self, app: ASGIApp, keys: PageKeys) -> None:
        self._app, self._keys = app, keys
        self._used: dict[str, int] = {}
        """Tickets that have opened the page, until nobody could use them any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in _HEADERS.items() if name.encode() not in own]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        if scope["method"] == "GET" and "token" in query:
            await self._open(scope, receive, with_headers, query)
            return
        refusal = self._refusal(scope["method"], scope["path"], headers)
        if refusal is None:
            await self._app(scope, receive, with_headers)
            return
        from starlette.responses import JSONResponse

        status, sentence = refusal
        await JSONResponse({"error": {"message": sentence, "field": None}}, status)(scope, receive, with_headers)

    async def _open(self, scope: Scope, receive: Receive, send: Send, query: Mapping[str, str]) -> None:
        """Give the cookie to who has the token, or a ticket, and lead to the same address without it."""
        from starlette.responses import PlainTextResponse, RedirectResponse

        if not _equal(query["token"], self._keys.token) and not self._admits(query["token"]):
            sentence = "The token in this address is wrong, or was used. Open the address that 'promptlab ui' says."
            await PlainTextResponse(sentence, 401)(scope, receive, send)
            return
        rest = urlencode({name: value for name, value in query.items() if name != "token"})
        path = "/" + scope["path"].lstrip("/")  # an address that begins with two is another machine's
        response = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
        response.set_cookie(self._keys.cookie, self._keys.session, httponly=True, samesite="strict", path="/")
        await response(scope, receive, send)

    def _admits(self, given: str) -> bool:
        """Tell whether ``given`` is a ticket that was not used yet; it is used now."""
        found, now = _TICKET.fullmatch(given), time.time()
        if found is None or not _equal(found[2], _signed(self._keys.token, given.rpartition("-")[0])):
            return False
        self._used = {one: until for one, until in self._used.items() if until >= now}
        if given in self._used or not now <= int(found[1]) <= now + _TICKET_SECONDS:
            return False
        self._used[given] = int(found[1])
        return True

    def _refusal(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        if method in ("GET", "HEAD") and len(path) <= _LONGEST_PATH and self._has_key(path):
            return None
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not (
            headers.get("sec-fetch-mode") == "navigate" and method == "GET" and _is_static(path)
        ):
            return 403, "the page answers no page of another site"
        if len(path) > _LONGEST_PATH:
            return 414, "there is no such address"
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers:  # it does not say how long it is
            return 411, "say how long the request is"
        if not length.isdigit() or len(length) > _DIGITS or int(length) > _MOST:
            return 413, f"that is too large; allowed: {_MOST >> 20} MiB"
        if method in ("GET", "HEAD") and _is_static(path):
            return None
        if not _equal(_cookie(headers.get("cookie", ""), self._keys.cookie), self._keys.session):
            return 401, "open the address that 'promptlab ui' prints"
        if method not in ("GET", "HEAD") and not _equal(headers.get(CSRF_HEADER, ""), self._keys.csrf):
            return 403, f"the header {CSRF_HEADER} is missing or wrong; load the page anew"
        return None

    def _has_key(self, path: str) -> bool:
        """Tell whether an address has the key of reports in it, which is told to who has the cookie."""
        begin, _, rest = path.removeprefix("/reports/").partition("/")
        return path.startswith("/reports/") and bool(rest) and _equal(begin, self._keys.files)


def _is_static(path: str) -> bool:
    return path == "/" or path.startswith(_STATIC)


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _cookie(header: str, name: str) -> str:
    """Return a cookie's value, or nothing.

    Cookies of every other program at this machine stand beside it, and say what they like: ``http.cookies`` reads none
    that follow one which it does not understand.
    """
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return next((value for key, _, value in pairs if key == name), "")
