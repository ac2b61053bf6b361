"""Checks which machine options a pipeline, a device and this installation can carry out.

Asked before a weight is read: models are built without weights (on torch's meta device) from their configurations, so
that what counts is what the very layers support, not the name of a family.

Invariant: a flag that would do nothing is refused like one that would fail: a record must not claim what was not done.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final

from promptlab.engine.sources.configuration import Configuration
from promptlab.errors import InputError, UnknownValue, one_line, ref, ref_value
from promptlab.specs import MachineSpec, canonical_json

__all__ = ["NATIVE", "allowed_backends", "check_machine", "dispatches"]

NATIVE: Final[Mapping[str, tuple[str, ...]]] = {
    "cpu": ("native", "_native_math", "_native_flash"),
    "mps": ("native", "_native_math"),
    "cuda": ("native", "_native_math", "_native_flash", "_native_efficient", "_native_cudnn"),
}
"""torch's own kernels for attention, by diffusers' names and by the kind of device that has them."""

_OTHER_DEVICES: Final = ("_native_npu", "_native_xla")
_FROM_THE_HUB: Final = "_hub"


def check_machine(
    machine: MachineSpec, config: Configuration, vae: Mapping[str, Any] | None, kind: Any, device: str, dtype: str
) -> None:
    """Refuse what cannot be done.

    Args:
        config: the model's.
        vae: the configuration of another VAE than the model's own.
        kind: the pipeline's class.
        device: such as ``cuda:0``.
        dtype: of the denoiser.

    Raises:
        InputError: for the first flag that cannot be done, or would do nothing.
    """
    if machine.offload is not None:
        _check_offload(machine, kind, device)
    if machine.attention_backend is not None:
        _check_backend(machine.attention_backend, config, device)
    if machine.attention_slicing:
        _check_attention_slicing(machine, config)
    for flag, attribute, words in (
        ("vae_slicing", "use_slicing", "picture by picture"),
        ("vae_tiling", "use_tiling", "in tiles"),
    ):
        if getattr(machine, flag):
            _check_vae(flag, attribute, words, config, vae)
    if machine.channels_last and config.denoiser_part != "unet":
        raise _refused("channels_last", f"is for convolutions, and this {config.pipeline_class} has a transformer")
    if machine.compile:
        _check_compile(config, device, dtype)
    if machine.graphs:
        _check_graphs(machine, device)


def allowed_backends(device: str, *, dispatched: bool) -> tuple[str, ...]:
    """Return the attention backends that there are for a device.

    Args:
        dispatched: whether the model's layers ask diffusers which backend to use; those of Stable Diffusion's UNets
            do not, and take torch's own.
    """
    from diffusers.models.attention_dispatch import AttentionBackendName

    kind = device.partition(":")[0]
    native = NATIVE.get(kind, NATIVE["mps"])
    if kind != "cuda" or not dispatched:
        return native
    others = [each.value for each in AttentionBackendName if each.value not in (*native, *_OTHER_DEVICES)]
    return (*native, *(name for name in others if not name.endswith(_FROM_THE_HUB)))


def dispatches(config: Configuration) -> bool:
    """Tell whether the denoiser's attention layers ask diffusers for a backend."""
    denoiser = _built(config)
    if denoiser is None:
        return False
    processors = [module.processor for module in denoiser.modules() if getattr(module, "processor", None) is not None]
    return bool(processors) and all(hasattr(each, "_attention_backend") for each in processors)


def _check_offload(machine: MachineSpec, kind: Any, device: str) -> None:
    problem = None
    if not device.startswith("cuda"):
        problem = f"needs an accelerator with memory of its own: on {device} weights have nowhere to go"
    elif machine.compile:
        problem = f"cannot be done together with {ref('compile')}, which needs the weights in one place"
    elif machine.offload == "model" and getattr(kind, "model_cpu_offload_seq", None) is None:
        problem = f"means nothing to {kind.__name__}, which does not say in which order its parts are used"
    if problem is not None:
        raise _refused("offload", problem, machine.offload)


