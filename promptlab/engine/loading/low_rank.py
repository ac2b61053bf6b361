"""Reads LoRAs that diffusers does not: LyCORIS' LoHa and LoKr, kohya's DoRA, plain ones of odd names.

peft has a layer for each kind; which of the model's layers a file's names mean is found out here. Names are the model's
own, written with ``_`` for ``.``, those of Stability's UNet (which diffusers renames), or those of another program that
diffusers' own conversion knows: it is given a plain LoRA under the same names, and told apart by its numbers.

Sources: ``lycoris/modules/{loha,lokr,locon}.py`` of LyCORIS, ``networks/lora.py`` of kohya's sd-scripts.

Invariant: each of the file's tensors is used, or the file is refused; no weight of the model is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from types import SimpleNamespace
from typing import Any, Final, Literal

__all__ = [
    "Kind",
    "LayerShape",
    "Unreadable",
    "has_odd_names",
    "kind_of",
    "layers_of",
    "shape_of",
    "tensors_by_module",
]

Kind = Literal["LoHa", "LoKr", "DoRA", "LoRA"]
_MARKS: Final[Mapping[str, Kind]] = {".hada_w1_a": "LoHa", ".lokr_w": "LoKr", ".dora_scale": "DoRA"}
_NAMES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "LoHa": ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
    "LoKr": ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
    "DoRA": ("lora_down.weight", "lora_up.weight", "dora_scale"),
    "LoRA": ("lora_down.weight", "lora_up.weight"),
}
_SAME: Final = {"lora_A.weight": "lora_down.weight", "lora_B.weight": "lora_up.weight"}
_PREFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "text_encoder": ("lora_te_", "lora_te1_", "text_encoder."),
    "text_encoder_2": ("lora_te2_", "text_encoder_2."),
    "text_encoder_3": ("lora_te3_", "text_encoder_3."),
    "": (
        "lora_unet_", "lora_transformer_", "lycoris_", "model.diffusion_model.", "diffusion_model.", "transformer.",
        "unet.",
    ),
}  # fmt: skip
"""Names the beginnings of a part's layers; the denoiser's last, whatever it is called."""

_STABILITY: Final = (
    ("in_layers_2", "conv1"), ("out_layers_3", "conv2"), ("emb_layers_1", "time_emb_proj"),
    ("skip_connection", "conv_shortcut"), ("_op", "_conv"),
)  # fmt: skip
"""Layers of residual blocks: Stability's names and diffusers'."""

_OUTSIDE: Final = {
    "input_blocks_0_0": "conv_in", "out_2": "conv_out", "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2", "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}  # fmt: skip
_WIDEST: Final = 2**20
"""Numbers on a side of a weight: a small file's tensors may multiply to more than memory holds."""

_BLOCKS: Final = {"input_blocks": "down_blocks", "middle_block": "mid_block", "output_blocks": "up_blocks"}


class Unreadable(Exception):
    """Says why a file cannot be put on a model, in words that follow its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """Describes what a layer's weight is changed by: outputs, and all numbers of it."""

    outputs: int
    numbers: int


def kind_of(names: Iterable[str]) -> Kind | None:
    """Return the kind of a file that diffusers does not read, by its tensors' names; else ``None``."""
    listed = tuple(names)
    return next((kind for mark, kind in _MARKS.items() if any(mark in name for name in listed)), None)


def has_odd_names(names: Iterable[str], *, unet: bool) -> bool:
    """Tell whether a plain LoRA may be under names that diffusers' conversions do not know.

    They write ``_`` for ``.``. Of UNets diffusers knows all that kohya's scripts write; LyCORIS' it knows of none.

    Args:
        unet: whether the model's denoiser is one.
    """
    modules = [_split(name, (*_NAMES["LoRA"], "alpha")) for name in names]
    if not modules or any(own is None or "." in module for module, own in modules):
        return False
    return not unet or all(module.startswith("lycoris_") for module, _ in modules)


