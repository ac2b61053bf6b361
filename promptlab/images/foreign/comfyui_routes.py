"""Follows ComfyUI's links by name: through reroutes, switches, pipes and contexts.

A link names a node and the number of one of its outputs. What that output is called is known to the node's class alone,
so the classes that have several are listed: Impact's basic pipe, rgthree's contexts, the loaders of Efficiency Nodes,
Easy Use and tinyterraNodes. Of a class that is not listed the input of the wanted name is taken, which is said.

Invariant: a route ends. No node is visited twice on it, and it has a bounded length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from promptlab.images.foreign.graph import Graph, Link, Node
from promptlab.images.foreign.record import as_int

__all__ = ["LATENTS", "NEGATIVE", "POSITIVE", "Routes"]

_FAR: Final = 64
"""So many nodes may hand a value on before it is given up."""

_CONTEXT: Final = ("context", "model", "clip", "vae", "positive", "negative", "latent", "images", "seed")
_BIG_CONTEXT: Final = (
    *_CONTEXT, "steps", "step_refiner", "cfg", "ckpt_name", "sampler", "scheduler", "clip_width", "clip_height",
    "text_pos_g", "text_pos_l", "text_neg_g", "text_neg_l", "mask", "control_net",
)  # fmt: skip
_PIPE_OUT: Final = ("pipe", "model", "positive", "negative", "latent", "vae", "clip", "image", "seed")
_TWO: Final = ("positive", "negative", "latent")

_OUTPUTS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("FromDetailerPipe", "FromDetailerPipeSDXL"), ("model", "clip", "vae", "positive", "negative")),
    "FromDetailerPipe_v2": ("detailer_pipe", "model", "clip", "vae", "positive", "negative"),
    "FromBasicPipe": ("model", "clip", "vae", "positive", "negative"),
    "FromBasicPipe_v2": ("basic_pipe", "model", "clip", "vae", "positive", "negative"),
    **{f"Context{kind} (rgthree)": _CONTEXT for kind in ("", " Switch", " Merge")},
    **{f"Context{kind} Big (rgthree)": _BIG_CONTEXT for kind in ("", " Switch", " Merge")},
    "Efficient Loader": ("model", "positive", "negative", "latent", "vae", "clip", "dependencies"),
    "Eff. Loader SDXL": ("sdxl_tuple", "latent", "vae", "dependencies"),
    "KSampler (Efficient)": ("model", "positive", "negative", "latent", "vae", "image"),
    "KSampler Adv. (Efficient)": ("model", "positive", "negative", "latent", "vae", "image"),
    "easy fullLoader": ("pipe", "model", "vae", "clip", "positive", "negative", "latent"),
    "easy pipeOut": _PIPE_OUT,
    "easy kSampler": ("pipe", "image", "model", "positive", "negative", "latent", "vae", "clip", "seed"),
    "ttN pipeLoader": ("pipe", "model", "positive", "negative", "latent", "vae", "clip", "seed"),
    "ttN pipeLoader_v2": ("pipe", "model", "positive", "negative", "latent", "vae", "clip", "seed"),
    "ttN pipeOUT": _PIPE_OUT,
    "Bus Node": ("bus", "model", "clip", "vae", "positive", "negative"),
    "ControlNetApplyAdvanced": _TWO,
    "ControlNetApplySD3": _TWO,
    "InpaintModelConditioning": _TWO,
    "KSampler Config (rgthree)": ("steps", "refiner_step", "cfg", "sampler", "scheduler"),
}
_TWO_OUTPUTS: Final = re.compile(r"control_?net|ipadapter|inpaint|conditioning", re.IGNORECASE)
"""Classes whose first two outputs are their two conditionings, as far as they have two."""

_HANDS_ON: Final = re.compile(
    r"basic_?pipe|^context\b|pipe_?(in|out|edit)\b|(from|to)\w*pipe|^bus\b|(un)?pack .*tuple|_(to|from)_\w*pipe",
    re.IGNORECASE,
)
"""Classes that put several things into one link, or take them out again, and change none of them."""

_REROUTE: Final = re.compile(r"^reroute", re.IGNORECASE)
_PIPE: Final = re.compile(r"(^|_)(pipe|ctx|context|bus|tuple)(_|\d|$)|pipe$", re.IGNORECASE)

POSITIVE: Final = ("positive", "conditioning", "cond1", "pos", "conditioning_positive", "base_positive")
NEGATIVE: Final = ("negative", "neg", "conditioning_negative", "base_negative")
LATENTS: Final = ("latent_image", "latent", "samples", "latents", "optional_latent", "samples1", "opt_latent")
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "positive": POSITIVE,
    "negative": NEGATIVE,
    "latent": LATENTS,
    "model": ("model", "opt_model", "base_model", "model1"),
    "vae": ("vae", "opt_vae", "optional_vae"),
    "seed": ("seed", "noise_seed"),
    "sampler": ("sampler_name", "sampler"),
    "steps": ("steps", "steps_total"),
}

_CHOICES: Final = (
    "select",
    "index",
    "Input",
    "input",
    "switch",
    "boolean",
    "bool",
    "condition",
    "cond",
    "which",
    "value",
)
_HELD: Final = ("value", "boolean", "int", "number", "seed")
_WHEN_TRUE: Final = ("on_true", "true", "if_true", "tt_value", "true_value", "a", "input1")
_WHEN_FALSE: Final = ("on_false", "false", "if_false", "ff_value", "false_value", "b", "input2")
_SWITCH: Final = re.compile(r"switch|if_?else|conditional|branch|^any ", re.IGNORECASE)
_NUMBERED: Final = re.compile(r"([A-Za-z_]+?)_?0*([0-9]{1,4})")


class Routes:
    """Finds where inputs come from. Remembers which nodes were passed and where a name had to be guessed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.passed: set[str] = set()
        self.guessed: dict[str, str] = {}
        self._found: dict[tuple[str, tuple[str, ...]], tuple[Node, str] | None] = {}

    def find(self, node: Node, wanted: str, names: Iterable[str] = ()) -> tuple[Node, str] | None:
        """Return the node and the input that give ``wanted`` to ``node``: its own, or one behind its pipe."""
        names = (*names, *_NAMES.get(wanted, (wanted,)))
        waiting, seen = [node], set[str]()
        in_row: list[str] = []  # what lies behind one pipe alone has the same answer, which is remembered
        while waiting:
            at = waiting.pop()
            if at.key in seen:
                continue
            if len(seen) - len(in_row) >= _FAR:
                return None
            known = len(in_row) == len(seen) and (at.key, names) in self._found
            seen.add(at.key)
            held = next((name for name in names if at.inputs.get(name) not in (None, "")), None)
            if known or held is not None:
                found = self._found[at.key, names] if known else (at, held or "")
                self._found |= {(key, names): found for key in in_row}
                return found
            behind = [self.graph.nodes[key] for key, _ in map(self.passed_on, self._pipes(at))]
            self.passed |= {each.key for each in behind if _HANDS_ON.search(each.kind)}
            if len(behind) == 1 and len(in_row) == len(seen) - 1:
                in_row.append(at.key)
            waiting.extend(behind if "Merge" in at.kind else reversed(behind))
        self._found |= dict.fromkeys(((key, names) for key in in_row if len(in_row) == len(seen)), None)
        return None

    def end_of_pipe(self, node: Node) -> Node:
        """Return the node that a pipe of ``node`` begins at: the loader, where one has no more than the pipe."""
        seen = set[str]()
        while node.key not in seen:
            seen.add(node.key)
            link = next(self._pipes(node), None)
            if link is None:
                break
            node = self.graph.nodes[self.passed_on(link)[0]]
            self.passed.add(node.key)
        return node

    def origin(self, link: Link, wanted: str) -> tuple[Node, str]:
        """Return the node that makes what ``link`` brings, and which of its outputs that is, by name."""
        seen = set[Link]()
        while True:
            key, slot = link = self.passed_on(link)
            node = self.graph.nodes[key]
            port = self._port(node, slot, wanted)
            if link in seen or not _HANDS_ON.search(node.kind):
                return node, port
            seen.add(link)
            self.passed.add(key)
            found = self.find(node, port)
            onward = self.graph.link(found[0].inputs.get(found[1])) if found else None
            if found is None or onward is None:
                return (found[0] if found else node), port
            link, wanted = onward, port

    def chosen(self, node: Node) -> str | None:
        """Return the input that a switch hands on; None when it is no switch, or nobody knows which."""
        if not _SWITCH.search(node.kind):
            return None
        options = [name for name, value in node.inputs.items() if self.graph.link(value) or isinstance(value, str)]
        selector = next((name for name in _CHOICES if name in node.inputs), None)
        if selector is None:  # rgthree's: the first that is not empty
            numbered = [name for name in options if self.graph.link(node.inputs[name])]
            return min(numbered, default=None) if node.kind.lower().startswith("any ") else None
        value = self._plain(node, selector)
        options = [name for name in options if name != selector]
        if isinstance(value, bool):
            names = _WHEN_TRUE if value else _WHEN_FALSE
            ending = ("_a", "_true") if value else ("_b", "_false")
            return next((name for name in options if name in names or name.endswith(ending)), None)
        number = as_int(value)
        for name in options:
            found = _NUMBERED.fullmatch(name)
            if found and int(found.group(2)) == number:
                return name
        return None

    def value(self, node: Node, wanted: str, through: Iterable[str]) -> tuple[Any, Node | None]:
        """Return the value of ``wanted`` at ``node``, and the node that makes it where it cannot be told.

        Args:
            through: what the input is called in nodes that only hold a value.
        """
        found = self.find(node, wanted)
        if found is None:
            return None, None
        at, name = found
        names = tuple(through)
        for _ in range(_FAR):
            value = at.inputs[name]
            link = self.graph.link(value)
            if link is None:
                return value, None
            at, port = self.origin(link, wanted)
            choice = self.chosen(at)
            known = (choice,) if choice else (port, *_NAMES.get(port, ()), *_NAMES.get(wanted, ()), *names)
            held = next((each for each in known if each in at.inputs), None)
            if held is None:
                return None, at
            if not any(self.graph.links(at)) and len(at.inputs) <= 3:
                self.passed.add(at.key)
            name = held
        return None, at

    def _plain(self, node: Node, name: str) -> Any:
        value = node.inputs.get(name)
        for _ in range(_FAR):
            link = self.graph.link(value)
            if link is None:
                return value
            inputs = self.graph.nodes[link[0]].inputs
            value = next(
                (inputs[each] for each in ("value", "boolean", "int", "number", "seed") if each in inputs), None
            )
        return None

    def _pipes(self, node: Node) -> Iterator[Link]:
        """Yield the links of a node that carry several things, those of switches in their order."""
        for name in sorted(node.inputs):
            if _PIPE.search(name) and (link := self.graph.link(node.inputs[name])):
                yield link

    def passed_on(self, link: Link) -> Link:
        """Return the link behind reroutes and switches."""
        for _ in range(_FAR):
            node = self.graph.nodes[link[0]]
            if _REROUTE.search(node.kind):
                onward = next(iter(self.graph.links(node)), None)
            else:
                name = self.chosen(node)
                onward = self.graph.link(node.inputs.get(name)) if name else None
            if onward is None:
                return link
            self.passed.add(node.key)
            link = onward
        return link

    def _port(self, node: Node, slot: int, wanted: str) -> str:
        outputs = _OUTPUTS.get(node.kind)
        if outputs is not None:
            return outputs[slot] if 0 <= slot < len(outputs) else wanted
        two = wanted in ("positive", "negative") and {"positive", "negative"} <= node.inputs.keys()
        if not two:
            return wanted
        if slot in (0, 1) and _TWO_OUTPUTS.search(node.kind):
            return _TWO[slot]
        if ("positive", "negative")[slot != 0] != wanted or slot > 1:
            self.guessed[node.kind] = wanted
        return wanted
