"""Reads ComfyUI's graph in the ``prompt`` chunk; ``workflow``, its drawing, is not needed.

A graph can be any program. What is looked for is its common shape: something saved, decoded by a VAE, drawn by a
sampler from a model, two texts and an empty latent (``nodes.py``, ``comfy_extras/nodes_custom_sampler.py``). The
sampler nearest to what was saved counts; every node on the way that does something else is among the lost, by name.

Noise is drawn on the CPU (``prepare_noise`` in ``comfy/sample.py``), of a seed with 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from promptlab.images.foreign.comfyui_names import WEIGHTED, set_comfyui_sampler
from promptlab.images.foreign.graph import Graph, Link, Node
from promptlab.images.foreign.record import ForeignMetadata, as_float, as_int, cleaned, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["read"]

PROGRAM: Final = "ComfyUI"

_NUMBERS: Final = ("value", "int", "number", "float", "Number", "seed", "noise_seed")
_TEXTS: Final = (
    "text",
    "string",
    "value",
    "prompt",
    "populated_text",
    "String",
    "string_a",
    "text_g",
    "t5xxl",
    "clip_l",
)
_NAMES: Final = ("ckpt_name", "unet_name", "gguf_name", "model_name", "value")
_WORDS: Final = ("text_g", "t5xxl", "text", "prompt", "text_l", "clip_l")
"""The inputs of text encoders, those that say more first."""

_NOT_WORDS: Final = frozenset({"clip", "model", "vae", "image", "images", "control_net", "mask", "latent", "samples"})
_LATENTS: Final = ("latent_image", "latent", "samples", "latents", "optional_latent", "samples1")
_FLOW: Final = frozenset(
    {"FluxGuidance", "CLIPTextEncodeFlux", "CLIPTextEncodeSD3", "EmptySD3LatentImage", "ModelSamplingAuraFlow",
     "ModelSamplingFlux", "ModelSamplingSD3"}
)  # fmt: skip
_PLAIN: Final = frozenset(
    {"BasicGuider", "BasicScheduler", "CFGGuider", "CLIPLoader", "CheckpointLoader", "CheckpointLoaderSimple",
     "ConditioningZeroOut", "DualCLIPLoader", "FluxGuidance", "KSamplerSelect", "KarrasScheduler", "PreviewImage",
     "RandomNoise", "Reroute", "TripleCLIPLoader", "UNETLoader", "VAEDecode", "VAEDecodeTiled", "VAELoader",
     "ExponentialScheduler", "BetaSamplingScheduler"}
    | _FLOW
)  # fmt: skip
"""Nodes that are wholly taken, or change nothing."""

_SCHEDULES: Final = {
    "BetaSamplingScheduler": "beta",
    "ExponentialScheduler": "exponential",
    "KarrasScheduler": "karras",
}


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read the graph in ``prompt``; return None when there is no graph, or no sampler in it."""
    plain = json_object(texts.get("prompt"))
    if plain is None and (both := json_object(texts.get("parameters"))):  # some nodes put both into a UserComment
        plain = both.get("prompt")
    if not isinstance(plain, dict):
        return None
    graph = Graph(plain)
    samplers = {key: node for key, node in graph.nodes.items() if _draws(graph, node)}
    if not samplers:
        return None
    behind = [node for node, _ in graph.upstream(_saved(graph))]
    sampler = next((node for node in behind if node.key in samplers), None) or list(samplers.values())[-1]
    walk = _Walk(graph, sampler)
    walk.take()
    walk.leave(behind, samplers)
    return walk.builder.build()


def _draws(graph: Graph, node: Node) -> bool:
    """Return whether a node is a sampler: has ``KSampler``'s inputs and does not rework an image."""
    if node.kind.startswith("SamplerCustom"):
        return True
    reworks = any(graph.link(node.inputs.get(name)) for name in ("image", "images"))
    return {"steps", "cfg", "sampler_name"} <= node.inputs.keys() and not reworks


def _saved(graph: Graph) -> list[Link]:
    """Return the links of what was saved last, or shown when nothing was saved."""
    for word in ("Save", "Preview"):
        for node in reversed(graph.nodes.values()):
            if word in node.kind and (links := list(graph.links(node))):
                return links
    return []


