"""Puts LoHa, LoKr and DoRA on a loaded pipeline as peft's layers, which it then weighs and removes.

peft makes the layers by a configuration; what they hold is replaced by the file's tensors, in the shapes that the file
has: peft would choose others by rules that differ from those of the programs that trained them.

Invariant: the model's own weights stay as they are, as under a plain LoRA.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from promptlab.engine.loading.low_rank import (
    Kind,
    has_odd_names,
    kind_of,
    layers_of,
    shape_of,
    tensors_by_module,
)
from promptlab.engine.machine.torch_setup import IGNORED, warned
from promptlab.engine.sources.configuration import DENOISERS

__all__ = ["add_low_rank", "read_tensors"]

_ENCODERS: Final = ("text_encoder", "text_encoder_2", "text_encoder_3")
_FIRST: Final[Mapping[Kind, str]] = {
    "LoHa": "hada_w1_a",
    "LoKr": "lokr_w1",
    "DoRA": "lora_A.weight",
    "LoRA": "lora_A.weight",
}


def add_low_rank(pipeline: Any, path: Path, name: str) -> bool:
    """Add the file ``path`` to the layers of ``pipeline`` as the adapter ``name``.

    Returns:
        Whether it is of a kind that this module knows; else nothing was done.

    Raises:
        Unreadable: when it does not fit, which whoever resolved it has found out before.
    """
    tensors = read_tensors(path)
    models = {each: getattr(pipeline, each) for each in (*DENOISERS, *_ENCODERS) if getattr(pipeline, each, None)}
    kind = kind_of(tensors)
    if kind is None and has_odd_names(tensors, unet="unet" in models) and not _reads(pipeline, tensors, models):
        kind = "LoRA"
    if kind is None:
        return False
    modules = tensors_by_module(kind, tensors)
    denoiser = models[next(iter(models))]
    layers = layers_of(
        {
            module: shape_of(kind, {key: tuple(value.shape) for key, value in own.items()})
            for module, own in modules.items()
        },
        {part: [layer for layer, _ in model.named_modules()] for part, model in models.items()},
        getattr(denoiser, "config", {}),
        lambda plain: _state(pipeline.lora_state_dict(plain)),
    )
    with _hooks_off(pipeline):
        for part, model in models.items():
            own = {layer: modules[module] for module, (where, layer) in layers.items() if where == part}
            if own:
                _add(model, kind, name, own)
    return True


@contextmanager
def _hooks_off(pipeline: Any) -> Iterator[None]:
    """Take off the hooks of offloaded weights meanwhile, as diffusers does before it adds layers."""
    from diffusers.hooks.group_offloading import _maybe_remove_and_reapply_group_offloading
    from diffusers.loaders.lora_base import _func_optionally_disable_offloading

    whole, leaves, groups = _func_optionally_disable_offloading(pipeline)
    try:
        yield
    finally:
        if whole:
            pipeline.enable_model_cpu_offload()
        elif leaves:
            pipeline.enable_sequential_cpu_offload()
        elif groups:
            for part in pipeline.components.values():
                if hasattr(part, "parameters"):
                    _maybe_remove_and_reapply_group_offloading(part)


def read_tensors(path: Path) -> dict[str, Any]:
    """Read the tensors of a file; those of pickles, where they are allowed, and nothing else in them."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    import torch

    return dict(torch.load(path, map_location="cpu", weights_only=True))


def _reads(pipeline: Any, tensors: Mapping[str, Any], models: Mapping[str, Any]) -> bool:
    """Tell whether diffusers finds the model's layers in a file, each of them one that there is."""
    part, denoiser = next(iter(models.items()))
    with warned() as said:
        try:
            state = _state(pipeline.lora_state_dict(dict(tensors)))
        except Exception:  # noqa: BLE001 - whatever it is, it was not read
            return False
    layers = {name for name, _ in denoiser.named_modules()}
    own = [key.removeprefix(f"{part}.").rpartition(".lora_")[0] for key in state if key.startswith(f"{part}.")]
    encoded = any(key.startswith("text_encoder") for key in state)
    return (bool(own) or encoded) and layers.issuperset(own) and not any(IGNORED.search(each) for each in said)


def _state(found: Any) -> Mapping[str, Any]:
    state: Mapping[str, Any] = found[0] if isinstance(found, tuple) else found
    return state


def _add(model: Any, kind: Kind, name: str, layers: Mapping[str, Mapping[str, Any]]) -> None:
    import peft

    plain: dict[str, Any] = {"target_modules": sorted(layers), "inference_mode": True}
    config = {
        "LoHa": lambda: peft.LoHaConfig(r=1, alpha=1, **plain),
        "LoKr": lambda: peft.LoKrConfig(r=1, alpha=1, **plain),
        "DoRA": lambda: peft.LoraConfig(r=1, lora_alpha=1, use_dora=True, **plain),
        "LoRA": lambda: peft.LoraConfig(r=1, lora_alpha=1, **plain),
    }[kind]()
    named: dict[str, Any] = {f"{layer}.{_FIRST[kind]}": None for layer in layers}
    peft.inject_adapter_in_model(config, model, adapter_name=name, state_dict=named)
    for layer, tensors in layers.items():
        module = model.get_submodule(layer).eval()  # in training, LyCORIS' layers draw from torch's one generator
        weight = module.get_base_layer().weight
        dtype = weight.dtype if weight.is_floating_point() else model.dtype
        cast = {key: value.to(device=weight.device, dtype=dtype) for key, value in tensors.items() if key != "alpha"}
        alpha = tensors.get("alpha")
        (_fill_halves if kind in ("DoRA", "LoRA") else _fill)(
            module, name, cast, None if alpha is None else float(alpha)
        )
    model._hf_peft_config_loaded = True  # noqa: SLF001 - what diffusers and transformers ask before they weigh adapters


def _fill(module: Any, name: str, tensors: Mapping[str, Any], alpha: float | None) -> None:
    """Give a layer of LoHa or LoKr its tensors; its scale is alpha over rank, or 1 without a rank."""
    from torch.nn import Parameter

    for key in module.adapter_layer_names:
        held = getattr(module, key)
        if name in held:
            held.pop(name)
        if key in tensors:
            held[name] = Parameter(tensors[key], requires_grad=False)
    inner = next((tensors[key] for key in ("hada_w1_b", "lokr_w2_b", "lokr_w1_b") if key in tensors), None)
    rank = 1 if inner is None else int(inner.shape[0])
    module.r[name], module.alpha[name] = rank, rank if alpha is None or inner is None else alpha
    module.scaling[name] = module.alpha[name] / rank


def _fill_halves(module: Any, name: str, tensors: Mapping[str, Any], alpha: float | None) -> None:
    """Give a layer of DoRA or LoRA its tensors."""
    from torch.nn import Parameter

    down, up = tensors["lora_down.weight"], tensors["lora_up.weight"]
    module.lora_A[name].weight = Parameter(down, requires_grad=False)
    module.lora_B[name].weight = Parameter(up, requires_grad=False)
    if "dora_scale" in tensors:
        norms = module.lora_magnitude_vector[name]
        norms.weight = Parameter(tensors["dora_scale"].reshape(norms.weight.shape), requires_grad=False)
    rank = int(down.shape[0])
    module.r[name], module.lora_alpha[name] = rank, rank if alpha is None else alpha
    module.scaling[name] = module.lora_alpha[name] / rank
