"""Holds how many workers were asked for, and on which cluster; creates the engine of them.

Whoever opens a lab reads it, from options or from the environment: the command line and Python alike. Nothing here
imports Ray.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, ref_value

if TYPE_CHECKING:
    from promptlab.engine import Engine

__all__ = ["AUTO", "CLUSTER", "SHIP_MODEL", "WORKERS", "AskedWorkers", "RayEngineMaker", "read_workers"]

WORKERS: Final = "PROMPTLAB_WORKERS"
CLUSTER: Final = "PROMPTLAB_CLUSTER"
SHIP_MODEL: Final = "PROMPTLAB_SHIP_MODEL"
AUTO: Final = "auto"
_MOST: Final = 100_000
_OFF: Final = frozenset({"", "0", "f", "false", "n", "no", "off"})
"""Values of a variable that is not set, as click reads them."""


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

    @classmethod
    def by_environment(cls) -> AskedWorkers | None:
        """Return what the environment asks for; None where it asks for none.

        Raises:
            InputError: for what is no number of workers.
        """
        workers, cluster = os.environ.get(WORKERS), os.environ.get(CLUSTER)
        if not workers and not cluster:
            return None
        many = read_workers(workers, what=WORKERS) if workers else AUTO
        ship_model = os.environ.get(SHIP_MODEL, "").strip().lower() not in _OFF
        return cls(workers=many if isinstance(many, int) else None, cluster=cluster or None, ship_model=ship_model)

    @property
    def variables(self) -> Mapping[str, str]:
        """Return what says the same to another process."""
        workers = AUTO if self.workers is None else str(self.workers)
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


def read_workers(text: str, *, what: str = "workers") -> int | str:
    """Read a number of workers, or ``auto``.

    Raises:
        InputError: for anything else.
    """
    if text == AUTO:
        return text
    if not (text.isdecimal() and 1 <= int(text) <= _MOST):
        raise InputError(
            what, text, problem="is no number of workers", allowed="1 or more, or auto",
            hint=ref_value(WORKERS if what == WORKERS else "workers", 2),
        )  # fmt: skip
    return int(text)
