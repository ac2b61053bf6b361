"""Tells MLflow of ratings when the command has answered, in a process of its own.

Importing MLflow takes seconds, in which one would rate the next picture. What MLflow does not know yet is in the
database (see :meth:`promptlab.lab.preferences.ratings.Ratings.publish`), so a process that is killed, or a server that
is away, loses nothing: the next rating tells it too, and so does ``promptlab sync``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from promptlab.cli.paths import DATABASE

if TYPE_CHECKING:
    from promptlab.lab import Lab

__all__ = ["tell", "wait_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def wait_option(command: Command) -> Command:
    """Add ``--wait``, which tells MLflow before the command ends."""
    return click.option(
        "--wait", is_flag=True, envvar="PROMPTLAB_WAIT",
        help="Wait until MLflow knows, instead of telling it afterwards. [default: $PROMPTLAB_WAIT]",
    )(command)  # fmt: skip


def tell(lab: Lab, tracking_uri: str | None, *, wait: bool) -> None:
    """Tell MLflow of ratings: now with ``wait``, else when this command has ended."""
    if not wait and hasattr(os, "posix_spawn"):
        tell_afterwards(lab, tracking_uri)
        return
    from promptlab.cli.progress import ProgressDisplay

    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        lab.ratings.publish(watch=progress)


def tell_afterwards(lab: Lab, tracking_uri: str | None) -> int:
    """Start the process that tells MLflow of ratings, and return its number; nobody waits for it.

    It is in a group of its own, so that Ctrl-C in this terminal is not meant for it, and gets addresses, in which a
    password may stand, by its environment.
    """
    workspace = lab.workspace
    told = {"PROMPTLAB_WORKSPACE": str(workspace.root), "PROMPTLAB_TRACKING_URI": tracking_uri,
            DATABASE: workspace.database_url}  # fmt: skip
    nowhere = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "promptlab", "sync", "--rated"],
        {**os.environ, **{name: value for name, value in told.items() if value is not None}},
        file_actions=nowhere,
        setpgroup=0,
    )
