"""Reads the LoRAs of a node of ComfyUI: one, numbered ones, a manager's list, tags, a stack.

Each maker of nodes has names of its own for the file and the weight: ``lora_name`` with ``strength_model`` in core,
``lora_name_2`` with ``model_weight_2`` and ``switch_2`` in comfyroll, ``lora_1`` as an object in rgthree's Power Lora
Loader, ``loras`` as a list in LoRA Manager. ``None`` is none. A weight may come from another node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from promptlab.images.foreign.comfyui_routes import Routes
from promptlab.images.foreign.graph import Node
from promptlab.images.foreign.record import as_float, as_int, brief, cleaned
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["is_lora_input", "take_loras"]

_NUMBERS: Final = ("value", "int", "number", "float", "Number", "strength")
_WEIGHTS: Final = (
    "strength_model", "lora_model_strength", "model_strength", "model_weight", "lora_strength", "lora_weight",
    "lora_wt", "strength", "weight", "model_str",
)  # fmt: skip
_CLIP_WEIGHTS: Final = ("strength_clip", "lora_clip_strength", "clip_strength", "clip_weight", "clip_str")
_NUMBERED: Final = re.compile(r"lora(?:_name)?_?0*([0-9]{1,3})(?:_name)?|lora_name_([0-9]{1,3})")
_STACK: Final = re.compile(r"lora_?(stack|params|list)|^loras?$", re.IGNORECASE)
_OURS: Final = re.compile(r"lora|strength|^(model|clip)_(weight|str)|^switch_|^toggle$|^mode$|^input_mode$|^num_loras$")
_OFF: Final = ("Off", "off", False, "False", "disabled")
_NO_WEIGHT: Final = "its weight is made by other nodes, so it is left out"
_ONE_WEIGHT: Final = "has one weight here, for the text encoder, too"
_BLOCKS: Final = re.compile(r"block|^[AB]$|^inverse$", re.IGNORECASE)
_NO_BLOCKS: Final = "its LoRA has one weight for all blocks here"
_MOST: Final = 100


def is_lora_input(name: str) -> bool:
    """Return whether an input of a node is about LoRAs."""
    return _OURS.search(name) is not None


def take_loras(node: Node, routes: Routes, builder: SpecBuilder, taken: set[str] | None = None) -> None:
    """Add the LoRAs of ``node`` and of the stacks behind it; what cannot be read of them is a gap.

    Args:
        taken: the nodes whose LoRAs were added before, to which this adds; one that comes again is a gap.
    """
    waiting, seen = [node], set[str]() if taken is None else taken
    most = len(seen) + _MOST
    while waiting and len(seen) < most:
        at = waiting.pop()
        if at.key in seen:
            builder.record_gap("LoRA", at.kind, "is applied more than once there, and once here")
            continue
        seen.add(at.key)
        found = list(_loras(at))
        for name, weight, clip_weight in found:
            _add(at, name, (weight, clip_weight), routes, builder)
        if found and (blocks := [(name, value) for name, value in at.inputs.items() if _BLOCKS.search(name)]):
            builder.record_gaps([(f"{at.kind} {name}", value) for name, value in blocks], why=_NO_BLOCKS)
        stacks = [name for name in at.inputs if _STACK.search(name) and routes.graph.link(at.inputs[name])]
        for name in stacks:
            behind, _ = routes.origin(routes.graph.link(at.inputs[name]) or ("", 0), name)
            routes.passed.add(behind.key)
            waiting.append(behind)
        if not found and not stacks and re.search(r"lora", at.kind, re.IGNORECASE) and not _has_none(at):
            builder.record_gap("node", at.kind, "loads LoRAs that are not read here")
    if waiting:
        builder.record_gap("LoRA", node.kind, f"has more than {_MOST} stacks behind it")


def _add(node: Node, name: object, inputs: tuple[object, object], routes: Routes, builder: SpecBuilder) -> None:
    """Add one LoRA. Its name and weights are values, or the inputs that hold them."""
    file: Any = name
    if isinstance(name, _Input):
        file, maker = routes.value(node, name.name, ("value", "lora_name", "string", "text"))
        file = file.get("content") if isinstance(file, Mapping) else file  # pysssss' loader holds a picture beside it
        if maker is not None:
            builder.record_gap("LoRA", maker.kind, "its name is made by other nodes")
    if cleaned(file).strip() in ("", "None", "none"):
        return
    numbers = []
    for each in inputs:
        value, maker = routes.value(node, each.name, _NUMBERS) if isinstance(each, _Input) else (each, None)
        if maker is not None:
            builder.record_gap(
                "LoRA", f"{cleaned(file)}: {maker.kind}", "its weight is made by other nodes; it is left out"
            )
            return
        numbers.append(value)
    weight, clip = numbers
    builder.add_lora("LoRA", file, weight)
    one = 1.0 if weight in (None, "") else as_float(weight)
    if clip not in (None, "") and as_float(clip) != one:
        builder.record_gap("LoRA", f"{cleaned(file)}: {brief(clip)} for the text encoder", _ONE_WEIGHT)


class _Input:
    """Names an input of a node, which may be linked."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _loras(node: Node) -> Iterator[tuple[object, object, object]]:
    """Yield the name, the weight and the text encoder's weight of each LoRA of a node that is switched on."""
    inputs = node.inputs
    if inputs.get("toggle") in _OFF:
        return
    listed = _listed(inputs.get("loras"))
    yield from _of_objects([*listed, *(value for value in inputs.values() if isinstance(value, Mapping))])
    if "lora_name" in inputs:
        yield _Input("lora_name"), _first(inputs, _WEIGHTS), _first(inputs, _CLIP_WEIGHTS)
    yield from _numbered(inputs)
    if not listed and re.search(r"lora", node.kind, re.IGNORECASE):
        for value in inputs.values():
            if isinstance(value, str):
                for tag in re.finditer(r"<lora:([^<>:]{1,300})(?::([^<>:]{0,40}))?(?::([^<>:]{0,40}))?>", value):
                    yield tag.group(1), tag.group(2), tag.group(3)


