"""Opens the lab that carries out what Python asks for: in this process, or in a server's.

What is not said is as the environment says it, by the variables that the command line reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from promptlab.cluster.asked_workers import AskedWorkers, RayEngineMaker
from promptlab.errors import InputError, UnknownValue

if TYPE_CHECKING:
    from promptlab.engine import Engine
    from promptlab.lab import Lab
    from promptlab.serving.connection import Endpoint
    from promptlab.serving.job_stream import FindServer
    from promptlab.serving.remote_lab import RemoteLab
    from promptlab.tracking import Tracker
    from promptlab.workspace import Workspace

__all__ = ["open_lab"]


def open_lab(
    workspace: Workspace | str | os.PathLike[str] | None,
    *,
    server: str | bool | None,
    database: str | None,
    tracking_uri: str | None,
    allow_pickle: bool,
    engine: Engine | None,
    tracker: Tracker | None,
) -> Lab | RemoteLab:
    """Open a lab; see :class:`promptlab.api.python_lab.PythonLab`.

    Raises:
        InputError: for an address that is none, and an engine beside a server.
    """
    workspace = workspace or os.environ.get("PROMPTLAB_WORKSPACE") or None
    database = database or os.environ.get("PROMPTLAB_DATABASE") or None
    tracking_uri = tracking_uri or _tracking_uri()
    if server is None:
        server = False if engine is not None else os.environ.get("PROMPTLAB_SERVER") or False
    if server is False:
        from promptlab.lab import Lab

        return Lab(
            workspace, database=database, engine=engine, tracker=tracker, tracking_uri=tracking_uri,
            allow_pickle=allow_pickle, make_engine=_engine_maker(),
        )  # fmt: skip
    if engine is not None or tracker is not None:
        what = "engine" if engine is not None else "tracker"
        raise InputError(what, problem="is said beside a server", allowed="what the server was started with")
    from promptlab.serving.remote_lab import RemoteLab

    return RemoteLab(
        _find_own() if server is True else _find_named(str(server)), workspace, database=database,
        tracking_uri=tracking_uri, allow_pickle=allow_pickle,
    )  # fmt: skip


def _tracking_uri() -> str | None:
    ambient = os.environ.get("MLFLOW_TRACKING_URI", "")
    named = os.environ.get("PROMPTLAB_TRACKING_URI")
    return named or (ambient if ambient.startswith(("http://", "https://")) else None)


def _engine_maker() -> Callable[[], Engine] | None:
    """Return what makes the engine that the environment asks for; None for the usual one."""
    name = os.environ.get("PROMPTLAB_ENGINE", "diffusers")
    if name not in ("diffusers", "painter"):
        raise UnknownValue("PROMPTLAB_ENGINE", name, ["diffusers", "painter"])
    make = _create_painter if name == "painter" else None
    asked = AskedWorkers.by_environment()
    if asked is None:
        return make
    from promptlab.engine import create_engine

    return RayEngineMaker(asked=asked, make_engine=make or create_engine)


def _create_painter() -> Engine:
    from promptlab.testing import Painter

    return Painter()


def _find_named(url: str) -> FindServer:
    from promptlab.serving.connection import Endpoint
    from promptlab.serving.credentials import read_token

    named = Endpoint.read(url, token=read_token())
    return lambda _replacing: named


def _find_own() -> FindServer:
    """Return what finds this environment's own server, or starts it, when it is first asked."""
    found: list[Endpoint] = []

    def find(replacing: bool) -> Endpoint:
        from promptlab.serving.discovery import ServerPlace, find_or_start

        if replacing or not found:
            found[:] = [find_or_start(ServerPlace.here(), replacing=found[0] if found else None)]
        return found[0]

    return find
