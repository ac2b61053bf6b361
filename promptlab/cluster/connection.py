"""Connects to Ray: to a cluster that is there, or to one that is started on this machine.

What is started here listens on 127.0.0.1 alone, asks for a token that only its own processes know, has no dashboard,
tells nobody that it is used, and ends with this process. Its folder is removed then.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptlab.errors import EngineError, InputError, one_line, ref_value

__all__ = ["RayConnection", "connect"]

ADDRESS: Final = "RAY_ADDRESS"
_AUTO: Final = "auto"
_LOCAL: Final = "local"
_OURS_BEGIN: Final = "promptlab-"
"""Begins a token that is ours: :mod:`promptlab.serving.environment_key` knows it by that, from a user's own."""

_STORE: Final = 512 * 2**20
"""Bytes of the store that pictures pass through: a few hundred of 512²; weights that are shipped pass in pieces."""

_LEAST_STORE: Final = 80 * 2**20
_STARTS: Final = 3
"""Times that it is tried to start Ray, which gives itself half a minute: too little for a machine that is very busy."""

_A_CORE: Final = 4
"""Workers that are started for each core of this machine, at most: each is a process with a model of its own."""

_AT_LEAST: Final = 16
"""Workers that may be started on any machine, for one of few cores and many GPUs."""

_LONGEST: Final = 16
"""Characters of the folder that Ray's folder is made in: its sockets' paths take 87 more, and may have 103 on a Mac."""

_REACHED: Final = 10.0
"""Seconds that a cluster may take to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayConnection:
    """Holds what was connected to.

    Args:
        gpus, cpus: that the cluster has.
        is_own: whether it was started here, and ends with :attr:`close`.
        close: leaves the cluster, or ends it.
    """

    gpus: int
    cpus: int
    is_own: bool
    close: Callable[[], None]


def connect(cluster: str | None, *, workers: int | None) -> RayConnection:
    """Connect to the cluster at ``cluster``, or of ``RAY_ADDRESS``; start one where neither names any.

    A program that has connected Ray itself keeps its connection, and it is used.

    Args:
        cluster: ``HOST:PORT``, ``auto`` for the one that runs on this machine, or ``local`` for one of our own.
        workers: cores that one is started with; all that may be used by default.

    Raises:
        InputError: when Ray is not installed, or the cluster not reachable; for more workers than this machine carries.
        EngineError: when none can be started.
    """
    address = cluster or os.environ.get(ADDRESS) or None
    if address == _LOCAL:
        address = None
    if address is not None and address.startswith("ray://"):
        raise InputError(
            "cluster", address, problem="is Ray Client's, which streams no pictures",
            allowed="HOST:PORT of the cluster's head (6379), from a machine of the cluster",
            hint=ref_value("cluster", _AUTO),
        )  # fmt: skip
    ray = _imported_ray(local=address is None)
    if ray.is_initialized():
        return _connection(ray, close=lambda: None, is_own=False)
    _silence(ray)
    if address is not None:
        return _joined(ray, address)
    return _started(ray, workers or _cores())


def _imported_ray(*, local: bool) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers that it is used
    if (
        local and "ray" not in sys.modules
    ):  # read when it is imported: it would listen on all of the machine's addresses
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default: beside anything else they would stand still
        if "RAY_AUTH_MODE" not in os.environ:
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ.setdefault("RAY_AUTH_TOKEN", f"{_OURS_BEGIN}{secrets.token_hex(32)}")
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "workers", problem="needs the package ray, which is not installed", hint='pip install "promptlab[ray]"'
        ) from error
    return ray


def _silence(ray: Any) -> None:
    """Keep Ray from writing to standard output, which is a command's own: who died is ours to say."""
    if hasattr(ray._private.worker, "print_to_stdstream"):  # noqa: SLF001 - there is no option for it
        ray._private.worker.print_to_stdstream = lambda *_, **__: None  # noqa: SLF001 - likewise


def _joined(ray: Any, address: str) -> RayConnection:
    _check_reachable(address)
    with _signals_kept():
        try:
            ray.init(
                address=address, namespace="promptlab", log_to_driver=False, logging_level=logging.CRITICAL,
                configure_logging=False,
            )  # fmt: skip
        except Exception as error:
            raise _unreachable(address, one_line(error)) from error
    return _connection(ray, close=ray.shutdown, is_own=False)


def _check_reachable(address: str) -> None:
    """Ask in a moment what Ray asks for minutes."""
    host, _, port = address.rpartition(":")
    if address == _AUTO or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or one_line(error)) from error


def _unreachable(address: str, why: str) -> InputError:
    return InputError(
        "cluster", address, problem=f"cannot be reached: {why}", allowed="HOST:PORT of a cluster's head, or auto",
        hint="ray status",
    )  # fmt: skip


def _started(ray: Any, cores: int) -> RayConnection:
    most = max(_AT_LEAST, _A_CORE * _cores())
    if cores > most:
        raise InputError(
            "workers", cores, problem="are more than this machine carries", allowed=f"1 to {most}, or auto",
            hint=ref_value("workers", _AUTO),
        )  # fmt: skip
    for left in reversed(range(_STARTS)):
        folder = tempfile.mkdtemp(prefix="promptlab-ray-", dir=_home())
        try:
            with _signals_kept():
                ray.init(
                    address=_LOCAL, num_cpus=cores, include_dashboard=False, _node_ip_address="127.0.0.1",
                    _temp_dir=folder, object_store_memory=_store(), namespace="promptlab", log_to_driver=False,
                    logging_level=logging.CRITICAL, configure_logging=False,
                )  # fmt: skip
            break
        except Exception as error:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
            if not left:
                raise EngineError(f"Ray could not be started: {one_line(error)}") from error

    def close() -> None:
        atexit.unregister(close)
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(close)  # before Ray's own, which would leave the folder
    return _connection(ray, close=close, is_own=True)


def _connection(ray: Any, *, close: Callable[[], None], is_own: bool) -> RayConnection:
    resources = ray.cluster_resources()
    return RayConnection(
        gpus=int(resources.get("GPU", 0)), cpus=int(resources.get("CPU", 0)), is_own=is_own, close=close
    )


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Take back SIGTERM, which Ray listens to: it would end this process past the notebook."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _home() -> str:
    """Return where Ray's folder is made: where temporary files are, unless its sockets have no room there."""
    home, short = tempfile.gettempdir(), "/tmp"  # noqa: S108 - what is made in it is ours alone
    return short if len(home) > _LONGEST and os.access(short, os.W_OK | os.X_OK) else home


def _store() -> int:
    """Return the size of the store: less than the shared memory, which is small in a container."""
    free = _STORE
    with suppress(OSError):
        free = int(shutil.disk_usage(Path("/dev/shm")).free * 0.8)  # noqa: S108 - where Ray keeps it
    return max(_LEAST_STORE, min(_STORE, free))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