def _numbered(inputs: Mapping[str, Any]) -> Iterator[tuple[object, object, object]]:
    most = as_int(inputs.get("lora_count", inputs.get("num_loras")))
    modes = (inputs.get("input_mode"), inputs.get("mode"))
    simple = "simple" in modes
    for name, value in inputs.items():
        found = _NUMBERED.fullmatch(name)
        if found is None or isinstance(value, Mapping | bool | int | float):
            continue
        number = int(found.group(1) or found.group(2))
        off = any(inputs.get(f"{word}_{number}") in _OFF for word in ("switch", "on", "toggle", "enabled"))
        if off or (most is not None and number > most):
            continue
        weights: tuple[str, ...] = ("lora_wt", "strength") if simple else _WEIGHTS
        if "advanced" in modes:  # which is when Efficiency Nodes' two weights go before its one
            weights = ("model_str", *_WEIGHTS)
        forms = ("{0}_{1}", "{0}_{1:02d}", "{0}{1}")
        weight = _first(inputs, [form.format(each, number) for each in weights for form in forms])
        own = (f"lora_{number}_strength",) if simple else (f"lora_{number}_model_strength", f"lora_{number}_strength")
        weight = weight or _first(inputs, own)
        clip = _first(inputs, [form.format(each, number) for each in _CLIP_WEIGHTS for form in forms])
        clip = clip or _first(inputs, (f"lora_{number}_clip_strength",))
        yield _Input(name), weight, None if simple else clip


def _of_objects(objects: list[Any]) -> Iterator[tuple[object, object, object]]:
    for each in objects[:_MOST]:
        name = each.get("lora", each.get("name"))
        on = each.get("on", each.get("active", each.get("enabled", True)))
        if isinstance(name, str) and on not in _OFF and ("strength" in each or "lora" in each or "active" in each):
            yield name, each.get("strength"), each.get("strengthTwo", each.get("clipStrength"))


def _listed(value: object) -> list[Any]:
    """Return the objects of a manager's list, which may lie in an object of its own."""
    inner = value.get("__value__") if isinstance(value, Mapping) else value
    return [each for each in inner if isinstance(each, Mapping)] if isinstance(inner, list) else []


def _first(inputs: Mapping[str, Any], names: Any) -> _Input | None:
    return next((_Input(name) for name in names if inputs.get(name) is not None), None)


def _has_none(node: Node) -> bool:
    """Return whether a node says by itself that it loads none: its names are ``None`` or switched off."""
    lists = any(name == "loras" or _NUMBERED.fullmatch(name) for name in node.inputs)
    return lists or any(value in ("None", "none") for value in node.inputs.values() if isinstance(value, str))
