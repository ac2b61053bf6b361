"""Finds the model, its LoRAs, VAE and text encoders in a ComfyUI graph, and its kind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from promptlab.images.foreign.comfyui_loras import is_lora_input, take_loras
from promptlab.images.foreign.comfyui_names import FLOW, PLAIN, record_node
from promptlab.images.foreign.comfyui_routes import Routes
from promptlab.images.foreign.families import FLOW_FILE, is_flow_model
from promptlab.images.foreign.graph import Graph, Node
from promptlab.images.foreign.record import cleaned
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["flows", "loads", "take_model", "take_text_encoders", "take_vae"]

_NAMES: Final = ("ckpt_name", "unet_name", "gguf_name", "model_name", "base_ckpt_name", "model_path", "diffusion_name")
_IS_NAME: Final = re.compile(r"ckpt|unet|checkpoint|gguf|(^|_)model(_|$)", re.IGNORECASE)
_BUILT_IN: Final = ("", "None", "Baked VAE", "baked", "Automatic")
_NOT_FLOW: Final = ("stable_diffusion", "stable_cascade", "sdxl", "pixart", "stable_audio", "cosmos", "hunyuan_dit")
"""Lists the values of a CLIPLoader's ``type`` (``nodes.py``) whose families are not of flow matching."""

_FLOW_KIND: Final = re.compile(
    r"flux|sd3|qwen|hidream|chroma|lumina|z_?image|hunyuan_?(image|video)|auraflow|omnigen", re.IGNORECASE
)
_OF_ANY_MODEL: Final = re.compile(r"lora|resolution|ratio|size|preset|prompt|caption", re.IGNORECASE)
"""Finds nodes that are named after a family and used with all: sizes for FLUX suit SDXL as well."""

_TAKEN: Final = re.compile(
    r"ckpt_name$|unet_name|gguf_name|model_name|vae_name|positive|negative|width|height|batch_size|resolution|^prompt$"
)
_NEUTRAL: Final = (None, "", "None", "none", "default", "comfy", "auto", "Baked VAE", -1)
_PATCH: Final = "changes the model"


def flows(graph: Graph, sampler: Node) -> bool:
    """Return whether nodes, encoders or files behind ``sampler`` are those of flow matching."""
    return any(_is_flow(node) for node, _ in graph.upstream(graph.links(sampler)))


def _is_flow(node: Node) -> bool:
    inputs = node.inputs
    if node.kind in FLOW or (_FLOW_KIND.search(node.kind) and not _OF_ANY_MODEL.search(node.kind)):
        return True
    encoder = inputs.get("type")
    if isinstance(encoder, str) and any(name.startswith("clip_name") for name in inputs):
        return encoder not in _NOT_FLOW
    named = any(FLOW_FILE.search(cleaned(inputs.get(name))) for name in ("unet_name", "gguf_name", "model_path"))
    return named or is_flow_model(inputs.get("ckpt_name"))


def take_model(start: Node, routes: Routes, builder: SpecBuilder) -> None:
    """Take the model behind ``start`` and the LoRAs on the way; every other change of it is a gap."""
    graph, seen, taken = routes.graph, set[str](), set[str]()
    at = start
    while at.key not in seen:
        seen.add(at.key)
        found = routes.find(at, "model")
        link = graph.link(found[0].inputs.get(found[1])) if found else None
        if link is None or found is None:
            break
        at, _ = routes.origin(link, "model")
        routes.passed.add(at.key)
        take_loras(at, routes, builder, taken)
        onward = routes.find(at, "model")
        if onward is not None and not re.search(r"lora", at.kind, re.IGNORECASE) and at.kind not in PLAIN:
            record_node(builder, at, _PATCH)
        elif onward is not None and at.kind == "LoraLoaderModelOnly":
            builder.record_gap("node", at.kind, "its LoRA is given to the text encoder, too, here")
        if onward is None:
            _take_loader(at, routes, builder)
    if not builder.model and at is start:
        loader = routes.end_of_pipe(start)
        take_loras(loader, routes, builder)
        _take_loader(loader, routes, builder)


def _take_loader(node: Node, routes: Routes, builder: SpecBuilder) -> None:
    others = (name for name in node.inputs if _IS_NAME.search(name) and not is_lora_input(name))
    names = list(dict.fromkeys((*_NAMES, *others)))
    name = next((name for name in names if name in node.inputs), None)
    if name is None:
        return
    value, maker = routes.value(node, name, ("value", "string", "text", *_NAMES))
    if isinstance(value, dict):
        value = value.get("content")
    if maker is not None:
        builder.record_gap(name, maker.kind, "is made by other nodes")
    builder.set_model(name, value)
    for other, said in node.inputs.items():
        plain = isinstance(said, str | int | float) and not isinstance(said, bool)
        if plain and said not in _NEUTRAL and other != name and not _TAKEN.search(other) and not is_lora_input(other):
            builder.record_gap(f"{node.kind} {other}", said)
        elif "ckpt_name" in other and other != name and said not in _NEUTRAL:
            builder.record_gap(other, said, "no second model takes over here")


def loads(node: Node) -> bool:
    """Return whether a node loads a model or a VAE."""
    return any(name in node.inputs for name in (*_NAMES, "vae_name"))


def take_vae(nodes: Iterable[Node], routes: Routes, builder: SpecBuilder) -> None:
    """Take the VAE that decoded what was saved, unless it is the model's own."""
    for node in nodes:
        found = routes.find(node, "vae") if any("vae" in name for name in node.inputs) else None
        link = routes.graph.link(found[0].inputs.get(found[1])) if found else None
        if link is None and "vae_name" not in routes.end_of_pipe(node).inputs:
            continue
        made_by = routes.origin(link, "vae")[0] if link else routes.end_of_pipe(node)
        if "vae_name" in made_by.inputs:
            routes.passed.add(made_by.key)
            value, maker = routes.value(made_by, "vae_name", ("value", "string", "text"))
            if maker is not None:
                builder.record_gap("vae_name", maker.kind, "is made by other nodes")
            name = cleaned(value).strip()
            builder.settings["vae"] = None if name in _BUILT_IN else name
        return


def take_text_encoders(nodes: Iterable[Node], builder: SpecBuilder) -> None:
    """Say which text encoders were loaded from files of their own."""
    for node in nodes:
        files = [cleaned(value) for name, value in node.inputs.items() if name.startswith("clip_name")]
        if any(files):
            builder.record_gap("text encoder", ", ".join(filter(None, files)), "the model's own is used here")
