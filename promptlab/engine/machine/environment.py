"""Records what else than the recipe decides the bytes of an image: versions, device, kernels, flags.

Invariants: it is measured, never assumed; facts about what computes, and nothing about who: no path, no host, no
user, no token.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import promptlab
from promptlab.engine.machine.torch_setup import deterministic
from promptlab.records import Environment
from promptlab.specs import MachineSpec, Scalar

__all__ = ["EXTRAS", "cpu_name", "environment", "library_versions"]

_FLAGS: Final = ("attention_slicing", "vae_slicing", "vae_tiling", "offload", "compile", "channels_last", "graphs")
"""Of a run's machine: facts where they are on, so that an environment without them is the one that it was before."""

_LIBRARIES: Final = ("accelerate", "diffusers", "numpy", "scipy", "tokenizers", "torch", "torchsde", "transformers")

_CLEANERS: Final = ("beautifulsoup4", "ftfy")
"""Some families clean prompts with these where they are there, and leave them as they are where not."""


EXTRAS: Final = frozenset({"bitsandbytes", "gguf", "torchao"})
"""Packages that quantise weights: facts of what is made with them, and of nothing else."""


def environment(
    device_name: str, generator_device: str, dtype: str | None, machine: MachineSpec, packages: Iterable[str] = ()
) -> Environment:
    """Return the environment that a setting is carried out in.

    Args:
        device_name: where the model runs, such as ``cuda:0``.
        generator_device: where the noise is drawn.
        dtype: of the weights.
        machine: how it is carried out.
        packages: what quantised the weights, or reads them as they are stored.
    """
    import torch
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    device = torch.device(device_name)
    facts: dict[str, Scalar] = {
        "promptlab": promptlab.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **library_versions(),
        **{name: _version(name) for name in packages},
        "device": device.type,
        "generator_device": generator_device.partition(":")[0],
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "attention": machine.attention_backend or str(_AttentionBackendRegistry.get_active_backend()[0].value),
        **{name: value for name, value in machine.said.items() if name in _FLAGS},
    }
    with deterministic():  # the flags as they are while an image is made
        facts |= {
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "tf32": torch.backends.cuda.matmul.fp32_precision != "ieee",
        }
        if device.type == "cuda":
            facts |= _cuda(device)
            facts["alone"] = "texts, decoding"  # see promptlab.engine.sampling.image_stream
    if device.type == "cpu" and dtype == "float16":
        facts["float16_computed_in"] = "float32"  # see promptlab.engine.machine.torch_setup.half_on_cpu
    if device.type == "cpu":
        facts["shared_forwards"] = "equal shares"  # see promptlab.plan.resolved.images_per_forward
    if device.type != "cuda":
        facts |= {"device_name": cpu_name(), "mkldnn": torch.backends.mkldnn.is_available()}
    return Environment(facts=dict(sorted(facts.items())))


def library_versions() -> dict[str, Scalar]:
    """Return the versions of the libraries that decide bytes; imports none."""
    found = {name: version_ for name in _CLEANERS if (version_ := _version(name)) is not None}
    return {**{name: _version(name) for name in _LIBRARIES}, **found}


def _cuda(device: object) -> dict[str, Scalar]:
    import torch

    about = torch.cuda.get_device_properties(device)  # type: ignore[arg-type]
    return {
        "device_name": about.name,
        "device_memory": about.total_memory,
        "compute_capability": f"{about.major}.{about.minor}",
        "multiprocessors": about.multi_processor_count,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": _driver(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "sdp_flash": torch.backends.cuda.flash_sdp_enabled(),
        "sdp_memory_efficient": torch.backends.cuda.mem_efficient_sdp_enabled(),
        "sdp_cudnn": torch.backends.cuda.cudnn_sdp_enabled(),
    }


@cache
def _version(name: str) -> str | None:
    """Return the version that was there when first asked: what this process has loaded, or will load."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _driver() -> str | None:
    """Return the version of the NVIDIA driver, as the kernel module says."""
    about = Path("/proc/driver/nvidia/version")
    words = about.read_text(encoding="utf-8").split() if about.is_file() else []
    return next((word for word in words if word[:1].isdigit() and word.count(".") >= 1), None)


@cache
def cpu_name() -> str:
    """Return the processor's model: kernels are chosen by it, so another one may round otherwise."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
