"""Chooses who carries out a command that makes pictures: a server that is warm, or this process.

A server is started by the first such command, and found by the next. Where none may be, or none can be started, the
command does everything itself, as it always could. What is typed here lies in click's context, as in
:mod:`promptlab.cli.context`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click

from promptlab.cli.cluster import cluster_options, typed_workers
from promptlab.cli.context import database_url, engine_maker, imports_torch, open_lab, pickle_allowed
from promptlab.cli.output import echo
from promptlab.errors import InputError, ServerError

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.serving.connection import Endpoint
    from promptlab.serving.job_stream import FindServer
    from promptlab.serving.messages import KeepAlive, PageAddress, ServerStatus
    from promptlab.serving.remote_lab import RemoteLab
    from promptlab.specs import RunSpec
    from promptlab.workspace import Workspace

__all__ = [
    "KEEP_ALIVE",
    "keep_alive_option",
    "may_refuse_early",
    "names_server",
    "open_lookup_lab",
    "open_planning_lab",
    "open_warm_lab",
    "page_of",
    "read_keep_alive",
    "refuse_early",
    "running_server",
    "server_finder",
    "server_option",
    "server_options",
    "status_here",
    "status_of",
    "typed_keep_alive",
    "worker_variables",
]

KEEP_ALIVE: Final = "PROMPTLAB_KEEP_ALIVE"
SERVER: Final = "PROMPTLAB_SERVER"
WAIT: Final = "PROMPTLAB_WAIT"
"""Names the variable that makes commands wait until MLflow knows."""

_URL: Final = "promptlab.server"
_NONE: Final = "promptlab.no_server"

Command = Callable[..., Any]
"""A function that click calls with what was typed."""


def server_options(command: Command) -> Command:
    """Add ``--server``, ``--no-server`` and the workers: who is to make the pictures. None is a parameter."""
    none = click.option(
        "--no-server", is_flag=True, expose_value=False, callback=_keep(_NONE),
        help="Make the pictures in this process; start nothing that stays.",
    )  # fmt: skip
    return cluster_options(none(server_option(command)))


def server_option(command: Command) -> Command:
    """Add ``--server``, a server on another machine. Not a parameter of the command."""
    return click.option(
        "--server", envvar=SERVER, metavar="URL", expose_value=False, callback=_keep(_URL),
        help="A server on another machine, http://HOST:PORT, that makes the pictures; its token is in "
        f"$PROMPTLAB_SERVER_TOKEN. [default: ${SERVER}, or this machine's own]",
    )(command)  # fmt: skip


def keep_alive_option(command: Command) -> Command:
    """Add ``--keep-alive``, how long a server stays."""
    return click.option(
        "--keep-alive", metavar="MINUTES|forever",
        callback=lambda _ctx, _param, typed: read_keep_alive("keep_alive", typed),
        help=f"How long it stays after its last job. [default: ${KEEP_ALIVE}, or 15]",
    )(command)  # fmt: skip


def typed_keep_alive() -> KeepAlive | None:
    """Return how long a server is to stay, as the environment says; None where it says nothing.

    Raises:
        InputError: when that is no time.
    """
    return read_keep_alive(KEEP_ALIVE, os.environ.get(KEEP_ALIVE))


def read_keep_alive(what: str, text: str | None) -> KeepAlive | None:
    """Read minutes, or ``forever``.

    Raises:
        InputError: for anything else.
    """
    if not text:
        return None
    if text == "forever":
        return "forever"
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < 1e6:
        raise InputError(
            what, text, problem="is no time", allowed="minutes, 0 or more, or forever", hint=f"{KEEP_ALIVE}=15"
        )
    return minutes


def open_warm_lab(workspace: str | None, tracking_uri: str | None = None) -> Lab | RemoteLab:
    """Return the lab of a command that makes pictures: in a server, or in this process.

    Args:
        workspace, tracking_uri: see :func:`promptlab.cli.context.open_lab`.

    Raises:
        ServerError: when a server that was named does not answer.
    """
    keep_alive = typed_keep_alive()
    named = _named_server()
    if named is None and (keep_alive == 0 or _typed(_NONE)):
        return open_lab(workspace, tracking_uri)
    from promptlab.serving.remote_lab import RemoteLab

    try:
        find = _finder(named, keep_alive)
    except ServerError as error:
        if named is not None:
            raise
        echo(f"promptlab: without a server, because {error}; --no-server says nothing of it", err=True)
        return open_lab(workspace, tracking_uri)
    return RemoteLab(
        find, workspace, database=database_url(), tracking_uri=tracking_uri, allow_pickle=pickle_allowed(),
        keep_alive=None if named is not None else keep_alive,
        early=tracking_uri is None and not os.environ.get(WAIT),  # a server elsewhere may be away, which is said here
    )  # fmt: skip


def open_lookup_lab(workspace: str | None, tracking_uri: str | None = None) -> Lab | RemoteLab:
    """Return the lab to look something up with: of a server that is warm, else in this process."""
    return open_lab(workspace, tracking_uri) if _warm_server() is None else open_warm_lab(workspace, tracking_uri)


def open_planning_lab(workspace: str | None, tracking_uri: str | None = None) -> Lab | RemoteLab:
    """Return the lab of a command that makes nothing, and start nothing.

    It is in a server that was named, or is warm and at no job: what only torch knows is told in a moment there.
    """
    server = _warm_server()
    is_free = server is not None and (_named_server() is not None or not _jobs_at(server))
    if is_free:
        return open_warm_lab(workspace, tracking_uri)
    return open_lab(workspace, tracking_uri, planning=True)


def _warm_server() -> Endpoint | None:
    """Return the server that was named, or one that is running and may be asked; None where neither is."""
    if _named_server() is None and (_typed(_NONE) or typed_keep_alive() == 0):
        return None
    with suppress(ServerError):
        return running_server()
    return None


def _jobs_at(server: Endpoint) -> list[object]:
    from promptlab.serving.connection import request

    with suppress(ServerError):
        return list(request(server, "GET", "/jobs")["jobs"])
    return [None]


def names_server() -> bool:
    """Tell whether a server was named, which may be on another machine."""
    return _named_server() is not None


def may_refuse_early() -> bool:
    """Tell whether what decides a refusal lies on this machine, and to hear of it otherwise takes seconds."""
    asked = typed_workers()
    return _named_server() is None and (asked is None or asked.cluster is None) and imports_torch(engine_maker())


def refuse_early(specs: Sequence[RunSpec]) -> None:
    """Refuse what is known without torch, before anything is started for it.

    Also where a server is warm: it may be at another job for minutes.

    Raises:
        InputError: as the engine would.
    """
    if may_refuse_early() and not all(map(_is_plain, specs)):
        from promptlab.engine.refusals import refuse_early as refuse

        refuse(specs, allow_pickle=pickle_allowed())


def _is_plain(spec: RunSpec) -> bool:
    """Tell whether a model that ships is asked for nothing but words, seeds, steps and guidance."""
    from promptlab.models import bundled_models
    from promptlab.specs import CallSpec, PipelineSpec

    model, call = spec.pipeline.model, spec.call
    return (
        (spec.device, spec.generator_device) == (None, "cpu")
        and call == CallSpec(num_inference_steps=call.num_inference_steps, guidance_scale=call.guidance_scale)
        and spec.pipeline == PipelineSpec(model=model)
        and model in bundled_models()
    )


def running_server() -> Endpoint | None:
    """Return the server that was named, or the one of this environment; None where none is running."""
    named = _named_server()
    if named is not None:
        return named
    from promptlab.serving.discovery import ServerPlace, find

    return find(ServerPlace.here(worker_variables()))


def worker_variables() -> Mapping[str, str]:
    """Return the variables that say which workers were asked for; none where this machine's own engine is."""
    asked = typed_workers()
    return {} if asked is None else asked.variables


