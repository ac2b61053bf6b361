"""Reads how many workers make the pictures, and on which cluster; creates the engine for them.

What is typed holds for one command and is remembered nowhere. It lies in click's context, as in
:mod:`promptlab.cli.context`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from promptlab.errors import InputError, ref_value

if TYPE_CHECKING:
    from promptlab.engine import Engine

__all__ = [
    "AskedWorkers",
    "RayEngineMaker",
    "cluster_option",
    "cluster_options",
    "take_workers",
    "typed_workers",
]

WORKERS: Final = "PROMPTLAB_WORKERS"
CLUSTER: Final = "PROMPTLAB_CLUSTER"
SHIP_MODEL: Final = "PROMPTLAB_SHIP_MODEL"
_AUTO: Final = "auto"
_HERE: Final = frozenset({_AUTO, "local"})
"""Addresses by which Ray is looked for, or started, on this machine."""

_RAY_ADDRESS: Final = "RAY_ADDRESS"
_MOST: Final = 100_000

Command = Callable[..., Any]
"""A function that click calls with what was typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWorkers:
    """Holds what was asked for.

    Args:
        workers: how many; ``None`` for as many as there are GPUs or cores.
        cluster: the address of a Ray cluster; ``None`` for the one of ``RAY_ADDRESS``, or this machine.
        ship_model: whether weights of this machine are sent to those that may lack them.
    """

    workers: int | None = None
    cluster: str | None = None
    ship_model: bool = False

    @property
    def variables(self) -> Mapping[str, str]:
        """Return what says the same to another process."""
        workers = _AUTO if self.workers is None else str(self.workers)
        cluster = {} if self.cluster is None else {CLUSTER: self.cluster}
        return {WORKERS: workers, **cluster, **({SHIP_MODEL: "1"} if self.ship_model else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngineMaker:
    """Creates the engine of many workers.

    Args:
        make_engine: creates the engine of each.
    """

    asked: AskedWorkers
    make_engine: Callable[[], Engine]

    def __call__(self) -> Engine:
        """Create it; nothing is connected to before it is asked for something."""
        from promptlab.cluster import RayEngine

        asked = self.asked
        return RayEngine(
            workers=asked.workers, cluster=asked.cluster, ship_models=asked.ship_model, make_engine=self.make_engine
        )


def cluster_options(command: Command) -> Command:
    """Add ``--workers``, ``--cluster`` and ``--ship-model``. None is a parameter of the command."""
    ship = click.option(
        "--ship-model", is_flag=True, envvar=SHIP_MODEL, expose_value=False, callback=_keep(SHIP_MODEL),
        help="Send weights in folders and files of this machine to the machines of the cluster.",
    )  # fmt: skip
    workers = click.option(
        "--workers", envvar=WORKERS, metavar="N|auto", expose_value=False, callback=_keep(WORKERS),
        help="Make the pictures on N GPUs, or without any on N cores, a process each; auto for all there are. "
        f'Needs pip install "promptlab[ray]". [default: ${WORKERS}, or one process without]',
    )  # fmt: skip
    on = cluster_option("Make the pictures on a Ray cluster: HOST:PORT of its head, or auto.")
    return workers(on(ship(command)))


def cluster_option(help_text: str) -> Callable[[Command], Command]:
    """Add ``--cluster`` alone. Not a parameter of the command."""
    return click.option(
        "--cluster", envvar=CLUSTER, metavar="ADDRESS", expose_value=False, callback=_keep(CLUSTER),
        help=f"{help_text} [default: ${CLUSTER}; with --workers, $RAY_ADDRESS]",
    )  # fmt: skip


def take_workers(workers: str | None, cluster: str | None, *, file: str | None) -> None:
    """Take what an experiment file says, where nothing was typed.

    Who runs a cluster can run programs on a machine that uses it, for Ray speaks pickle; and a file may be anybody's.

    Invariant: an address of another machine is taken from who types the command, or the environment, alone.

    Args:
        file: what errors call it.

    Raises:
        InputError: when ``workers`` is no number, or ``cluster`` an address that only the file names.
    """
    context = click.get_current_context(silent=True)
    if context is None or typed_workers() is not None:
        return
    if cluster is not None and cluster not in _HERE and cluster != os.environ.get(_RAY_ADDRESS):
        raise InputError(
            f"{file}: cluster", cluster,
            problem="was not typed by you, and who runs a Ray cluster can run programs on this machine",
            hint=f"{ref_value('cluster', cluster)} (where you trust it), or {ref_value('workers', _AUTO)}",
        )  # fmt: skip
    if workers is not None:
        context.meta[WORKERS] = _read(workers, what=f"{file}: workers")
    if cluster is not None:
        context.meta[CLUSTER] = cluster


def typed_workers() -> AskedWorkers | None:
    """Return what the command being carried out asks for; ``None`` where this process makes the pictures."""
    context = click.get_current_context(silent=True)
    if context is None or (WORKERS not in context.meta and CLUSTER not in context.meta):
        return None
    workers = context.meta.get(WORKERS)
    return AskedWorkers(
        workers=workers if isinstance(workers, int) else None, cluster=context.meta.get(CLUSTER),
        ship_model=bool(context.meta.get(SHIP_MODEL)),
    )  # fmt: skip


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, _: click.Parameter, typed: Any) -> None:
        if typed:
            ctx.meta[name] = _read(typed) if name == WORKERS else typed

    return keep


def _read(text: str, *, what: str = "workers") -> int | str:
    if text == _AUTO:
        return text
    if not (text.isdecimal() and 1 <= int(text) <= _MOST):
        raise InputError(
            what, text, problem="is no number of workers", allowed="1 or more, or auto", hint=ref_value("workers", 2)
        )
    return int(text)
