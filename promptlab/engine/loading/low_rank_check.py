"""Checks by its header that a LoHa, a LoKr or a DoRA fits a model, which is made without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptlab.engine.loading.low_rank import Kind, Unreadable, layers_of, shape_of, tensors_by_module
from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.files import read_json
from promptlab.engine.sources.finder import ModelSource

__all__ = ["LayerSize", "check_low_rank", "layers_without_weights"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSize:
    """Describes a linear layer or a convolution: inputs, outputs, and all numbers of its weight."""

    inputs: int
    outputs: int
    numbers: int


def check_low_rank(
    header: Mapping[str, Mapping[str, Any]], kind: Kind, config: Configuration, source: ModelSource, pipeline: Any
) -> None:
    """Check each layer of a file.

    Raises:
        Unreadable: for one that the model has not, has in another size, or has as several.
    """
    shapes = {
        module: shape_of(kind, {name: tuple(tensor["shape"]) for name, tensor in tensors.items()})
        for module, tensors in tensors_by_module(kind, header).items()
    }
    denoiser = config.denoiser_part
    if denoiser is None:
        raise Unreadable("is for a denoiser that this model has not")
    encoders = [part for part in config.parts if part.startswith("text_encoder") and _is_named(part, shapes)]
    sizes = {part: layers_without_weights(source, part, config.parts[part]) for part in (denoiser, *encoders)}

    def convert(plain: dict[str, Any]) -> Mapping[str, Any]:
        with quietly():
            found = pipeline.lora_state_dict(plain)
        state: Mapping[str, Any] = found[0] if isinstance(found, tuple) else found
        return state

    layers = layers_of(shapes, {part: list(own) for part, own in sizes.items()}, config.denoiser or {}, convert)
    for module, (part, name) in layers.items():
        size, made = sizes[part][name], shapes[module]
        if (size.outputs, size.numbers) != (made.outputs, made.numbers):
            problem = f"makes {made.numbers // made.outputs} × {made.outputs} numbers for {name}"
            raise Unreadable(f"{problem}, which has {size.numbers // size.outputs} × {size.outputs}")


def layers_without_weights(source: ModelSource, part: str, kind: str) -> dict[str, LayerSize]:
    """Return the sizes of a part's linear layers and convolutions, by name."""
    import diffusers
    import torch
    import transformers

    folder = source.folder / part
    with torch.device("meta"):
        if hasattr(diffusers, kind):
            model = getattr(diffusers, kind).from_config(read_json(folder / "config.json"))
        else:
            encoder = getattr(transformers, kind)
            model = encoder(encoder.config_class.from_pretrained(str(folder)))
    sizes = {
        torch.nn.Linear: ("in_features", "out_features"),
        torch.nn.Conv2d: ("in_channels", "out_channels"),
    }
    found: dict[str, LayerSize] = {}
    modules: list[tuple[str, Any]] = list(model.named_modules())
    for name, module in modules:
        for plain, (inputs, outputs) in sizes.items():
            if isinstance(module, plain):
                layer: Any = module
                found[name] = LayerSize(
                    inputs=getattr(layer, inputs), outputs=getattr(layer, outputs), numbers=layer.weight.numel()
                )
    return found


def _is_named(part: str, modules: Mapping[str, Any]) -> bool:
    """Tell whether a file has layers of an encoder: it is made only for these."""
    number = part.removeprefix("text_encoder").removeprefix("_")
    starts = (f"lora_te{number}_", f"{part}.", *(() if number else ("lora_te1_",)))
    return any(module.startswith(starts) for module in modules)
