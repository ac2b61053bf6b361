"""Lists the names and addresses by which a server of ours may be called.

A page of a stranger can have its own name resolve to this machine (DNS rebinding): what tells its requests from ours is
the ``Host`` header. MLflow's own list has globs for private networks, ``192.168.*``, which ``192.168.1.7.evil.example``
matches as well. So it is given exact names, each with the port and without.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["allowed_hosts", "allowed_origins"]

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_MLFLOWS: Final = "MLFLOW_SERVER_ALLOWED_HOSTS"


def allowed_hosts(host: str, port: int, names: Sequence[str] = ()) -> list[str]:
    """Return the ``Host`` headers that a server listening at ``host`` and ``port`` answers.

    Args:
        host: an address or a name of this machine; ``0.0.0.0`` and ``::`` stand for all it has.
        port: where it listens.
        names: further ones, of a proxy before it; those of ``MLFLOW_SERVER_ALLOWED_HOSTS`` are taken as they are.
    """
    given = [name.strip() for name in os.environ.get(_MLFLOWS, "").split(",") if name.strip()]
    exact = [_bracketed(name) for name in (*_names_of(host), *names)]
    return list(dict.fromkeys([*exact, *(f"{name}:{port}" for name in exact), *given]))


def allowed_origins(host: str, port: int, names: Sequence[str] = ()) -> list[str]:
    """Return the origins whose pages may change something: our own, under each of its names."""
    return [f"http://{name}:{port}" for name in dict.fromkeys(map(_bracketed, (*_names_of(host), *names)))]


def _names_of(host: str) -> Iterator[str]:
    """Yield the names under which one who listens at ``host`` is found."""
    address = _address(host)
    if host == _LOOPBACK[0] or (address is not None and address.is_loopback):
        yield from (*_LOOPBACK, host)
        return
    name = socket.gethostname().lower()
    yield from (host, name, f"{name.partition('.')[0]}.local")
    if address is not None and address.is_unspecified:
        yield from _LOOPBACK
        yield from _own_addresses()


def _own_addresses() -> Iterator[str]:
    """Yield the addresses of this machine's network interfaces, without the zones of IPv6."""
    import psutil

    for interface in psutil.net_if_addrs().values():
        for one in interface:
            if one.family in (socket.AF_INET, socket.AF_INET6):
                yield one.address.partition("%")[0]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _bracketed(name: str) -> str:
    """Return a name as a ``Host`` header has it: an address of IPv6 stands in brackets."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
