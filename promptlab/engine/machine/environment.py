"""Records what else than the recipe decides the bytes of an image: versions, device, kernels, flags.

Invariants: it is measured, never assumed; facts about what computes, and nothing about who: no path, no host, no
user, no token.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import promptlab
from promptlab.engine.machine.torch_setup import deterministic
from promptlab.plan import ResolvedSpec
from promptlab.records import Environment
from promptlab.specs import Scalar

__all__ = ["environment"]

_FLAGS: Final = ("attention_slicing", "vae_slicing", "vae_tiling", "offload", "compile", "channels_last")
"""Of a run's machine: facts where they are on, so that an environment without them is the one that it was before."""

_LIBRARIES: Final = ("accelerate", "diffusers", "numpy", "scipy", "tokenizers", "torch", "torchsde", "transformers")

_CLEANERS: Final = ("beautifulsoup4", "ftfy")
"""Some families clean prompts with these where they are there, and leave them as they are where not."""


def environment(resolved: ResolvedSpec) -> Environment:
    """Return the environment that ``resolved`` is carried out in."""
    import torch
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    device = torch.device(resolved.device)
    facts: dict[str, Scalar] = {
        "promptlab": promptlab.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in _LIBRARIES},
        **{name: found for name in _CLEANERS if (found := _version(name)) is not None},
        "device": device.type,
        "generator_device": resolved.spec.generator_device.partition(":")[0],
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "attention": resolved.spec.machine.attention_backend
        or str(_AttentionBackendRegistry.get_active_backend()[0].value),
        **{name: value for name, value in resolved.spec.machine.said.items() if name in _FLAGS},
    }
    with deterministic():  # the flags as they are while an image is made
        facts |= {
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "tf32": torch.backends.cuda.matmul.fp32_precision != "ieee",
        }
        if device.type == "cuda":
            facts |= _cuda(device)
    if device.type == "cpu" and resolved.spec.pipeline.dtype == "float16":
        facts["float16_computed_in"] = "float32"  # see promptlab.engine.machine.torch_setup.half_on_cpu
    if device.type == "cpu":
        facts["shared_forwards"] = "equal shares"  # see promptlab.engine.sampling.static_batching.images_per_forward
    if device.type != "cuda":
        facts |= {"device_name": _cpu_name(), "mkldnn": torch.backends.mkldnn.is_available()}
    return Environment(facts=dict(sorted(facts.items())))


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


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    """Return the version of the NVIDIA driver, as the kernel module says."""
    about = Path("/proc/driver/nvidia/version")
    words = about.read_text(encoding="utf-8").split() if about.is_file() else []
    return next((word for word in words if word[:1].isdigit() and word.count(".") >= 1), None)


def _cpu_name() -> str:
    """Return the processor's model: kernels are chosen by it, so another one may round otherwise."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
