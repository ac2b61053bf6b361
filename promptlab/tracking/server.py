"""Serves MLflow's pages of a workspace, lean, and leaves nothing running afterwards.

MLflow's server by default takes half a minute, fifteen processes and 2.5 GB; with one worker and without its job queue
a few seconds, two processes and half a gigabyte. It exits with 0 when its port is taken, so the port is looked at
first and the server is asked until it answers.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType
from typing import Final

from promptlab.errors import InputError, TrackerError, one_line, ref_value
from promptlab.tracking.asking import DIRECT, MlflowPages
from promptlab.tracking.beside_page import GATE, PageBeside, environment_beside
from promptlab.tracking.hosts import allowed_hosts, allowed_origins
from promptlab.tracking.internals import PAGE, recognises, unrecognised_lines
from promptlab.tracking.schema import database_uri, make_schema, translate_errors
from promptlab.tracking.ui_app import APP_NAME
from promptlab.workspace import Workspace

__all__ = ["DEFAULT_PORT", "MlflowServer", "serve"]

DEFAULT_PORT: Final = 5000
PORTS_TRIED: Final = 50
START_SECONDS: Final = 120.0
"""7 s on two slow cores; whoever waits this long waits for something that hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowServer:
    """Represents a server that answers.

    Args:
        url: its address, without a slash at the end.
        process: MLflow's; its own session, so that Ctrl-C in the terminal reaches us alone.
        log: what it said.
        unrecognised: what of this MLflow is not as PromptLab knows it, and what it shows instead, a line each.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    unrecognised: tuple[str, ...] = ()

    def address(self, experiment: str | None = None) -> str:
        """Return the address that shows an experiment's images at once.

        Args:
            experiment: by name; ``None`` takes the one with the newest run. The list of experiments when there is none.

        Raises:
            TrackerError: when the server does not answer.
        """
        return MlflowPages(url=self.url).view(experiment)

    def wait(self) -> None:
        """Return never but by Ctrl-C (:exc:`KeyboardInterrupt`).

        Raises:
            TrackerError: when the server ends by itself.
        """
        self.process.wait()
        raise TrackerError(f"MLflow's server has ended: {_last_line(self.log)}")


@contextmanager
def serve(
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    names: Sequence[str] = (),
    page: PageBeside | None = None,
    going: Callable[[], bool] = lambda: True,
) -> Iterator[MlflowServer]:
    """Serve the workspace's MLflow pages for as long as the block lasts.

    Args:
        workspace: its database gets MLflow's tables first, where it has none.
        host: the address to listen at; nothing outside this machine reaches the default.
        port: 1 to 65535; ``None`` takes 5000 or the next free one, 0 any free one.
        names: by which it may be called beside those of this machine, that of a proxy; MLflow refuses others.
        page: beside which it is served; only who has opened that is let in.
        going: whether anybody still waits for it to answer, asked until it does.

    Raises:
        InputError: when ``port`` is taken or no port, or ``host`` is no address of this machine.
        TrackerError: when the server ends or does not answer in two minutes, would let in everybody, or nobody waits.
    """
    chosen = _free_port(host, port)
    with translate_errors(f"MLflow's tables could not be made in {workspace.database}"):
        make_schema(workspace)
    with tempfile.TemporaryDirectory(prefix="promptlab-ui-") as folder, _ending_by_signal():
        log = Path(folder, "server.log")
        process = _start(workspace, host=host, port=chosen, names=names, log=log, home=Path(folder), page=page)
        try:
            server = MlflowServer(url=_url(host, chosen), process=process, log=log, unrecognised=unrecognised_lines())
            _await_answer(server, going)
            if page is not None:
                _check_gate(server)
            yield server
        finally:
            _stop(process)


def _start(
    workspace: Workspace,
    *,
    host: str,
    port: int,
    names: Sequence[str],
    log: Path,
    home: Path,
    page: PageBeside | None,
) -> subprocess.Popen[bytes]:
    workspace.artifacts.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *_options(
            backend_store_uri=database_uri(workspace),
            artifacts_destination=workspace.artifacts,
            serve_artifacts=True,
            host=host,
            port=port,
            workers=1,
            # A checkout that is not installed has no entry points: MLflow's pages then look as they always do.
            app_name=APP_NAME if entry_points(group="mlflow.app", name=APP_NAME) and recognises(PAGE) else None,
            allowed_hosts=",".join(allowed_hosts(host, port, names)),
            cors_allowed_origins=",".join(allowed_origins(host, port, names)),
        ),
    ]
    environment = {
        **environment_beside(page),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
    }
    # Folders of the user's that happen to be called mlflow must not be imported: the server starts in an empty one.
    with log.open("wb") as sink:
        return subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            start_new_session=True,
        )  # fmt: skip


def _options(**values: str | int | Path | None) -> Iterator[str]:
    """Yield MLflow's options by their names in Python; None leaves one out, True takes no value."""
    for name, value in values.items():
        if value is not None:
            yield f"{'-' * 2}{name.replace('_', '-')}"
        if value is not None and value is not True:
            yield str(value)


