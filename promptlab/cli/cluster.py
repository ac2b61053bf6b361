"""Reads how many workers make the pictures, and on which cluster.

What is typed holds for one command and is remembered nowhere. It lies in click's context, as in
:mod:`promptlab.cli.context`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import click

from promptlab.cluster.asked_workers import AUTO, CLUSTER, SHIP_MODEL, WORKERS, AskedWorkers, read_workers
from promptlab.errors import InputError, ref_value

__all__ = ["cluster_option", "cluster_options", "take_workers", "typed_workers"]

_HERE: Final = frozenset({AUTO, "local"})
"""Addresses by which Ray is looked for, or started, on this machine."""

_RAY_ADDRESS: Final = "RAY_ADDRESS"

Command = Callable[..., Any]
"""A function that click calls with what was typed."""


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
            hint=f"{ref_value('cluster', cluster)} (where you trust it), or {ref_value('workers', AUTO)}",
        )  # fmt: skip
    if workers is not None:
        context.meta[WORKERS] = read_workers(workers, what=f"{file}: workers")
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
            ctx.meta[name] = read_workers(typed) if name == WORKERS else typed

    return keep
