"""Carries out ``promptlab ui`` and ``promptlab sync``: the page, MLflow's pages, and what these miss."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import click

from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.open_file import has_screen, show_page
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.paths import elsewhere, recorded_elsewhere
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.warm import page_of, server_finder, typed_keep_alive
from promptlab.errors import NotFound, PromptLabError

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.serving.messages import PageAddress, PageOrder
    from promptlab.tracking import MlflowServer

__all__ = ["sync", "ui"]

_OWN: Final = "127.0.0.1"


@click.command()
@click.option("--mlflow", "mlflow_alone", is_flag=True, help="Only MLflow's pages: browse and compare what was made.")
@click.option(
    "--experiment", metavar="NAME", help="Open on this experiment. [default: all, in MLflow the newest run's]"
)
@click.option(
    "--host",
    default=_OWN,
    show_default=True,
    metavar="ADDRESS",
    help="Where MLflow's pages listen; whoever reaches another address than this one can open them.",
)
@click.option(
    "--port",
    type=integer("--port", "7870"),
    metavar="PORT",
    help="Of the page, or with --mlflow of MLflow's. [default: 7870 and 5000, or the next free ones]",
)
@click.option(
    "--open/--no-browser",
    "in_browser",
    default=None,
    help="Open the address in the browser, or only say it. [default: where there is a screen]",
)
@click.option("--no-server", is_flag=True, help="Make the pictures in this process; start nothing that stays.")
@workspace_options
@tracking_option
def ui(
    mlflow_alone: bool,
    experiment: str | None,
    host: str,
    port: int | None,
    in_browser: bool | None,
    no_server: bool,
    workspace: str | None,
    tracking_uri: str | None,
) -> None:
    """Open the page where one iterates: words, pictures as they come, what came of what. Ctrl-C stops it.

    What is run in a terminal meanwhile appears there by itself. MLflow's pages are served beside it. Only this machine
    reaches them, and whoever opens the address that is said.
    """
    lab = open_lab(workspace, tracking_uri)
    if experiment is not None and not lab.history.list(experiment=experiment, limit=1):
        names = ", ".join(sorted({summary.experiment for summary in lab.history.list()})) or "none yet"
        raise NotFound("--experiment", experiment, allowed=names, hint="promptlab list")
    shows = has_screen() if in_browser is None else in_browser
    if mlflow_alone:
        _browse_mlflow(lab, experiment, host, port, shows=shows)
        return
    lab.context.check()

    def say(address: PageAddress) -> None:
        more = "" if experiment is None else f"&{urlencode({'experiment': experiment})}"
        echo(f"the page is at {address.first()}{more}")
        echo("Ctrl-C stops it.", err=True)
        if shows:
            show_page(address, more=more)

    order = _order(lab, tracking_uri, port)
    try:
        if no_server or typed_keep_alive() == 0:
            _serve_here(lab, order, host, say)
        else:
            _keep_open(lab, order, host, say)
    except KeyboardInterrupt:
        echo("stopped.", err=True)


def _order(lab: Lab, tracking_uri: str | None, port: int | None) -> PageOrder:
    from promptlab.serving.messages import PageOrder

    workspace = lab.workspace
    return PageOrder(
        workspace=workspace.root, database=workspace.database_url, tracking_uri=tracking_uri, port=port,
        there=elsewhere(workspace), recorded_at=recorded_elsewhere(tracking_uri),
    )  # fmt: skip


def _keep_open(lab: Lab, order: PageOrder, host: str, say: Callable[[PageAddress], None]) -> None:
    """Keep the page open in whichever server keeps a model warm, until Ctrl-C."""
    from promptlab.serving.page_lease import PageLease

    lease = PageLease(server_finder(), order)
    try:
        before = page_of(lab.workspace)
        address = lease.open()
        say(address)
        with ExitStack() as beside:
            try:
                if before != address:  # else somebody has it open, and MLflow's pages with it
                    lease.show_mlflow(beside.enter_context(_mlflow_pages(lab, host, address)))
            except PromptLabError as error:
                _say_without(error)
            lease.wait()
    finally:
        lease.close()


def _serve_here(lab: Lab, order: PageOrder, host: str, say: Callable[[PageAddress], None]) -> None:
    """Serve the page in this process, and make its pictures here, until Ctrl-C."""
    from promptlab.cli.server import lab_server, open_page
    from promptlab.serving.messages import FOREVER

    ended = threading.Event()
    server = lab_server(FOREVER)

    def serve_mlflow() -> None:
        try:
            with _mlflow_pages(lab, host, page.address, going=lambda: not ended.is_set()) as url:
                page.show_mlflow(url)
                ended.wait()
        except PromptLabError as error:
            if not ended.is_set():
                _say_without(error)

    with open_page(order, server) as page:
        say(page.address)
        beside = threading.Thread(target=serve_mlflow, name="mlflow-pages")
        beside.start()
        try:
            server.work()
        finally:
            ended.set()
            beside.join()
    raise KeyboardInterrupt


@contextmanager
def _mlflow_pages(
    lab: Lab, host: str, address: PageAddress, *, going: Callable[[], bool] = lambda: True
) -> Iterator[str]:
    """Give the address of MLflow's pages: of the server elsewhere, or of one that runs meanwhile.

    Where only this machine reaches them, they ask for the cookie of the page, which a browser has for its host alone.
    """
    if lab.tracking_uri is not None:
        yield lab.tracking_uri
        return
    from promptlab.page.gate import PageKeys
    from promptlab.tracking.beside_page import PageBeside

    page = PageBeside(url=address.url, cookie=PageKeys.of(address.token, address.port).header)
    with lab.maintenance.serve(host=host, page=page if host == _OWN else None, going=going) as server:
        _say_unrecognised(server)
        yield server.url


def _say_without(error: PromptLabError) -> None:
    echo(f"promptlab: without MLflow's pages, because {error}", err=True)


def _say_unrecognised(server: MlflowServer) -> None:
    """Say what of the installed MLflow is not as it was when this was written; nothing as a rule."""
    for line in server.unrecognised:
        echo(f"promptlab: {line}", err=True)


def _browse_mlflow(lab: Lab, experiment: str | None, host: str, port: int | None, *, shows: bool) -> None:
    """Serve MLflow's pages alone, until Ctrl-C; of a server elsewhere, say the address."""
    newest = experiment or next((summary.experiment for summary in lab.history.list(limit=1)), None)
    elsewhere_at = lab.maintenance.remote_ui_url(newest)
    if elsewhere_at is not None:
        echo(f"MLflow shows the pictures at {elsewhere_at}")
        if shows:
            click.launch(elsewhere_at)
        return
    echo("starting MLflow …", err=True)
    with lab.maintenance.serve(host=host, port=port) as server:
        _say_unrecognised(server)
        address = server.address(experiment)
        echo(f"MLflow shows the pictures at {address}")
        echo("Ctrl-C stops it.", err=True)
        if shows:
            click.launch(address)
        try:
            server.wait()
        except KeyboardInterrupt:
            echo("stopped.", err=True)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Tell it of every run and sweep anew.")
@click.option("--rated", is_flag=True, hidden=True, help="Tell it of ratings alone: what 'rate' leaves to do.")
@workspace_options
@tracking_option
def sync(everything: bool, rated: bool, workspace: str | None, tracking_uri: str | None) -> None:
    """Tell MLflow what it missed: runs and sweeps that it does not show, or shows otherwise than they are.

    Told twice it changes nothing. Runs that are being made at this moment are left alone.
    """
    lab = open_lab(workspace, tracking_uri)
    if rated:
        os.nice(10)  # whoever rates makes the next pictures meanwhile
        lab.ratings.publish()
        return
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        told = lab.maintenance.sync(progress, everything=everything)
    parts = [f"{what} {', '.join(map(str, ids))}" for what, ids in (("run", told.runs), ("sweep", told.sweeps)) if ids]
    echo(f"MLflow now knows {' and '.join(parts)}" if parts else "MLflow knows every run already")
