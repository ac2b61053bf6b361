"""Reads the token of servers for other machines: never from a command line, which others can see."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from promptlab.errors import InputError
from promptlab.serving.discovery import state_folder

__all__ = ["TOKEN", "TOKEN_FILE", "read_token", "token_file"]

TOKEN: Final = "PROMPTLAB_SERVER_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE: Final = "PROMPTLAB_SERVER_TOKEN_FILE"  # noqa: S105 - likewise


def token_file() -> Path:
    """Return the user's file for the token, which needs not be there."""
    return Path(os.environ.get(TOKEN_FILE) or state_folder() / "server-token").expanduser()


def read_token(*, make: bool = False) -> str | None:
    """Return the token of servers on other machines, from the environment or the user's file.

    Args:
        make: write a new one into the file where there is none.

    Raises:
        InputError: when others may read the file, one of them wrote it, or there is nothing in it: a server without a
            token would serve whoever asks.
    """
    told = os.environ.get(TOKEN)
    if told:
        return told
    path = token_file()
    if not path.exists() and make:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # one that is there may be anybody's to enter
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new,
        ):
            new.write(secrets.token_urlsafe(32))
    if not path.exists():
        return None
    if hasattr(os, "getuid"):
        _check_file(path)
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise InputError("token", str(path), problem="is empty", hint=f"rm {path}")
    return token


def _check_file(path: Path) -> None:
    about = path.stat()
    if about.st_uid != os.getuid():
        raise InputError("token", str(path), problem="belongs to another user", hint=f"{TOKEN_FILE}=FILE")
    if about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError("token", str(path), problem="can be read by others", hint=f"chmod 600 {path}")
