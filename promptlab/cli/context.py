"""Opens the lab of a command: its workspace, database, MLflow server and engine.

Commands that only look something up need nothing else, so nothing here imports the language of experiments. What holds
for the command being carried out, and for nothing that is remembered, lies in click's context
(``click.Context.meta``): the database and the permission to unpickle.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from promptlab.cli import own_process
from promptlab.cli.cluster import typed_workers
from promptlab.cli.paths import DATABASE
from promptlab.cluster.asked_workers import RayEngineMaker
from promptlab.errors import UnknownValue

if TYPE_CHECKING:
    from promptlab.engine import Engine
    from promptlab.lab import Lab

__all__ = [
    "allow_pickle_option",
    "database_url",
    "engine_maker",
    "imports_torch",
    "open_lab",
    "pickle_allowed",
    "tracking_option",
    "workspace_options",
]

_ALLOW_PICKLE: Final = "promptlab.allow_pickle"
_DATABASE_URL: Final = "promptlab.database_url"

Command = Callable[..., Any]
"""A function that click calls with what was typed."""


def open_lab(workspace: str | None, tracking_uri: str | None = None, *, planning: bool = False) -> Lab:
    """Return the lab of the command being carried out, as options and environment name it.

    Args:
        workspace: the folder, the current one by default.
        tracking_uri: of an MLflow server; the workspace's own MLflow by default.
        planning: whether nothing will be made, so that the engine need not import torch where it can do without.

    Raises:
        UnknownValue: for an engine that there is none of.
    """
    from promptlab.lab import Lab

    make_engine, ours = engine_maker(), own_process.is_ours()
    if planning and imports_torch(make_engine):
        make_engine = _create_planner
    lab = Lab(
        workspace, database=database_url(), tracking_uri=tracking_uri, allow_pickle=pickle_allowed(),
        make_engine=make_engine, record_apart=ours and imports_torch(make_engine),
    )  # fmt: skip
    if ours and (command := click.get_current_context(silent=True)) is not None:
        command.call_on_close(lab.close)
    return lab


def engine_maker() -> Callable[[], Engine]:
    """Return what creates the engine: diffusers, or with ``PROMPTLAB_ENGINE=painter`` what paints instead.

    Where workers were asked for, it is the engine of all of them.

    Raises:
        UnknownValue: for an engine that there is none of.
    """
    name = os.environ.get("PROMPTLAB_ENGINE", "diffusers")
    if name not in _ENGINES:
        raise UnknownValue("PROMPTLAB_ENGINE", name, [*_ENGINES])
    asked = typed_workers()
    return _ENGINES[name] if asked is None else RayEngineMaker(asked=asked, make_engine=_ENGINES[name])


def imports_torch(make_engine: Callable[[], Engine]) -> bool:
    """Say whether creating the engine takes seconds, in which another process can import something else."""
    if isinstance(make_engine, RayEngineMaker):
        return make_engine.make_engine is _create_diffusers
    return make_engine is _create_diffusers


def _create_diffusers() -> Engine:
    from promptlab.engine import create_engine

    return create_engine()


def _create_planner() -> Engine:
    from promptlab.engine import create_planner

    return create_planner()


def _create_painter() -> Engine:
    from promptlab.testing import Painter

    return Painter()


_ENGINES: Final[Mapping[str, Callable[[], Engine]]] = MappingProxyType(
    {"diffusers": _create_diffusers, "painter": _create_painter}
)


def workspace_options(command: Command) -> Command:
    """Add ``--workspace``, the folder that everything lies in, and ``--database``, where its records are.

    The database is no parameter of the command: :func:`open_lab` asks click's context for it.
    """
    database = click.option(
        "--database", envvar=DATABASE, metavar="URL", expose_value=False, callback=_keep_database_url,
        help="Where records are kept, postgresql://USER@HOST/NAME. [default: mlflow.db in the workspace, "
        f"or ${DATABASE}]",
    )  # fmt: skip
    return click.option(
        "--workspace", envvar="PROMPTLAB_WORKSPACE", metavar="FOLDER",
        help="Where everything is kept. [default: the current folder, or $PROMPTLAB_WORKSPACE]",
    )(database(command))  # fmt: skip


def tracking_option(command: Command) -> Command:
    """Add ``--tracking-uri``, the MLflow server that runs are recorded on instead of the workspace's own."""
    return click.option(
        "--tracking-uri", envvar="PROMPTLAB_TRACKING_URI", callback=_read_tracking_uri, metavar="URI",
        help="An MLflow server to tell instead of the workspace's own, http://HOST:PORT. "
        "[default: $PROMPTLAB_TRACKING_URI, or $MLFLOW_TRACKING_URI where that is http(s)]",
    )(command)  # fmt: skip


def allow_pickle_option(command: Command) -> Command:
    """Add ``--allow-pickle``, the permission to read pickled weights.

    It is no parameter of the command: :func:`open_lab` asks click's context for it, so that it reaches the engine and
    nothing that is remembered.
    """
    return click.option(
        "--allow-pickle", is_flag=True, expose_value=False, callback=_keep_permission,
        help="Read pickled weights (.bin, .ckpt) of a model that has no others. Not remembered: type it again.",
    )(command)  # fmt: skip


def pickle_allowed() -> bool:
    """Say whether the command being carried out may read pickled weights."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_ALLOW_PICKLE))


def _keep_permission(ctx: click.Context, _: click.Parameter, typed: bool) -> None:
    ctx.meta[_ALLOW_PICKLE] = typed


def database_url() -> str | None:
    """Return where the records of the command being carried out are, where that is said."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_DATABASE_URL)


def _keep_database_url(ctx: click.Context, param: click.Parameter, typed: str | None) -> None:
    """Refuse an address that is none before anything is done."""
    if not typed:
        return
    from promptlab.store.address import read_address

    typed_here = ctx.get_parameter_source(str(param.name)) is not ParameterSource.ENVIRONMENT
    read_address(typed, field="database_url" if typed_here else DATABASE)
    ctx.meta[_DATABASE_URL] = typed


def _read_tracking_uri(ctx: click.Context, param: click.Parameter, typed: str | None) -> str | None:
    """Return the address that was typed or stands in the environment; refuse one that is none at once."""
    ambient = os.environ.get("MLFLOW_TRACKING_URI", "")
    what = "MLFLOW_TRACKING_URI"
    if typed:
        what = "--tracking-uri"
        if ctx.get_parameter_source(str(param.name)) is ParameterSource.ENVIRONMENT:
            what = "PROMPTLAB_TRACKING_URI"
    elif not ambient.startswith(("http://", "https://")):
        return None
    from promptlab.tracking.address import TrackingAddress

    TrackingAddress.read(typed or ambient, what=what)
    return typed or ambient
