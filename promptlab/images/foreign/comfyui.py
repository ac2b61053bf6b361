"""Reads ComfyUI's graph in the ``prompt`` chunk; ``workflow``, its drawing, is not needed.

A graph can be any program. What is looked for is its common shape: something saved, decoded by a VAE, drawn by a
sampler from a model, two texts and an empty latent (``nodes.py``, ``comfy_extras/nodes_custom_sampler.py``). The
sampler nearest to what was saved counts, or the one whose unfinished noise it goes on from; every node on the way that
does something else is among the lost, by name and with its numbers.

Noise is drawn on the CPU (``prepare_noise`` in ``comfy/sample.py``), of a seed with 64 bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from promptlab.images.foreign.comfyui_conditioning import Conditioning
from promptlab.images.foreign.comfyui_latent import take_size
from promptlab.images.foreign.comfyui_model import flows, loads, take_model, take_text_encoders, take_vae
from promptlab.images.foreign.comfyui_names import (
    PLAIN,
    SCHEDULES,
    record_node,
    set_comfyui_sampler,
    why_with_numbers,
)
from promptlab.images.foreign.comfyui_routes import LATENTS, NEGATIVE, POSITIVE, Routes
from promptlab.images.foreign.graph import Graph, Link, Node, TooFar
from promptlab.images.foreign.infotext_parser import parse
from promptlab.images.foreign.record import ForeignMetadata, as_float, as_int, cleaned, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["read"]

PROGRAM: Final = "ComfyUI"

_NUMBERS: Final = ("value", "int", "number", "float", "Number", "seed", "noise_seed")
_BY_OTHERS: Final = "is made by other nodes"
_MOST_BEFORE: Final = 50
_ANOTHER: Final = "saves another picture of the same graph, and the file does not say which of them it is"
_PICTURES: Final = frozenset({"image", "images", "samples"})
_TOO_FAR: Final = "are tangled so that they cannot be followed to their ends: there may be more than is said here"
_SIGMAS: Final = ("sigmas", "sigmas_1", "sigmas_2", "high_sigmas", "low_sigmas")
_OF_A_SAMPLER: Final = frozenset(
    {"add_noise", "cfg", "cfg_conds", "cfg_cond2_negative", "denoise", "end_at_step", "negative", "noise_seed",
     "positive", "return_with_leftover_noise", "sampler_name", "scheduler", "seed", "start_at_step", "steps",
     "control_after_generate"}
)  # fmt: skip
"""Names the inputs that are read, or only say how a widget behaves."""

_OF_THE_SCREEN: Final = re.compile(
    r"preview|image_output|vae_decode|prefix|link_id|script|file|save|hide|state|width|height|resolution|ckpt|vae|lora"
)
_USUAL: Final = {"sigma_max": 14.614642, "sigma_min": 0.0291675, "rho": 7.0, "alpha": 0.6, "beta": 0.6}
"""Holds the defaults of the nodes of schedules (``comfy_extras/nodes_custom_sampler.py``)."""


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read the graph in ``prompt``; return None when there is no graph, or no sampler in it."""
    plain = _graph_in(texts)
    if plain is None:
        return None
    graph, builder = Graph(plain), SpecBuilder(program=PROGRAM)
    try:
        found = _read(graph, builder, texts)
    except TooFar:
        found, builder.gaps = True, builder.gaps[:_MOST_BEFORE]
        builder.record_gap("graph", f"{len(graph.nodes):,} nodes", _TOO_FAR)
    if not found:
        return None
    for name, value in (json_object(cleaned(plain.get("extraMetadata"))) or {}).items():  # Civitai's, beside the nodes
        if name not in ("prompt", "negativePrompt", "steps", "cfgScale", "sampler", "seed", "resources"):
            builder.record_gaps([(name, value)])
    return builder.build()


def _read(graph: Graph, builder: SpecBuilder, texts: Mapping[str, str]) -> bool:
    """Read the graph into ``builder``; return whether there is a sampler in it."""
    samplers = {key: node for key, node in graph.nodes.items() if _draws(graph, node)}
    if not samplers:
        return False
    behind = [node for node, _ in graph.upstream(_saved(graph))]
    sampler = next((node for node in behind if node.key in samplers), None) or list(samplers.values())[-1]
    walk = _Walk(graph, _first_part(graph, sampler, samplers), builder)
    walk.take(parse(texts["parameters"]) if "parameters" in texts else None)
    walk.leave(behind, samplers)
    _say_other_pictures(graph, sampler, samplers, builder)
    return True