def _check_backend(name: str, config: Configuration, device: str) -> None:
    from diffusers.models.attention_dispatch import AttentionBackendName, _check_attention_backend_requirements

    dispatched = dispatches(config)
    allowed = allowed_backends(device, dispatched=dispatched)
    names = {each.value for each in AttentionBackendName}
    if name not in allowed:
        problem = "is no attention backend of this diffusers"
        if name.endswith(_FROM_THE_HUB) and name in names:
            problem = "would run programs from the Hub, which is never done"
        elif name in names:
            problem = f"does not run on {device}"
            if device.startswith("cuda") and not dispatched:
                problem = f"means nothing to the attention of {config.pipeline_class}"
        raise UnknownValue(
            "attention_backend", name, allowed, problem=problem, hint=ref_value("attention_backend", "native")
        )
    try:
        _check_attention_backend_requirements(AttentionBackendName(name))
    except RuntimeError as error:
        raise InputError(
            "attention_backend", name, problem=f"is not installed: {one_line(error)}", allowed=", ".join(allowed),
            hint=ref_value("attention_backend", "native"),
        ) from error  # fmt: skip


def _check_attention_slicing(machine: MachineSpec, config: Configuration) -> None:
    denoiser = _built(config)
    if denoiser is None or not callable(getattr(denoiser, "set_attention_slice", None)):
        raise _refused("attention_slicing", f"means nothing to {config.pipeline_class}, whose attention has no slices")
    if machine.attention_backend not in (None, "native"):
        problem = f"takes the place of {ref_value('attention_backend', machine.attention_backend)}"
        raise _refused("attention_slicing", problem)


def _check_vae(flag: str, attribute: str, words: str, config: Configuration, vae: Mapping[str, Any] | None) -> None:
    if config.vae is None:
        raise _refused(flag, f"means nothing to {config.pipeline_class}, which has no VAE")
    name = str((vae or {}).get("_class_name") or config.parts["vae"])
    built = _model(name, canonical_json(vae or config.vae))
    if built is None or not hasattr(built, attribute):
        raise _refused(flag, f"means nothing to this {name}, which does not decode {words}")


def _check_compile(config: Configuration, device: str, dtype: str) -> None:
    if config.denoiser_part is None:
        raise _refused("compile", f"means nothing to {config.pipeline_class}, which has no one denoiser")
    if device.startswith("cuda"):
        if find_spec("triton") is None:
            raise _refused("compile", "needs triton, which is not installed")
    elif device == "cpu":
        if dtype == "float16":
            raise _refused("compile", "cannot be done in float16 on a CPU, which computes it in float32 layer by layer")
        if not _has_compiler():
            raise _refused("compile", "needs a C++ compiler, and none is installed")
    else:
        raise _refused("compile", f"is not ready for {device}")


def _check_graphs(machine: MachineSpec, device: str) -> None:
    problem = None
    if not device.startswith("cuda"):
        problem = f"means nothing to {device}: CUDA graphs are CUDA's"
    elif machine.compile:
        problem = f"cannot be done together with {ref('compile')}"
    elif machine.offload is not None:
        problem = f"cannot be done together with {ref('offload')}: a graph keeps the addresses of weights"
    if problem is not None:
        raise _refused("graphs", problem)


@lru_cache(maxsize=1)
def _has_compiler() -> bool:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        return bool(get_cpp_compiler())
    except (InvalidCxxCompiler, OSError, RuntimeError):
        return False


def _built(config: Configuration) -> Any:
    part = config.denoiser_part
    if part is None or config.denoiser is None:
        return None
    return _model(config.parts[part], canonical_json(config.denoiser))


@lru_cache(maxsize=8)
def _model(name: str, config: str) -> Any:
    """Build a diffusers model without weights; return ``None`` where its configuration does not make one."""
    import json

    import diffusers
    from accelerate import init_empty_weights

    kind = getattr(diffusers, name, None)
    if kind is None or not hasattr(kind, "from_config"):
        return None
    with init_empty_weights():
        try:
            return kind.from_config(json.loads(config))
        except (TypeError, ValueError, KeyError, AttributeError):
            return None


def _refused(field: str, problem: str, value: str | None = None) -> InputError:
    return InputError(field, value, problem=problem, hint=f"the command without {ref(field)}")
