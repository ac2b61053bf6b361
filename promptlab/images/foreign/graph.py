"""Walks ComfyUI's ``prompt``, a graph of nodes, from what was saved to what it was made from.

A graph comes from a stranger: links may lead in circles, to nowhere or through a hundred thousand nodes. A walk visits
a node once and does not recurse, so it ends.

Invariant: all walks of one graph together look at so many links for each that it has, and no more; whoever asks on is
told that it is too far.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Graph", "Link", "Node", "TooFar"]

Link = tuple[str, int]
"""Where an input comes from: the key of a node, and which of its outputs."""

_FAR: Final = 32
"""So many nodes may hand a number or a text on before it is given up."""

_LOOKS: Final = 6
"""So often each value of a graph may be looked at, on an average of a large one."""

_LOOKS_AT_LEAST: Final = 100_000


class TooFar(Exception):
    """Says that a graph is tangled so that following it takes more than its size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """Holds one node: its key in the graph, its class, its inputs, which are values or links."""

    key: str
    kind: str
    inputs: Mapping[str, Any]


class Graph:
    """Holds the nodes of a graph by their keys; what does not have the form of a node is left out."""

    def __init__(self, plain: Mapping[str, Any]) -> None:
        self.nodes: dict[str, Node] = {}
        self.looked, values = 0, 0
        for key, node in plain.items():
            if isinstance(node, dict):
                kind, inputs = node.get("class_type"), node.get("inputs")
                if isinstance(kind, str) and isinstance(inputs, dict):
                    self.nodes[key] = Node(key=key, kind=kind, inputs=inputs)
                    values += len(inputs)
        self.most_looks = _LOOKS_AT_LEAST + _LOOKS * values

    def link(self, value: object) -> Link | None:
        """Return ``value`` as a link to a node that is there; None when it is a value of its own.

        Raises:
            TooFar: when more was looked at than the graph is large.
        """
        self.looked += 1
        if self.looked > self.most_looks:
            raise TooFar
        if not isinstance(value, list) or len(value) != 2:
            return None
        key, slot = value
        if isinstance(key, bool) or not isinstance(key, str | int) or not isinstance(slot, int):
            return None
        if isinstance(key, int):
            if key.bit_length() > 64:
                return None
            key = str(key)
        return (key, slot) if key in self.nodes else None

    def links(self, node: Node, names: Iterable[str] | None = None) -> Iterator[Link]:
        """Yield the links among the inputs of ``node``: of those called ``names``, or of all."""
        for name in node.inputs if names is None else names:
            link = self.link(node.inputs.get(name))
            if link is not None:
                yield link

    def upstream(
        self, start: Iterable[Link], follow: Callable[[Node, int], Iterable[str] | None] = lambda *_: None
    ) -> Iterator[tuple[Node, int]]:
        """Yield the nodes behind ``start``, the nearest first, each once, with the output asked for.

        Args:
            follow: which inputs of a node to go on with: names, or ``None`` for all.
        """
        waiting, seen = deque(start), set[str]()
        while waiting:
            key, slot = waiting.popleft()
            if key in seen:
                continue
            seen.add(key)
            node = self.nodes[key]
            yield node, slot
            waiting.extend(self.links(node, follow(node, slot)))

    def value(self, node: Node, name: str, through: Iterable[str]) -> Any:
        """Return the input ``name`` of ``node``; where it is linked, that of the node it comes from.

        Args:
            through: what the input is called in nodes that only hold a value.
        """
        value, names = node.inputs.get(name), (name, *through)
        for _ in range(_FAR):
            link = self.link(value)
            if link is None:
                return value
            inputs = self.nodes[link[0]].inputs
            value = next((inputs[each] for each in names if each in inputs), None)
        return None
