"""Places a loaded pipeline's weights: on its device or offloaded, in the memory format asked for.

Invariant: whatever is done here belongs to the weights; a setting that wants them otherwise loads them anew.
"""

from __future__ import annotations

from typing import Any

from promptlab.engine.machine.torch_setup import quietly
from promptlab.specs import MachineSpec

__all__ = ["offload", "place", "placement"]


def placement(machine: MachineSpec) -> MachineSpec:
    """Return the part of ``machine`` that weights are loaded for: two that are equal in it can share them."""
    return MachineSpec(offload=machine.offload, compile=machine.compile, channels_last=machine.channels_last)


def place(part: Any, machine: MachineSpec, device: str) -> Any:
    """Place one model of diffusers or transformers: on ``device``, unless it is offloaded. Returns it."""
    import torch

    if machine.channels_last and any(each.dim() == 4 for each in part.parameters()):
        part.to(memory_format=torch.channels_last)
    if machine.offload is None:
        part.to(device)
    if machine.compile and getattr(part, "_compiled_call_impl", None) is None and _denoises(part):
        with quietly():
            part.compile(dynamic=False)
    return part


def offload(pipeline: Any, machine: MachineSpec, device: str) -> Any:
    """Add the hooks that fetch offloaded weights when they are needed. Returns ``pipeline``."""
    import torch

    if machine.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif machine.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    elif machine.offload == "group":
        on = torch.device(device)
        # By leaves: blocks are found by their containers' types, and a VAE's single convolutions are in none.
        pipeline.enable_group_offload(onload_device=on, offload_type="leaf_level", use_stream=on.type == "cuda")
    return pipeline


def _denoises(part: Any) -> bool:
    name = type(part).__name__
    return "UNet" in name or ("Transformer" in name and "Text" not in name)
