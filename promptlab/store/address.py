"""Reads the address of a database. A password in it goes to the driver and nowhere else.

Any address that SQLAlchemy takes for SQLite or PostgreSQL is one. Both have a full-text search that PromptLab speaks;
another database has none that it knows, and is refused by name. What is left without name's password and options can
be printed, kept and put into an error.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from promptlab._urls import redacted
from promptlab.errors import InputError, ref_value

if TYPE_CHECKING:
    from sqlalchemy import URL

__all__ = ["ServerAddress", "displayed_address", "read_address"]

_ALLOWED: Final = "postgresql://USER:PASSWORD@HOST:PORT/NAME, or sqlite:///FILE"
_HINT: Final = ref_value("database_url", "postgresql://127.0.0.1/promptlab")
_DRIVER: Final = "psycopg"
"""Of ``postgresql://``, whatever SQLAlchemy would take for it: the one that ``promptlab[postgresql]`` brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Holds the address of a database on a server; ``repr`` shows neither password nor options.

    Args:
        shown: what may be printed.
        driver: SQLAlchemy's name of the Python package that speaks to it.
        host: ``None`` for the local socket, unless the options name one.
        options: what stood behind ``?``, as libpq knows it.
    """

    shown: str
    driver: str
    username: str | None
    password: str | None = dataclasses.field(default=None, repr=False)
    host: str | None
    port: int | None
    name: str
    options: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)

    def url(self) -> URL:
        """Return the address as SQLAlchemy has it, with all that is secret in it."""
        from sqlalchemy import URL

        return URL.create(
            f"postgresql+{self.driver}", username=self.username, password=self.password, host=self.host, port=self.port,
            database=self.name, query=dict(self.options),
        )  # fmt: skip

    @property
    def place(self) -> str:
        """Return where it listens: ``HOST:PORT``, or the folder of its socket."""
        host = self.host or dict(self.options).get("host") or "the local socket"
        return f"{host}:{self.port or 5432}" if self.host else host

    @property
    def client_options(self) -> str:
        """Return the same for PostgreSQL's own commands: ``-h HOST -p PORT -U USER``."""
        host = self.host or dict(self.options).get("host")
        parts = (("-h", host), ("-p", self.port or dict(self.options).get("port")), ("-U", self.username))
        return "".join(f" {flag} {value}" for flag, value in parts if value is not None)

    def without_secrets(self, text: str) -> str:
        """Return ``text`` with the password struck out, should a driver repeat it."""
        secrets = [self.password, *(value for name, value in self.options if "pass" in name)]
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        return text


def read_address(text: str, *, field: str = "database_url") -> Path | ServerAddress:
    """Return the file or the server that ``text`` names.

    Args:
        field: the field, or the environment variable, it was read from.

    Raises:
        InputError: when it is none; no password is in the sentence.
    """
    scheme, _, rest = text.strip().partition("://")
    dialect, _, driver = scheme.lower().partition("+")
    if dialect == "sqlite" and not driver.startswith("aio"):
        return _file(rest, text, field)
    if dialect not in ("postgresql", "postgres"):
        known = re.fullmatch(r"[a-z0-9]+", dialect) and rest
        problem = f"is of {dialect}, in which PromptLab cannot search" if known else "is no database's address"
        raise _refused(field, text, problem)
    try:
        parts = urlsplit(f"postgresql://{rest}")
        port = parts.port
    except ValueError:
        raise _refused(field, text, "is no address", allowed=_encoded()) from None
    if "@" in parts.path or re.search(r"[\s\\]", rest):
        raise _refused(field, text, "is no address", allowed=_encoded())
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise _refused(field, text, "names no database")
    return ServerAddress(
        shown=_shown(parts, port),
        driver=driver or _DRIVER,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        host=parts.hostname and unquote(parts.hostname),
        port=port,
        name=name,
        options=tuple(parse_qsl(parts.query, keep_blank_values=True)),
    )


def displayed_address(text: str) -> str:
    """Return what may be printed of an address: itself, where nothing secret stands in it."""
    address = read_address(text)
    return f"sqlite:///{address}" if isinstance(address, Path) else address.shown


def _file(rest: str, text: str, field: str) -> Path:
    if not rest.startswith("/") or rest == "/" or "?" in rest or rest == "/:memory:":
        raise _refused(field, text, "names no file", allowed="sqlite:///FILE, or sqlite:////ABSOLUTE/FILE")
    return Path(unquote(rest[1:])).expanduser().resolve()


def _shown(parts: SplitResult, port: int | None) -> str:
    """Return the address with its user, without password; of the options only where a socket is."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    user = f"{parts.username}@" if parts.username else ""
    socket = dict(parse_qsl(parts.query)).get("host")
    end = f"?host={socket}" if socket else ""
    return f"postgresql://{user}{host}{'' if port is None else f':{port}'}{parts.path}{end}"


def _encoded() -> str:
    return f"{_ALLOWED}; a sign of : / ? # [ ] @ in the password is written %3A %2F %3F %23 %5B %5D %40"


def _refused(field: str, text: str, problem: str, *, allowed: str = _ALLOWED) -> InputError:
    return InputError(field, redacted(text), problem=problem, allowed=allowed, hint=_HINT)
