"""Looks at the machines of a cluster: what each has, and whether it could make pictures."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from promptlab.cluster.connection import connect
from promptlab.cluster.versions import other_versions, versions_here
from promptlab.errors import one_line

__all__ = ["NodeFacts", "survey_nodes"]

_ANSWERED: Final = 60.0
"""Seconds that all machines have to answer: they may import torch for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """Describes one machine of a cluster.

    Args:
        host: its name; that of its address where it does not answer.
        cpus, gpus: places that it offers to Ray, and ``cpus_free``, ``gpus_free`` of them that nobody has.
        devices: names of its GPUs.
        memory: bytes.
        models: names of the models in its Hub cache.
        problem: why it makes no pictures; ``None`` where it can.
    """

    host: str
    cpus: int
    gpus: int
    cpus_free: int | None = None
    gpus_free: int | None = None
    devices: tuple[str, ...] = ()
    memory: int | None = None
    models: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    host: str
    versions: Mapping[str, str | None]
    devices: tuple[str, ...]
    memory: int
    models: tuple[str, ...]


def survey_nodes(cluster: str | None) -> tuple[NodeFacts, ...]:
    """Ask every machine of the cluster at ``cluster``.

    Raises:
        InputError: when it cannot be reached.
    """
    connection = connect(cluster, workers=None)
    try:
        return tuple(_survey())
    finally:
        connection.close()


def _survey() -> Iterator[NodeFacts]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in nodes
    ]
    free = ray._private.state.available_resources_per_node()  # noqa: SLF001 - ray.state writes a warning, and is no other
    until = time.monotonic() + _ANSWERED
    for node, answer in zip(nodes, asked, strict=True):
        yield _facts(node, free.get(node["NodeID"], {}), answer, timeout=max(0.0, until - time.monotonic()))


def _facts(node: Mapping[str, Any], free: Mapping[str, float], answer: Any, *, timeout: float) -> NodeFacts:
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError

    places = node["Resources"]
    facts = NodeFacts(
        host=str(node["NodeManagerHostname"]), cpus=int(places.get("CPU", 0)), gpus=int(places.get("GPU", 0)),
        cpus_free=int(free.get("CPU", 0)), gpus_free=int(free.get("GPU", 0)),
    )  # fmt: skip
    problem = None
    try:
        found: _Answer = ray.get(answer, timeout=timeout)
    except RayTaskError as error:
        problem = f"PromptLab does not run there: {one_line(error.cause, limit=160)}"
    except GetTimeoutError:
        problem = f"it does not answer within {_ANSWERED:.0f} s"
    except RayError as error:
        problem = one_line(error, limit=160)
    if problem is not None:
        return replace(facts, problem=problem)
    other = other_versions(found.versions)
    return replace(
        facts, host=found.host, devices=found.devices, memory=found.memory, models=found.models,
        problem=None if other is None else f"other versions: {other}",
    )  # fmt: skip


def _look() -> _Answer:
    """Look at the machine that this runs on."""
    import psutil

    from promptlab.engine.machine.devices import device_names
    from promptlab.engine.sources.catalog import known_models

    models = tuple(model.name for model in known_models() if model.kind == "hub cache")
    return _Answer(
        host=platform.node(), versions=versions_here(), devices=device_names(),
        memory=psutil.virtual_memory().total, models=models,
    )  # fmt: skip