def _say_other_pictures(graph: Graph, sampler: Node, samplers: Mapping[str, Node], builder: SpecBuilder) -> None:
    """Say of other pictures that the graph saved that this may be one of them: all hold the same graph."""
    for node in graph.nodes.values():
        links = list(graph.links(node)) if "Save" in node.kind and node.inputs.keys() & _PICTURES else []
        drawn = next((each for each, _ in graph.upstream(links) if each.key in samplers), None)
        if drawn is not None and drawn is not sampler:
            builder.record_gap(node.kind, f"node {node.key}: of {drawn.kind} {drawn.key}", _ANOTHER)


def _graph_in(texts: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the graph: in a text of its own, in an object with the drawing, or bare in a UserComment."""
    plain = json_object(texts.get("prompt"))
    if plain is not None:
        return plain
    both = json_object(texts.get("parameters"))
    if both is None:
        return None
    inner = both.get("prompt")
    if isinstance(inner, str):
        inner = json_object(inner)
    if isinstance(inner, dict):
        return inner
    return both if any(isinstance(node, dict) and "class_type" in node for node in both.values()) else None


def _draws(graph: Graph, node: Node) -> bool:
    """Return whether a node is a sampler: has ``KSampler``'s inputs and does not rework an image."""
    if node.kind.startswith("SamplerCustom"):
        return True
    reworks = any(graph.link(node.inputs.get(name)) for name in ("image", "images"))
    return {"steps", "cfg", "sampler_name"} <= node.inputs.keys() and not reworks


def _saved(graph: Graph) -> list[Link]:
    """Return the links of what was saved last, or shown when nothing was saved, or else of all that ends."""
    for word in ("Save", "Preview"):
        for node in reversed(graph.nodes.values()):
            if word in node.kind and (links := list(graph.links(node))):
                return links
    used = {link[0] for node in graph.nodes.values() for link in graph.links(node)}
    return [link for node in graph.nodes.values() if node.key not in used for link in graph.links(node)]


def _first_part(graph: Graph, sampler: Node, samplers: Mapping[str, Node]) -> Node:
    """Return the sampler that drew the noise that ``sampler`` goes on from, itself if it did."""
    for _ in range(len(samplers)):
        noise = graph.link(sampler.inputs.get("noise"))
        quiet = sampler.inputs.get("add_noise") in ("disable", False)
        if not quiet and not (noise and graph.nodes[noise[0]].kind == "DisableNoise"):
            break
        latents = list(graph.links(sampler, LATENTS))
        before = next(
            (node for node, _ in graph.upstream(latents) if node.key in samplers and node is not sampler), None
        )
        if before is None:
            break
        sampler = before
    return sampler


class _Walk:
    """Walks from one sampler back to all that it needs; remembers which nodes it understood."""

    def __init__(self, graph: Graph, sampler: Node, builder: SpecBuilder) -> None:
        self.graph, self.sampler, self.builder = graph, sampler, builder
        builder.flow = flows(graph, sampler)
        self.routes = Routes(graph)
        self.routes.passed.add(sampler.key)

    def take(self, infotext: Any) -> None:
        """Take everything that the sampler was given.

        Args:
            infotext: what a node wrote beside the graph, whose words were used: they go before partial ones.
        """
        guider = self._part("guider")
        self._guidance(guider)
        self._noise_and_steps()
        prompts = Conditioning(self.routes, self.builder)
        start = guider if {"positive", "conditioning", "cond1"} & guider.inputs.keys() else self.sampler
        prompts.take(start, POSITIVE, NEGATIVE, infotext)
        take_model(guider if "model" in guider.inputs else self.sampler, self.routes, self.builder)
        take_size(self.sampler, self.routes, self.builder)
        for kind, wanted in self.routes.guessed.items():
            self.builder.record_gap("node", kind, f"which of its outputs is the {wanted} one is not known here")

    def leave(self, behind: Iterable[Node], samplers: Mapping[str, Node]) -> None:
        """Take the VAE from the nodes behind the sampler, and record all that is left as gaps."""
        nodes = list(behind)
        take_vae([node for node in nodes if node.key not in samplers] + [self.sampler], self.routes, self.builder)
        take_text_encoders(nodes, self.builder)
        for node in nodes:
            if node.key in self.routes.passed or node.kind in PLAIN:
                continue
            if node.key in samplers:
                why = why_with_numbers(node, "is another sampler: only one is carried over")
                self.builder.record_gap(node.kind, f"node {node.key}", why)
            elif any(self.graph.links(node)) or len(node.inputs) > 3 or loads(node):
                record_node(self.builder, node)

    def _part(self, name: str) -> Node:
        """Return the node that an input of the sampler comes from; itself where it has no such part."""
        link = self.graph.link(self.sampler.inputs.get(name))
        if link is None:
            return self.sampler
        node, _ = self.routes.origin(link, name)
        self.routes.passed.add(node.key)
        return node

    def _value(self, node: Node, wanted: str) -> Any:
        """Return a value of ``node``; None, and said, where other nodes make it."""
        value, maker = self.routes.value(node, wanted, _NUMBERS)
        if maker is not None:
            self.builder.record_gap(wanted, maker.kind, _BY_OTHERS)
        return value

    def _guidance(self, guider: Node) -> None:
        self.builder.set_guidance("cfg", self._value(guider, "cfg"))
        for name in ("cfg_conds", "cfg_cond2_negative"):
            self.builder.record_gaps([(name, guider.inputs.get(name))])

    def _noise_and_steps(self) -> None:
        builder, sampler = self.builder, self.sampler
        noise, chosen, sigmas = self._part("noise"), self._part("sampler"), self._whole_schedule()
        if (found := self.routes.find(noise, "seed")) is not None:
            seed = self._value(noise, "seed")
            if seed is not None:
                builder.set_seed(found[1], seed)
        builder.set_steps("steps", self._value(sigmas, "steps"))
        self._other_numbers()
        name = self._value(chosen, "sampler_name")
        if chosen is not sampler and name is None:
            record_node(builder, chosen, "no scheduler here computes the same; the model's own is used", name="sampler")
        schedule = SCHEDULES.get(sigmas.kind) or self._value(sigmas, "scheduler")
        if sigmas is not sampler and schedule is None:
            record_node(builder, sigmas, "is no schedule of a scheduler here", name="sigmas")
        builder.record_gaps(
            [(name, value) for name, value in sigmas.inputs.items() if name in _USUAL and value != _USUAL[name]],
            why="the scheduler's own is used here",
        )
        set_comfyui_sampler(builder, ("sampler_name", name), ("scheduler", schedule))
        self._part_of_steps(sigmas)

    def _whole_schedule(self) -> Node:
        """Return the node that makes the sigmas, behind those that split, cut or join them."""
        node, seen = self._part("sigmas"), set[str]()
        while node is not self.sampler and "steps" not in node.inputs and node.key not in seen:
            seen.add(node.key)
            link = next(self.graph.links(node, _SIGMAS), None)
            if link is None:
                break
            record_node(self.builder, node, "all steps of the schedule are made here", name="sigmas")
            node, _ = self.routes.origin(link, "sigmas")
            self.routes.passed.add(node.key)
        return node

    def _other_numbers(self) -> None:
        """Say what else a sampler was told: those of extensions have more numbers than the core's."""
        for name, value in self.sampler.inputs.items():
            plain = isinstance(value, int | float | str) and value not in (False, "", "None", "none", -1)
            if plain and name not in _OF_A_SAMPLER and not _OF_THE_SCREEN.search(name):
                self.builder.record_gap(f"{self.sampler.kind} {name}", value)

    def _part_of_steps(self, sigmas: Node) -> None:
        builder, sampler = self.builder, self.sampler
        denoise = as_float(self._value(sigmas, "denoise"))
        if denoise is not None and denoise != 1:
            builder.record_gap("denoise", denoise, "the picture was made from another picture")
        first, last = (as_int(self._value(sampler, each)) for each in ("start_at_step", "end_at_step"))
        steps = builder.settings.get("num_inference_steps")
        if first or (last is not None and steps and last < steps):
            builder.record_gap("start_at_step, end_at_step", f"{first}, {last}", "all steps are made here")
        if sampler.inputs.get("add_noise") in ("disable", False):
            builder.record_gap("add_noise", "disable", "noise is always drawn here")
