"""Renders the machines of a cluster: what each has, and why one makes no pictures. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from promptlab.cli.output import visible
from promptlab.cli.render.layout import counted

if TYPE_CHECKING:
    from promptlab.cluster.nodes import NodeFacts

__all__ = ["node_lines"]


def node_lines(nodes: Sequence[NodeFacts]) -> Iterator[str]:
    """Yield a line on the cluster, and one on each machine."""
    gpus, cpus = sum(node.gpus for node in nodes), sum(node.cpus for node in nodes)
    yield f"cluster: {counted(len(nodes), 'machine')}, {counted(gpus, 'GPU')}, {counted(cpus, 'core')}"
    for node in nodes:
        places = [
            f"{counted(count, what)} ({free} free)"
            for count, free, what in ((node.gpus, node.gpus_free, "GPU"), (node.cpus, node.cpus_free, "core"))
            if count
        ]
        devices = [", ".join(dict.fromkeys(node.devices))] if node.devices else []
        memory = [] if node.memory is None else [f"{node.memory / 2**30:.0f} GiB of memory"]
        models = [f"models of the Hub: {', '.join(node.models)}"] if node.models else []
        standing = "makes pictures" if node.problem is None else f"is left out: {node.problem}"
        yield visible(f"  {node.host} {standing}; " + "; ".join([*places, *devices, *memory, *models]))
