"""Finds the size of a picture in a ComfyUI graph: that of the empty latent, as later nodes scaled it."""

from __future__ import annotations

import re
from typing import Final

from promptlab.images.foreign.comfyui_routes import Routes
from promptlab.images.foreign.graph import Node
from promptlab.images.foreign.record import as_float, as_int, cleaned
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["take_size"]

_FAR: Final = 32
_NUMBERS: Final = ("value", "int", "number", "Number")
_SIDES: Final = (("width", "height"), ("empty_latent_width", "empty_latent_height"))
_AS_TEXT: Final = (
    "dimensions",
    "resolution",
    "aspect_ratio",
    "size",
    "preset",
    "ratio",
    "ratio_selected",
    "empty_latent_size",
)
_SWAPS: Final = ("swap_dimensions", "invert", "swap", "flip_dimensions")
_SIZE: Final = re.compile(r"(?<![0-9])([0-9]{2,5})\s{0,3}[xX×*]\s{0,3}([0-9]{2,5})(?![0-9])")
_BY_OTHERS: Final = "is made by other nodes"
_AT_ONCE: Final = "noise of a batch was drawn at once: only its first picture has that of the seed"


def take_size(sampler: Node, routes: Routes, builder: SpecBuilder) -> None:
    """Take the size of the latent that ``sampler`` begins with; say so where it cannot be told."""
    at, scale = sampler, 1.0
    for _ in range(_FAR):
        found = routes.find(at, "latent") if at is sampler or not _has_size(at) else None
        link = routes.graph.link(found[0].inputs.get(found[1])) if found else None
        if link is None:
            break
        at, _ = routes.origin(link, "latent")
        if not _has_size(at):
            factor, maker = routes.value(at, "scale_by", _NUMBERS)
            if maker is not None:
                builder.record_gap("scale_by", maker.kind, _BY_OTHERS)
            scale *= as_float(factor) or 1.0
    if at is sampler:
        at = routes.end_of_pipe(sampler)
        if at is sampler:
            return
    if _has_size(at):
        _take(at, scale, routes, builder)
    elif not {"image", "pixels", "images"} & at.inputs.keys():
        builder.record_gap("size", at.kind, _BY_OTHERS)


def _has_size(node: Node) -> bool:
    return any(pair[0] in node.inputs for pair in _SIDES) or _named(node) is not None


def _named(node: Node) -> tuple[int, int] | None:
    """Return the size that a choice of a list names: ``832 x 1216 (portrait)``."""
    for name in _AS_TEXT:
        if found := _SIZE.search(cleaned(node.inputs.get(name))):
            return int(found.group(1)), int(found.group(2))
    return None


def _sides(node: Node, pair: tuple[str, str], routes: Routes, builder: SpecBuilder) -> list[object]:
    sides = []
    for name in pair:
        value, maker = routes.value(node, name, _NUMBERS)
        if maker is not None:
            builder.record_gap(name, maker.kind, _BY_OTHERS)
        sides.append(value)
    return sides


def _crossed(node: Node, pair: tuple[str, str], routes: Routes) -> bool:
    """Return whether both sides come from one node, the width from the later of its outputs: its height."""
    links = [routes.graph.link(node.inputs.get(name)) for name in pair]
    if links[0] is None or links[1] is None:
        return False
    (maker, first), (other, second) = (routes.passed_on(link) for link in (links[0], links[1]))
    inputs = routes.graph.nodes[maker].inputs
    return maker == other and first > second and {"width", "height"} <= inputs.keys()


def _take(node: Node, scale: float, routes: Routes, builder: SpecBuilder) -> None:
    named = _named(node)
    if named is None:
        pair = next(pair for pair in _SIDES if pair[0] in node.inputs)
        sides = _sides(node, pair, routes, builder)
        if _crossed(node, pair, routes):
            sides.reverse()
    else:
        own = [as_int(node.inputs.get(f"{name}_override")) for name in _SIDES[0]]
        sides = [given or side for given, side in zip(own, named, strict=True)]
    if any(node.inputs.get(name) in ("On", True) for name in _SWAPS):
        sides.reverse()
    scale *= as_float(node.inputs.get("prescale_factor")) or 1.0
    if scale != 1:  # in the latent, an eighth of the picture
        sides = [value if (side := as_int(value)) is None else round(side / 8 * scale) * 8 for value in sides]
    if any(side is not None for side in sides):
        builder.set_size(f"{node.kind} size", *sides)
    batch, maker = routes.value(node, "batch_size", _NUMBERS) if "batch_size" in node.inputs else (None, None)
    if maker is not None:
        builder.record_gap("batch_size", maker.kind, _BY_OTHERS)
    number = as_int(batch)
    if number is not None and number > 1:
        builder.record_gap("batch_size", number, _AT_ONCE)
    if node.kind.startswith("Empty") or named is not None or "Empty" in node.kind:
        routes.passed.add(node.key)