def tensors_by_module(kind: Kind, tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a file's tensors by the layer that they are of and their name in it, ``alpha`` among them.

    Raises:
        Unreadable: for tensors that this kind has not, and layers that lack some.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        module, own = _split(name, (*_NAMES[kind], *_SAME, "alpha"))
        if own is None:
            raise Unreadable(f"has {name}, which is no part of a {kind}")
        found.setdefault(module, {})[_SAME.get(own, own)] = tensor
    for module, own_tensors in found.items():
        lacking = next((name for name in _wanted(kind, own_tensors) if name not in own_tensors), None)
        if lacking is not None:
            raise Unreadable(f"has no {lacking} for {module}, though it is a {kind}")
    return found


def shape_of(kind: Kind, tensors: Mapping[str, tuple[int, ...]]) -> LayerShape:
    """Return what a layer's tensors make, by their shapes.

    Raises:
        Unreadable: for a DoRA whose norms are those of inputs, which peft does not have, and for tensors that make the
            weight of no layer there could be.
    """
    try:
        shape = _shape_of(kind, tensors)
    except LookupError as error:
        raise Unreadable(f"has tensors of too few sides for a {kind}") from error
    inputs = shape.numbers // shape.outputs if shape.outputs else 0
    if not (0 < shape.outputs <= _WIDEST and 0 < inputs <= _WIDEST):
        raise Unreadable(f"makes {inputs:,} × {shape.outputs:,} numbers of one layer, as no model has")
    return shape


def _shape_of(kind: Kind, tensors: Mapping[str, tuple[int, ...]]) -> LayerShape:
    if kind == "LoRA":
        up, down = tensors["lora_up.weight"], tensors["lora_down.weight"]
        return LayerShape(outputs=up[0], numbers=up[0] * prod(down[1:]))
    if kind == "DoRA":
        up, down, norms = (tensors[name] for name in ("lora_up.weight", "lora_down.weight", "dora_scale"))
        if prod(norms) != up[0] or norms[0] == 1 != up[0]:
            raise Unreadable("is a DoRA with a norm for each input (wd_on_output false), where peft has one an output")
        return LayerShape(outputs=up[0], numbers=up[0] * prod(down[1:]))
    if kind == "LoHa":
        a, b = tensors["hada_w1_a"], tensors["hada_w1_b"]
        if "hada_t1" in tensors:
            return LayerShape(outputs=a[1], numbers=a[1] * b[1] * prod(tensors["hada_t1"][2:]))
        return LayerShape(outputs=a[0], numbers=a[0] * b[1])
    left = tensors.get("lokr_w1") or (tensors["lokr_w1_a"][0], tensors["lokr_w1_b"][1])
    if "lokr_t2" in tensors:
        right = (tensors["lokr_w2_a"][1], tensors["lokr_w2_b"][1], *tensors["lokr_t2"][2:])
    else:
        right = tensors.get("lokr_w2") or (tensors["lokr_w2_a"][0], tensors["lokr_w2_b"][1])
    return LayerShape(outputs=left[0] * right[0], numbers=prod(left) * prod(right))


def layers_of(
    shapes: Mapping[str, LayerShape],
    parts: Mapping[str, Iterable[str]],
    unet: Mapping[str, Any],
    convert: Callable[[dict[str, Any]], Mapping[str, Any]],
) -> dict[str, tuple[str, str]]:
    """Return the part and the layer that each module of a file means.

    Args:
        shapes: what each makes, by the file's name of it.
        parts: the names of the model's layers by part, the denoiser's first.
        unet: the denoiser's configuration, which counts Stability's blocks.
        convert: the pipeline's ``lora_state_dict``, given tensors.

    Raises:
        Unreadable: for a module that is none, or is several of the model's layers.
    """
    folded = {part: {_fold(name): name for name in names} for part, names in parts.items()}
    found = {module: _own_name(module, folded, unet) for module in shapes}
    left = [module for module, layer in found.items() if layer is None]
    if left:
        found |= _converted({module: shapes[module] for module in left}, next(iter(parts)), folded, convert)
    return {module: layer for module, layer in found.items() if layer is not None}


def _split(name: str, ends: Iterable[str]) -> tuple[str, str | None]:
    for end in ends:
        if name.endswith(f".{end}"):
            return name.removesuffix(f".{end}"), end
    return name, None


def _wanted(kind: Kind, tensors: Mapping[str, Any]) -> tuple[str, ...]:
    if kind != "LoKr":
        return tuple(name for name in _NAMES[kind] if not name.startswith("hada_t"))
    halves = (("lokr_w1",), ("lokr_w2",))
    return tuple(
        name for (whole,) in halves for name in ((whole,) if whole in tensors else (f"{whole}_a", f"{whole}_b"))
    )


def _fold(name: str) -> str:
    return name.replace(".", "_")


def _own_name(module: str, folded: Mapping[str, Mapping[str, str]], unet: Mapping[str, Any]) -> tuple[str, str] | None:
    denoiser = next(iter(folded))
    part, rest = denoiser, module
    for named, prefixes in _PREFIXES.items():
        start = next((each for each in prefixes if module.startswith(each)), None)
        if start is not None:
            part, rest = named or denoiser, module.removeprefix(start)
            break
    name = _fold(rest)
    there = folded.get(part, {})
    tried = [name, name.removeprefix("text_model_"), f"text_model_{name}"]
    if part == denoiser and (name in _OUTSIDE or name.startswith(tuple(_BLOCKS))):
        tried.append(_OUTSIDE.get(name) or _of_stability(name, unet))
    return next(((part, there[each]) for each in tried if each in there), None)


def _of_stability(name: str, unet: Mapping[str, Any]) -> str:
    from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers

    about = SimpleNamespace(layers_per_block=unet.get("layers_per_block", 2))
    renamed: str
    try:
        (renamed,) = _maybe_map_sgm_blocks_to_diffusers({f"lora_unet_{name}": None}, about)
    except (ValueError, IndexError):
        return name
    renamed = renamed.removeprefix("lora_unet_")
    renamed = next(
        (new + renamed.removeprefix(old) for old, new in _BLOCKS.items() if renamed.startswith(old)), renamed
    )
    for old, new in _STABILITY:
        renamed = renamed.replace(old, new) if not renamed.endswith(new) else renamed
    return renamed


def _converted(
    shapes: Mapping[str, LayerShape],
    denoiser: str,
    folded: Mapping[str, Mapping[str, str]],
    convert: Callable[[dict[str, Any]], Mapping[str, Any]],
) -> dict[str, tuple[str, str] | None]:
    """Ask diffusers what plain LoRAs under these names would be of: each has a number of its own."""
    import torch

    plain: dict[str, Any] = {}
    for number, (module, shape) in enumerate(shapes.items(), 1):
        down, up = ("lora_A", "lora_B") if "." in module else ("lora_down", "lora_up")
        plain[f"{module}.{down}.weight"] = torch.full((1, shape.numbers // shape.outputs), float(number))
        plain[f"{module}.{up}.weight"] = torch.ones(shape.outputs, 1)
        if down == "lora_down":
            plain[f"{module}.alpha"] = torch.tensor(1.0)
    first = next(iter(shapes))
    try:
        named = convert(plain)
    except Exception as error:
        raise Unreadable(f"has the layer {first}, which this model has not") from error
    found: dict[str, tuple[str, str] | None] = {}
    modules = list(shapes)
    for key, tensor in named.items():
        if not key.endswith("lora_A.weight"):
            continue
        module = modules[round(float(tensor.flatten()[0])) - 1]
        if module in found:
            raise Unreadable(f"changes {module} as one layer, which is several in this model")
        layer = key.removesuffix(".lora_A.weight").removeprefix(f"{denoiser}.")
        if _fold(layer) not in folded[denoiser]:
            raise Unreadable(f"has the layer {layer}, which this model has not")
        found[module] = denoiser, layer
    lost = next((module for module in modules if module not in found), None)
    if lost is not None:
        raise Unreadable(f"has the layer {lost}, which this model has not")
    return found