def _await_answer(server: MlflowServer, going: Callable[[], bool]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if not going():
            raise TrackerError("MLflow's server was told to end before it answered")
        if server.process.poll() is not None:
            raise TrackerError(f"MLflow's server did not start: {_last_line(server.log)}")
        with suppress(OSError), DIRECT.open(f"{server.url}/health", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise TrackerError(f"MLflow's server did not answer in {START_SECONDS:.0f} s: {_last_line(server.log)}")


def _check_gate(server: MlflowServer) -> None:
    """Check that who has no cookie is refused: our app does that, and may not be installed."""
    try:
        DIRECT.open(f"{server.url}{GATE}", timeout=30).close()
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return
    except OSError as error:
        raise TrackerError(f"MLflow's server at {server.url} does not answer: {one_line(error)}") from error
    raise TrackerError("they would be open to everybody on this machine: this MLflow runs no app of PromptLab's")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and all it started: politely, then firmly, then for good."""
    try:
        _end_group(process, signal.SIGINT, seconds=5.0)
        _end_group(process, signal.SIGTERM, seconds=3.0)
    finally:
        _end_group(process, signal.SIGKILL, seconds=3.0)


def _end_group(process: subprocess.Popen[bytes], number: signal.Signals, *, seconds: float) -> None:
    if not _group_alive(process):
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    until = time.monotonic() + seconds
    while _group_alive(process) and time.monotonic() < until:
        time.sleep(0.02)


def _group_alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # reaps it, so that it does not count as alive
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that the server is stopped.

    One that is ignored stays so: ``nohup`` means that the server goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    endings = (signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in endings if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, unwind) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port(host: str, port: int | None) -> int:
    if port is not None and not 0 <= port <= 65535:
        raise InputError("port", port, problem="is no port", allowed="1 to 65535", hint=ref_value("port", DEFAULT_PORT))
    if port == 0:
        return _bound(host, 0) or 0
    first = DEFAULT_PORT if port is None else port
    free = next((one for one in range(first, min(first + PORTS_TRIED, 65536)) if _bound(host, one)), None)
    if free is None or (port is not None and free != port):
        raise InputError(
            "port", first, problem="is taken by another program, or not yours to use", allowed="a free port",
            hint=ref_value("port", free or 0),
        )  # fmt: skip
    return free


def _bound(host: str, port: int) -> int | None:
    """Return ``port`` (or, for 0, a port) if a server could listen there, else None."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
            return int(probe.getsockname()[1])
    except PermissionError:
        return None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        raise InputError(
            "host", host, problem="is no address of this machine", allowed="127.0.0.1, 0.0.0.0 or one of its own",
            hint=ref_value("host", "127.0.0.1"),
        ) from error  # fmt: skip


def _url(host: str, port: int) -> str:
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened at
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    return one_line(next((line for line in reversed(lines) if line.strip()), "it said nothing"))
