"""Refuses requests without the token, for another host, and from pages of other sites.

A page on the web can make a browser send requests to 127.0.0.1, or to a name that it points there afterwards (DNS
rebinding). So a request must name this server as its host, by a number or by a name that is its own, and one that a
browser sends must come from a page of this server. On a socket that others can reach, a token is asked for first.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from promptlab.errors import ServerError, to_dict

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Guard"]

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Lets requests through to an ASGI application, or answers them with 401 or 403.

    Args:
        token: what an ``Authorization: Bearer`` header has to say; ``None`` on a socket that only the user reaches.
        hosts: further names that this machine goes by.
        port: what browsers ask for: a request has to name it, and its origin to be exactly this server. ``None`` where
            requests come through a socket, or through a proxy that has a port of its own.
    """

    def __init__(
        self, app: ASGIApp, *, token: str | None = None, hosts: Collection[str] = (), port: int | None = None
    ) -> None:
        self._app, self._token, self._port = app, token, port
        self._hosts = _LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
        refusal = self._refusal(headers)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        from starlette.responses import JSONResponse

        status, sentence = refusal
        await JSONResponse({"error": to_dict(ServerError(sentence))}, status)(scope, receive, send)

    def _refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return 403, "the server does not go by this name; type the address of its machine"
        origin = headers.get("origin")
        if origin is not None and (
            urlsplit(origin).netloc != host if self._port is None else origin != f"http://{host}"
        ):
            return 403, "the server answers no page of another site"
        if self._token is not None:
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), self._token.encode()):
                return 401, "the token is missing or wrong; set PROMPTLAB_SERVER_TOKEN to that of the server"
        return None

    def _is_own(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if self._port is not None and (port != self._port or parts.netloc != host or "@" in host):
            return False
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._token is not None  # a number cannot be pointed elsewhere, as a name can