def server_finder() -> FindServer:
    """Return what finds this environment's own server, or starts one.

    Raises:
        ServerError: when none can be started.
    """
    return _finder(None, typed_keep_alive())


def status_here() -> ServerStatus | None:
    """Return what this environment's own server is at; None where none is running, or none is to be used."""
    if typed_keep_alive() == 0:
        return None
    with suppress(ServerError):
        address = running_server()
        return None if address is None else status_of(address)
    return None


def page_of(workspace: Workspace) -> PageAddress | None:
    """Return where this environment's own server has the page of a workspace open, if it has."""
    from promptlab.serving.connection import request
    from promptlab.serving.messages import PageAddress
    from promptlab.wire import decode

    if typed_keep_alive() == 0:
        return None
    with suppress(ServerError):
        address = running_server()
        told: dict[str, Any] = {"pages": ()} if address is None else request(address, "GET", "/pages")
        for page in told["pages"]:
            if (page["workspace"], page["database"]) == (str(workspace.root), workspace.database_url):
                found: PageAddress = decode(PageAddress, page["page"], theirs=told["promptlab"])
                return found
    return None


def status_of(address: Endpoint) -> ServerStatus:
    """Return what the server at ``address`` is at.

    Raises:
        ServerError: when it does not answer.
    """
    from promptlab.serving.connection import request
    from promptlab.serving.messages import ServerStatus
    from promptlab.wire import decode

    told = request(address, "GET", "/status")
    found: ServerStatus = decode(ServerStatus, told["status"], theirs=told["promptlab"])
    return found


def _finder(named: Endpoint | None, keep_alive: KeepAlive | None) -> FindServer:
    """Return what finds the server, which is there by then.

    Raises:
        ServerError: when none can be started.
    """
    if named is not None:
        return lambda _replacing: named
    engine_maker()  # a wrong name is refused here, and not in a log
    from promptlab.serving.discovery import ServerPlace, find_or_start

    place = ServerPlace.here(worker_variables())
    typed = None if keep_alive is None else str(keep_alive)
    found = [find_or_start(place, keep_alive=typed)]

    def find(replacing: bool) -> Endpoint:
        if replacing:
            found[0] = find_or_start(place, keep_alive=typed, replacing=found[0])
        return found[0]

    return find


def _named_server() -> Endpoint | None:
    url = _typed(_URL)
    if not url:
        return None
    from promptlab.serving.connection import Endpoint
    from promptlab.serving.credentials import read_token

    return Endpoint.read(url, token=read_token())


def _typed(name: str) -> Any:
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(name)


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, _: click.Parameter, typed: Any) -> None:
        ctx.meta[name] = typed

    return keep
