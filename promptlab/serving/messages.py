"""Defines what a client and a server tell each other, beside the values of the verbs themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

__all__ = ["FOREVER", "JobRequest", "JobSummary", "KeepAlive", "PageAddress", "PageOrder", "ServerStatus"]

KeepAlive = float | Literal["forever"]
"""Minutes that a server stays after its last job; 0 is not at all."""

FOREVER: Final = "forever"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """Asks for one verb of a lab; its arguments travel beside it.

    Args:
        verb: such as ``run``, or ``history.find``.
        workspace: absolute: a server has no current folder.
        database, tracking_uri: as :class:`promptlab.lab.Lab` takes them. Passwords may stand in them.
        allow_pickle: permission of this one request.
        keep_alive: how long the server is to stay afterwards, where the client says.
        early: whether a run is answered once it is saved: MLflow is told while somebody looks at the pictures.
    """

    verb: str
    workspace: Path
    database: str | None = field(default=None, repr=False)
    tracking_uri: str | None = field(default=None, repr=False)
    allow_pickle: bool = False
    keep_alive: KeepAlive | None = None
    early: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """Describes a job that is under way or waits for its turn.

    Args:
        ahead: jobs before it; 0 is under way.
    """

    id: str
    verb: str
    workspace: Path
    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """Describes a server at one moment.

    Args:
        version: of its PromptLab.
        started_at: UTC.
        memory: bytes that its process holds, weights on an accelerator left out.
        model: the one that is loaded, as its user names it; ``None`` before the first image.
        jobs_done: since it started.
        jobs: under way and waiting, in order.
        keep_alive: minutes that it stays after the last job.
        seconds_left: until it ends; ``None`` while there are jobs, and where it stays forever.
    """

    pid: int
    version: str
    started_at: datetime
    memory: int
    model: str | None
    jobs_done: int
    jobs: tuple[JobSummary, ...]
    keep_alive: KeepAlive
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOrder:
    """Asks a server for the page of one workspace, at 127.0.0.1.

    Args:
        workspace, database, tracking_uri: those of :class:`JobRequest`.
        port: ``None`` takes the usual one, or the next that is free.
        token: opens it; a new one by default. A page that is opened anew at the same port with the same token is, to a
            browser, the same page.
        there: the options that a command needs to find the workspace from where the page was asked for.
        recorded_at: the option that a command needs to tell the same MLflow server, where that is one elsewhere.
        mlflow_url: where MLflow's own pages of the workspace are; ``None`` where they are not served.
    """

    workspace: Path
    database: str | None = field(default=None, repr=False)
    tracking_uri: str | None = field(default=None, repr=False)
    port: int | None = None
    token: str | None = field(default=None, repr=False)
    there: str = ""
    recorded_at: str = ""
    mlflow_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAddress:
    """Says where a page listens, and the token that opens it."""

    port: int
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """Return its address, without the token and without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def first(self, path: str = "/") -> str:
        """Return the address to open first, which has the token in it."""
        return f"{self.url}{path}?token={self.token}"
