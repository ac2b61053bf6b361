"""Writes paths as one would type them from here, and the options that a next command needs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from promptlab.workspace import Workspace

__all__ = ["DATABASE", "elsewhere", "folder_elsewhere", "recorded_elsewhere", "shown_path"]

DATABASE = "PROMPTLAB_DATABASE"
"""The variable that stands for ``--database``."""


def shown_path(path: Path) -> str:
    """Return ``path`` as one would type it from here: relative where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def folder_elsewhere(workspace: Workspace) -> str | None:
    """Return the workspace's folder as it is typed; ``None`` for the current folder."""
    return None if workspace.root == Path.cwd() else shlex.quote(shown_path(workspace.root))


def elsewhere(workspace: Workspace) -> str:
    """Return the options that a next command needs to find ``workspace``.

    None are needed in the current folder with its own database.

    What the environment says already is not repeated, and a password never: the next command asks for it again.
    """
    folder, url = folder_elsewhere(workspace), workspace.database_url
    options = "" if folder is None else f" --workspace {folder}"
    if url is None or url == os.environ.get(DATABASE):
        return options
    from promptlab.store.address import displayed_address

    return f"{options} --database {shlex.quote(displayed_address(url))}"


def recorded_elsewhere(tracking_uri: str | None) -> str:
    """Return the option that a next command needs to tell the same MLflow server.

    None is needed where the environment says it.

    A password that stands in the address is never said: it is asked for again.
    """
    ambient = ("PROMPTLAB_TRACKING_URI", "MLFLOW_TRACKING_URI")
    if tracking_uri is None or tracking_uri in map(os.environ.get, ambient):
        return ""
    from promptlab.tracking.address import TrackingAddress

    return f" --tracking-uri {shlex.quote(TrackingAddress.read(tracking_uri).url)}"
