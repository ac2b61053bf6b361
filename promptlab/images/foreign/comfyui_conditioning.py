"""Finds the words behind a sampler's two conditionings in a ComfyUI graph.

Encoders differ in what they call a text; one that is not empty wins over an empty one, and of several that differ the
first is taken and the others are said. Loaders of Efficiency Nodes and Easy Use hold the words themselves, in
``positive`` and ``negative``.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from promptlab.images.foreign.comfyui_names import CORE_WEIGHTS, PLAIN, WEIGHTED, record_node
from promptlab.images.foreign.comfyui_routes import Routes
from promptlab.images.foreign.comfyui_texts import GraphTexts
from promptlab.images.foreign.graph import Node
from promptlab.images.foreign.record import as_float, brief
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["Conditioning"]

_WORDS: Final = (
    "text_g", "clip_g", "prompt_g", "t5xxl", "llama", "mt5xl", "qwen25_7b", "populated_text", "text", "prompt",
    "user_prompt", "caption", "text_l", "prompt_l", "clip_l", "bert", "wildcard_text", "string", "tags", "lyrics",
)  # fmt: skip
"""The inputs of text encoders, those that say more first."""

_ENCODERS: Final = ("clip", "opt_clip", "clip1", "clip_model", "text_encoder")
_NOT_WORDS: Final = frozenset(
    {"clip", "opt_clip", "model", "opt_model", "vae", "image", "images", "control_net", "mask", "latent", "samples"}
)
_NUMBERS: Final = ("value", "float", "number", "int")
_SIZES: Final = ("width", "height", "crop_w", "crop_h", "target_width", "target_height", "ascore")


class Conditioning:
    """Reads two conditionings into ``builder``: words, and the guidance that was distilled into a model."""

    def __init__(self, routes: Routes, builder: SpecBuilder) -> None:
        self._routes, self._graph, self._builder = routes, routes.graph, builder
        self._notes: list[tuple[str, str, str]] = []
        self._what, self._guided = "prompt", False
        self._a1111, self._tags = False, False  # how its encoders read weights, and whether they know <lora:…>
        self._texts = GraphTexts(routes, lambda kind, why: self._notes.append((self._what, kind, why)))

    def take(self, start: Node, positive: tuple[str, ...], negative: tuple[str, ...], infotext: Any) -> None:
        """Take the words behind both inputs of ``start``.

        Args:
            infotext: what was written beside the graph, or ``None``: its words are taken where the graph's are partial.
        """
        words = [
            self._words(start, "positive", positive, "prompt"),
            self._words(start, "negative", negative, "negative prompt"),
        ]
        if self._notes and infotext is not None:
            words = [infotext.prompt, infotext.negative_prompt]
        else:
            for what, kind, why in self._notes:
                self._builder.record_gap(what, kind, why)
        weighted = WEIGHTED if self._a1111 else CORE_WEIGHTS
        self._builder.set_prompts(*words, weighted=weighted, networks=self._tags)

    def _words(self, start: Node, side: str, names: tuple[str, ...], what: str) -> str:
        """Return the first text behind a conditioning; record further ones, combined with it, as gaps."""
        self._what = what
        texts: list[str] = []
        found = self._routes.find(start, side, names)
        waiting, seen = deque([found] if found else []), set[tuple[str, str]]()
        while waiting:
            holder, name = waiting.popleft()
            link = self._graph.link(holder.inputs[name])
            node, port = self._routes.origin(link, side) if link else (holder, name)
            if (node.key, port) in seen:
                continue
            seen.add((node.key, port))
            self._routes.passed.add(node.key)
            waiting.extend(self._behind(node, port, side, texts))
        for further in dict.fromkeys(texts[1:]):
            if further and further != texts[0]:
                self._builder.record_gap(what, further, "several texts are not combined here")
        return texts[0] if texts else ""

    def _behind(self, node: Node, port: str, side: str, texts: list[str]) -> list[tuple[Node, str]]:
        """Return the inputs to go on with; put the words into ``texts`` where a node has them."""
        if node.kind == "ConditioningZeroOut":
            texts.append("")
            return []
        if _encodes(node):
            texts.extend(self._encoded(node, side))
            return []
        held = next((name for name in (port, side) if self._is_words(node, name)), None)
        if held is not None:
            self._tags = True
            texts.append((self._texts.of(node, held, side) or "").strip())
            return []
        if node.kind == "FluxGuidance":
            self._guide(node)
        elif node.kind not in PLAIN and not self._only_holds(node):
            record_node(self._builder, node, "changes what the prompt means")
        if {"positive", "negative"} <= node.inputs.keys():
            return [(node, port if port in ("positive", "negative") else side)]
        linked = (name for name, value in node.inputs.items() if self._graph.link(value))
        return [(node, name) for name in linked if name not in _NOT_WORDS]

    def _only_holds(self, node: Node) -> bool:
        """Return whether a node changes no conditioning: holds a value, or is a sampler before this."""
        draws = {"steps", "cfg", "sampler_name"} <= node.inputs.keys()
        return draws or (not any(self._graph.links(node)) and len(node.inputs) <= 3)

    def _is_words(self, node: Node, name: str) -> bool:
        """Return whether an input is words, not a conditioning: a text, or a link at a loader of models."""
        value = node.inputs.get(name)
        return isinstance(value, str) or (value is not None and any("ckpt_name" in each for each in node.inputs))

    def _guide(self, node: Node) -> None:
        """Take the distilled guidance, the one nearest to the sampler; the other kind is then among the gaps."""
        value, maker = self._routes.value(node, "guidance", _NUMBERS)
        if "guidance" not in node.inputs:
            return
        if self._guided:
            self._builder.record_gaps([("guidance", value)], why="one nearer to the sampler is taken")
            return
        self._guided = True
        if maker is not None:
            self._builder.record_gap("guidance", maker.kind, "is made by other nodes")
        scale = self._builder.settings.pop("guidance_scale", None)
        if scale is not None and scale != 1:
            self._builder.record_gap("cfg", scale, "the model is guided by the distilled scale alone here")
        self._builder.set_guidance("guidance", value)

    def _encoded(self, node: Node, side: str) -> list[str]:
        """Return the texts of an encoder, without empty ones beside others."""
        self._guide(node)
        core = node.kind.startswith(("CLIPTextEncode", "TextEncode"))
        self._a1111 |= not core and node.inputs.get("parser") not in ("comfy", "comfy++")
        self._tags |= not core
        texts = []
        for name in (*_WORDS, side):
            if name not in node.inputs:
                continue
            text = self._texts.of(node, name, side)
            if text is None:
                self._notes.append((self._what, node.kind, f"its {name} is made by other nodes and not known"))
            else:
                texts.append(text.strip())
        if any(texts):
            texts = [text for text in texts if text]
        others = [
            name for name, value in node.inputs.items()
            if self._graph.link(value) and name not in (*_WORDS, *_ENCODERS, *_NOT_WORDS, *_SIZES, "guidance", side)
        ]  # fmt: skip
        for name in others:
            self._builder.record_gap("node", f"{node.kind}: {name}", "what comes into it there is not carried over")
        if node.inputs.get("with_SDXL") is not False:
            sizes = [(name, node.inputs[name]) for name in _SIZES if as_float(node.inputs.get(name)) not in (None, 0.0)]
            if sizes:
                said = ", ".join(f"{name} {brief(value)}" for name, value in sizes)
                self._builder.record_gap(node.kind, said, "the model is told the size of the picture here")
        return texts


def _encodes(node: Node) -> bool:
    has_words = any(name in node.inputs for name in _WORDS)
    return has_words and (any(name in node.inputs for name in _ENCODERS) or "Encode" in node.kind)
