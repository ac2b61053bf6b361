"""Reads the address of an MLflow server. A password in it goes to MLflow and nowhere else.

Who runs a server behind a password may well have the password in the address, ``http://name:password@host``. MLflow
repeats the whole address in its errors and logs, so name and password are taken out before MLflow sees it and handed
over the way MLflow has for them. What is left can be printed, kept and put into an error.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from promptlab._urls import redacted
from promptlab.errors import InputError, ref_value

__all__ = ["TrackingAddress"]

_ALLOWED: Final = "the address of an MLflow server, http://HOST:PORT or https://HOST[/PATH]"
_HINT: Final = ref_value("tracking_uri", "http://127.0.0.1:5000")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingAddress:
    """Holds the address of an MLflow server.

    Args:
        url: without a name or a password in it, and without a slash at the end: what may be shown.
        username, password: what stood in the address; neither is shown by ``repr``.
    """

    url: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, text: str, *, what: str = "tracking_uri") -> TrackingAddress:
        """Read ``text`` as an address.

        Raises:
            InputError: when it is no http(s) address; no password is in the sentence.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise _refused(what, text, "is no address") from None
        if parts.scheme not in ("http", "https"):
            raise _refused(what, text, "is no http or https address")
        if not parts.hostname or re.search(r"[\s\\]", text.strip()) or "@" in parts.path:
            raise _refused(what, text, "is no address")
        if parts.query or parts.fragment:
            raise _refused(what, text, "has something behind ? or #")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        place = host if port is None else f"{host}:{port}"
        return cls(
            url=f"{parts.scheme}://{place}{parts.path}".rstrip("/"),
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    def hand_over(self) -> None:
        """Put name and password where MLflow looks for them: into this process's environment."""
        if self.username:
            os.environ["MLFLOW_TRACKING_USERNAME"] = self.username
        if self.password:
            os.environ["MLFLOW_TRACKING_PASSWORD"] = self.password


def _refused(what: str, text: str, problem: str) -> InputError:
    return InputError(what, redacted(text), problem=problem, allowed=_ALLOWED, hint=_HINT)
