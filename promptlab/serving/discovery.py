"""Finds or starts the server of an environment, by a socket whose name has the environment's hash.

The socket lies in a folder that only the user may enter: in ``$XDG_RUNTIME_DIR``, else among the user's state. Two
files beside it are locked: one while a client starts a server, so that two that start one at once get one; the other by
the server itself, for as long as it lives, so that a socket that a dead one left is told from one that is in use. The
system releases both however a process ends.

Where there are no Unix sockets, or the path is too long for one, the server listens on 127.0.0.1 instead, and its
address and token lie in a file in that folder.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from promptlab.errors import ServerError, one_line
from promptlab.serving.connection import Endpoint, ServerGone, check_listening, check_owner, request
from promptlab.serving.environment_key import environment_key

__all__ = ["ServerPlace", "find", "find_or_start", "private_folder", "state_folder"]

_STARTING: Final = 120.0
"""Seconds that another client may take to start a server."""

_NO_VARIABLES: Final[Mapping[str, str]] = MappingProxyType({})

_LONGEST: Final = 100
"""Bytes of a socket's path; systems allow 104 to 108."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlace:
    """Names the files of one server.

    Args:
        folder: of mode 0700.
        name: with the hash of its environment.
        variables: that a server has beside those of its client.
    """

    folder: Path
    name: str
    variables: tuple[tuple[str, str], ...] = ()

    @classmethod
    def here(cls, variables: Mapping[str, str] = _NO_VARIABLES) -> ServerPlace:
        """Return the place of this process's environment, with ``variables`` beside it."""
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        folder = Path(runtime, "promptlab") if runtime else state_folder()
        key = environment_key({**os.environ, **variables})
        return cls(folder=folder, name=f"server-{key}", variables=tuple(variables.items()))

    @property
    def socket(self) -> Path:
        """Return the socket that it listens at."""
        return self.folder / f"{self.name}.sock"

    @property
    def address(self) -> Path:
        """Return the file with address and token, where it listens on 127.0.0.1."""
        return self.folder / f"{self.name}.json"

    @property
    def file(self) -> Path:
        """Return the file by which clients find it."""
        return self.socket if self.has_socket else self.address

    @property
    def starting(self) -> Path:
        """Return the file that a client locks while it starts the server."""
        return self.folder / f"{self.name}.starting"

    @property
    def living(self) -> Path:
        """Return the file that the server locks while it lives."""
        return self.folder / f"{self.name}.living"

    @property
    def log(self) -> Path:
        """Return the file that it writes to."""
        return self.folder / f"{self.name}.log"

    @property
    def has_socket(self) -> bool:
        """Say whether it listens at a Unix socket."""
        return hasattr(socket, "AF_UNIX") and len(os.fsencode(self.socket)) <= _LONGEST


def state_folder() -> Path:
    """Return the folder of what PromptLab keeps for this user between logins."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"), "promptlab", "state")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "promptlab"


def private_folder(folder: Path) -> Path:
    """Return ``folder``, made where it is not there, once it is certain that nobody else may enter it.

    Raises:
        ServerError: when it belongs to somebody else, or is open to others.
        OSError: when it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        check_owner(folder)
    return folder


def find(place: ServerPlace) -> Endpoint | None:
    """Return the address of the server at ``place`` that answers, or None.

    Raises:
        ServerError: when it is somebody else's, or the folder may not be entered.
    """
    try:
        address = _address(place)
        if address is None:
            return None
        if address.socket is not None:
            check_listening(address.socket)
        else:  # by now somebody else may listen at its port
            request(address, "GET", "/status")
    except ServerGone:
        return None
    except OSError as error:
        raise _unusable(place, error) from error
    return address


def find_or_start(place: ServerPlace, *, keep_alive: str | None = None, replacing: Endpoint | None = None) -> Endpoint:
    """Return the address of the server at ``place``, which is started where it does not answer.

    Args:
        keep_alive: how long a server that is started stays, as it is typed.
        replacing: one that was found there and is ending: its end is waited for, unless another has taken its place.

    Raises:
        ServerError: when it does not start; the sentence says why.
    """
    if (address := _find_other(place, replacing)) is not None:
        return address
    try:
        private_folder(place.folder)
        if not os.access(place.folder, os.W_OK | os.X_OK):
            raise ServerError(f"{place.folder} is not writable")
        from promptlab._locks import file_locked

        with file_locked(place.starting, timeout=_STARTING, error=ServerError):
            if (address := _find_other(place, replacing)) is not None:
                return address
            with file_locked(place.living, timeout=_STARTING, error=ServerError):
                pass  # one that answers no more lives until it has given its memory back
            return _start(place, keep_alive)
    except OSError as error:
        raise _unusable(place, error) from error


def _find_other(place: ServerPlace, replacing: Endpoint | None) -> Endpoint | None:
    """Return the address of the server at ``place`` that answers, but of the one to be replaced."""
    address = find(place)
    return None if address is None or (replacing is not None and address.stamp == replacing.stamp) else address


def _unusable(place: ServerPlace, error: OSError) -> ServerError:
    return ServerError(f"{place.folder} cannot be used: {error.strerror or one_line(error)}")


def _start(place: ServerPlace, keep_alive: str | None) -> Endpoint:
    """Start a server on its own, and wait until it listens."""
    import subprocess

    words = ["server", "serve", str(place.folder), place.name]
    code = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(code), *_absolute(os.environ.get("PYTHONPATH", ""))])}
    environ.update(place.variables)
    if keep_alive is not None:
        environ["PROMPTLAB_KEEP_ALIVE"] = keep_alive
    with place.log.open("wb") as log:
        started = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "promptlab", *words], cwd=place.folder, env=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip
    with started:
        started.communicate()  # ends when it listens, and when it is gone
    address = find(place)
    if address is None:
        raise ServerError(f"the server did not start: {_last_line(place.log)}")
    return address


def _absolute(search_path: str) -> list[str]:
    return [os.path.abspath(entry) for entry in search_path.split(os.pathsep) if entry]  # noqa: PTH100 - entries of a search path


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} ({log})"


def _address(place: ServerPlace) -> Endpoint | None:
    try:
        about = place.file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    stamp = about.st_ino, about.st_mtime_ns
    if place.has_socket:
        return Endpoint(socket=place.socket, log=place.log, stamp=stamp)
    with suppress(OSError, ValueError, KeyError):
        if hasattr(os, "getuid"):
            check_owner(place.address)
        told = json.loads(place.address.read_text(encoding="utf-8"))
        if _is_dead(place):
            return None
        return Endpoint(
            host="127.0.0.1", port=int(told["port"]), token=str(told["token"]), log=place.log, stamp=stamp
        )  # fmt: skip
    return None


def _is_dead(place: ServerPlace) -> bool:
    """Tell whether nobody lives at ``place``: its port may be a stranger's by now, who is told nothing."""
    from promptlab._locks import file_locked

    try:
        with file_locked(place.living, timeout=0, error=ServerError):
            return True
    except ServerError:
        return False
