"""Carries out ``promptlab server``: starts, shows and stops the process that keeps a model warm."""

from __future__ import annotations

import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptlab.cli import own_process
from promptlab.cli.cluster import cluster_options
from promptlab.cli.context import engine_maker, imports_torch
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.render.server_status import status_lines
from promptlab.cli.warm import (
    keep_alive_option,
    running_server,
    server_option,
    status_of,
    typed_keep_alive,
    worker_variables,
)
from promptlab.records import plain
from promptlab.serving.connection import Endpoint, request
from promptlab.serving.messages import FOREVER, KeepAlive

if TYPE_CHECKING:
    from promptlab.serving.lab_server import LabServer
    from promptlab.serving.messages import PageOrder
    from promptlab.serving.page_host import OpenedPage

__all__ = ["lab_server", "open_page", "server"]


@click.group()
def server() -> None:
    """Keep a model warm between commands, in a process that stays.

    The first command that makes pictures starts it, and 15 minutes after the last one it ends and gives its memory
    back. PROMPTLAB_KEEP_ALIVE says how many minutes, or forever; with 0, or --no-server, there is none.
    """


@server.command()
@keep_alive_option
@click.option("--host", metavar="ADDRESS", help="Serve other machines at this address, until Ctrl-C.")
@click.option("--port", type=integer("--port", "7860"), default=7860, show_default=True, help="That of --host.")
@cluster_options
def start(keep_alive: KeepAlive | None, host: str | None, port: int) -> None:
    """Start the server, unless it is running.

    With --host it serves other machines, and stays in the terminal until Ctrl-C. They type --server http://HOST:PORT,
    and need the token, and the workspace under the same path. The token is that of $PROMPTLAB_SERVER_TOKEN, or of the
    file that $PROMPTLAB_SERVER_TOKEN_FILE names; one is made where there is none.
    """
    if host is not None:
        _serve_others(host, port, FOREVER if keep_alive is None else keep_alive)
        return
    from promptlab.serving.discovery import ServerPlace, find_or_start

    asked = typed_keep_alive() if keep_alive is None else keep_alive
    address = find_or_start(ServerPlace.here(worker_variables()), keep_alive=None if asked is None else str(asked))
    found = status_of(address)
    echo("\n".join(status_lines(found)))
    if asked is not None and found.keep_alive != asked:
        echo("promptlab: it was running, and stays as long as it was told then; type: promptlab server stop", err=True)


@server.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON; null where none is running.")
@server_option
@cluster_options
def status(as_json: bool) -> None:
    """Say what the server holds and is at: memory, model, jobs done and waiting, time left."""
    address = running_server()
    found = None if address is None else status_of(address)
    if as_json:
        echo(json.dumps(plain(found), indent=2, ensure_ascii=False, default=str))
    elif found is None:
        echo("no server is running; the first command that makes pictures starts one")
    else:
        echo("\n".join(status_lines(found)))


@server.command()
@server_option
@cluster_options
def stop() -> None:
    """Stop the server once the pictures under way are finished; typed again, at once."""
    address = running_server()
    if address is None:
        echo("no server is running")
        return
    request(address, "POST", "/stop")
    echo("stopping; pictures under way are finished first")


@server.command(hidden=True)
@cluster_options
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("name")
def serve(folder: Path, name: str) -> None:
    """Be the server of one environment; standard output ends once it listens."""
    if hasattr(os, "fork") and os.fork():
        os._exit(0)  # so that it is nobody's child: no client waits for its end, and none has to
    from promptlab.serving.discovery import ServerPlace
    from promptlab.serving.process import end_process, log_to_stderr, serve_at

    log_to_stderr()
    place = ServerPlace(folder=folder, name=name)
    serve_at(place, lab_server(typed_keep_alive(), listens_at=place.file), _end_standard_output, open_page=open_page)
    end_process()


def _serve_others(host: str, port: int, keep_alive: KeepAlive) -> None:
    from promptlab.serving.credentials import TOKEN, token_file
    from promptlab.serving.process import log_to_stderr, serve_on

    log_to_stderr()
    token = f"${TOKEN}" if os.environ.get(TOKEN) else token_file()
    serving = f"serving at {Endpoint(host=host, port=port)} for whoever has the token of {token}; Ctrl-C stops it"
    serve_on(host, port, lab_server(keep_alive), lambda: echo(serving, err=True))


def lab_server(keep_alive: KeepAlive | None, *, listens_at: Path | None = None) -> LabServer:
    """Return a server that ends when the code was changed, or the file by which it is found is gone."""
    from promptlab.serving.environment_key import code_stamp
    from promptlab.serving.lab_server import DEFAULT_KEEP_ALIVE, LabServer

    own_process.stay()
    make_engine, stamp = engine_maker(), code_stamp()

    def is_outdated() -> bool:
        try:
            return code_stamp() != stamp or (listens_at is not None and not listens_at.exists())
        except OSError:  # it is being replaced at this moment, or is gone
            return True

    return LabServer(
        make_engine, keep_alive=DEFAULT_KEEP_ALIVE if keep_alive is None else keep_alive, is_outdated=is_outdated,
        record_apart=imports_torch(make_engine),
    )  # fmt: skip


def open_page(order: PageOrder, server: LabServer) -> AbstractContextManager[OpenedPage]:
    """Serve the page that ``order`` asks for, which spells commands as they are typed."""
    from promptlab.cli.command_line import command_line
    from promptlab.cli.spelling import option_of
    from promptlab.page.page_server import PageServer

    return PageServer(command_line, option_of).opened(order, server)


def _end_standard_output() -> None:
    """End standard output, which the client that started this reads to its end; log what is said later."""
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