class _Walk:
    """Walks from one sampler back to all that it needs; remembers which nodes it understood."""

    def __init__(self, graph: Graph, sampler: Node) -> None:
        self.graph, self.sampler = graph, sampler
        self.builder = SpecBuilder(program=PROGRAM)
        self.taken = {sampler.key}

    def take(self) -> None:
        """Take everything that the sampler was given."""
        self.builder.flow = any(node.kind in _FLOW for node, _ in self.graph.upstream(self.graph.links(self.sampler)))
        guider = self.linked("guider") or self.sampler
        self._call(guider)
        self._noise_and_steps()
        self.builder.set_prompts(
            self._words(guider, ("positive", "conditioning", "cond1"), "prompt"),
            self._words(guider, ("negative",), "negative prompt"),
            weighted=WEIGHTED,
        )
        self._model(guider if "model" in guider.inputs else self.sampler)
        self._latent()

    def leave(self, behind: Iterable[Node], samplers: Mapping[str, Node]) -> None:
        """Take the VAE from the nodes behind the sampler, and record all that is left as gaps."""
        found = False
        for node in behind:
            if not found and node.key not in samplers and (link := self.graph.link(node.inputs.get("vae"))):
                found = True
                self._vae(link)
            if node.key in self.taken or node.kind in _PLAIN:
                continue
            if node.key in samplers:
                self.builder.record_gap(
                    node.kind, f"node {node.key}", "is another sampler: only the last one is made here"
                )
            elif not self._holds_a_value(node):
                self.builder.record_gap("node", node.kind)

    def linked(self, name: str) -> Node | None:
        """Return the node that an input of the sampler comes from."""
        link = self.graph.link(self.sampler.inputs.get(name))
        return self.graph.nodes[link[0]] if link else None

    def _holds_a_value(self, node: Node) -> bool:
        return not any(self.graph.links(node)) and len(node.inputs) <= 3 and not _loads(node)

    def _call(self, guider: Node) -> None:
        value = self.graph.value
        self.builder.set_guidance("cfg", value(guider, "cfg", _NUMBERS))
        for name in ("cfg_conds", "cfg_cond2_negative"):
            self.builder.record_gaps([(name, guider.inputs.get(name))])
        self.taken.add(guider.key)

    def _noise_and_steps(self) -> None:
        graph, builder, sampler = self.graph, self.builder, self.sampler
        noise, sigmas, chosen = (self.linked(name) or sampler for name in ("noise", "sigmas", "sampler"))
        self.taken |= {noise.key, sigmas.key, chosen.key}
        seed = next((name for name in ("seed", "noise_seed") if name in noise.inputs), None)
        if seed:
            builder.set_seed(seed, graph.value(noise, seed, _NUMBERS))
        builder.set_steps("steps", graph.value(sigmas, "steps", ("steps_total", *_NUMBERS)))
        name = graph.value(chosen, "sampler_name", ("sampler", "value"))
        if chosen is not sampler and name is None:
            builder.record_gap("sampler", chosen.kind, "no scheduler here computes the same; the model's own is used")
        schedule = _SCHEDULES.get(sigmas.kind) or graph.value(sigmas, "scheduler", ("value",))
        if sigmas is not sampler and schedule is None:
            builder.record_gap("sigmas", sigmas.kind, "is no schedule of a scheduler here")
        set_comfyui_sampler(builder, ("sampler_name", name), ("scheduler", schedule))
        denoise = as_float(graph.value(sigmas, "denoise", _NUMBERS))
        if denoise is not None and denoise != 1:
            builder.record_gap("denoise", denoise, "the picture was made from another picture")
        first, last = (as_int(graph.value(sampler, each, _NUMBERS)) for each in ("start_at_step", "end_at_step"))
        steps = builder.settings.get("num_inference_steps")
        if first or (last is not None and steps and last < steps):
            builder.record_gap("start_at_step, end_at_step", f"{first}, {last}", "all steps are made here")
        if sampler.inputs.get("add_noise") in ("disable", False):
            builder.record_gap("add_noise", "disable", "noise is always drawn here")

    def _words(self, guider: Node, names: tuple[str, ...], what: str) -> str:
        """Return the first text behind a conditioning; record further ones, combined with it, as gaps."""
        texts: list[str] = []
        for node, _ in self.graph.upstream(list(self.graph.links(guider, names))[:1], self._before_words):
            if _encodes(node):
                texts.extend(self._encoded(node))
            elif node.kind == "ConditioningZeroOut":
                texts.append("")
            elif node.kind == "FluxGuidance":
                self.builder.set_guidance("guidance", self.graph.value(node, "guidance", _NUMBERS))
            elif node.kind not in _PLAIN and not self._holds_a_value(node):
                self.builder.record_gap("node", node.kind, "changes what the prompt means")
            self.taken.add(node.key)
        for further in dict.fromkeys(texts[1:]):
            if further != texts[0]:
                self.builder.record_gap(what, further, "several texts are not combined here")
        return texts[0] if texts else ""

    def _before_words(self, node: Node, slot: int) -> Iterable[str]:
        if _encodes(node) or node.kind == "ConditioningZeroOut":
            return ()
        if {"positive", "negative"} <= node.inputs.keys():
            return ("negative",) if slot == 1 else ("positive",)
        return [name for name in node.inputs if name not in _NOT_WORDS]

    def _encoded(self, node: Node) -> list[str]:
        texts = []
        for name in _WORDS:
            if name in node.inputs:
                text = self.graph.value(node, name, _TEXTS)
                if isinstance(text, str):
                    texts.append(cleaned(text).strip())
                else:
                    self.builder.record_gap(name, node.kind, "its text is made by other nodes")
        return texts

    def _model(self, start: Node) -> None:
        for node, _ in self.graph.upstream(self.graph.links(start, ("model",)), _before_model):
            self.taken.add(node.key)
            for name, value in node.inputs.items():
                lora = value.get("lora") if isinstance(value, dict) and value.get("on") else None
                if (name.startswith("lora_name") and isinstance(value, str)) or lora:
                    inner = value.get("strength") if isinstance(value, dict) else None
                    strength = node.inputs.get("strength_model", inner)
                    self.builder.add_lora(
                        "LoRA", lora or value, strength if isinstance(strength, int | float) else None
                    )
            if _loads(node):
                name = next(each for each in _NAMES if each in node.inputs)
                self.builder.set_model(name, self.graph.value(node, name, _NAMES))
                return
            if "model" in node.inputs and "Lora" not in node.kind and node.kind not in _PLAIN:
                self.builder.record_gap("node", node.kind, "changes the model")

    def _vae(self, link: Link) -> None:
        for node, _ in self.graph.upstream([link], lambda *_: ("vae", "VAE", "")):
            if "vae_name" in node.inputs:
                self.taken.add(node.key)
                self.builder.settings["vae"] = cleaned(self.graph.value(node, "vae_name", ("value",))).strip() or None
                return

    def _latent(self) -> None:
        for node, _ in self.graph.upstream(self.graph.links(self.sampler, _LATENTS), _before_latent):
            if {"width", "height"} <= node.inputs.keys():
                sides = (self.graph.value(node, side, _NUMBERS) for side in ("width", "height"))
                self.builder.set_size(f"{node.kind} size", *sides)
                batch = as_int(node.inputs.get("batch_size"))
                if batch is not None and batch > 1:
                    why = "noise of a batch was drawn at once: only its first picture has that of the seed"
                    self.builder.record_gap("batch_size", batch, why)
                if node.kind.startswith("Empty"):
                    self.taken.add(node.key)
                return


def _encodes(node: Node) -> bool:
    has_words = any(name in node.inputs for name in _WORDS)
    return has_words and ("clip" in node.inputs or "Encode" in node.kind)


def _loads(node: Node) -> bool:
    return any(name in node.inputs for name in _NAMES[:-1]) and "model" not in node.inputs


def _before_model(node: Node, _slot: int) -> Iterable[str] | None:
    if _loads(node):
        return ()
    return ("model",) if "model" in node.inputs else None


def _before_latent(node: Node, _slot: int) -> Iterable[str] | None:
    known: list[str] = [name for name in _LATENTS if name in node.inputs]
    if known:
        return known
    return () if "image" in node.inputs or "pixels" in node.inputs else None
