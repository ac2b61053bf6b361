"""Chooses devices and dtypes: only devices that are there, and torch's own dtypes, never their names.

diffusers takes a dtype given as a string for float32 without a word, so strings are turned into ``torch.dtype`` here
and nowhere else.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import UnknownValue, ref_value
from promptlab.specs import DTYPES

if TYPE_CHECKING:
    import torch

__all__ = [
    "available_devices",
    "choose_device",
    "choose_generator_device",
    "device_names",
    "devices_without_torch",
    "torch_dtype",
]

_ACCELERATORS: Final = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""Lists what Linux shows of a GPU: NVIDIA's driver, the one of Windows below it, AMD's."""


def available_devices() -> tuple[str, ...]:
    """Return the devices of this machine, best first: ``cuda:0``, ``cuda:1`` …, ``mps``, ``cpu``."""
    import torch

    names = [f"cuda:{at}" for at in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    return (*names, "cpu")


def device_names() -> tuple[str, ...]:
    """Return the names of this machine's CUDA devices, as their makers have them."""
    import torch

    return tuple(torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count()))


def devices_without_torch() -> tuple[str, ...] | None:
    """Return what :func:`available_devices` returns, where that is certain without importing torch.

    A torch for CPUs has no other device, and one for GPUs has none where the system shows none.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        bare = version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return None
    return ("cpu",) if bare or not any(Path(each).exists() for each in _ACCELERATORS) else None


def choose_device(asked: str | None, there: tuple[str, ...] | None = None) -> str:
    """Return the device to use: ``asked`` with its number, or the first there is of cuda, mps and cpu.

    Args:
        there: the devices of this machine, where they are known; torch is asked by default.

    Raises:
        UnknownValue: when ``asked`` is not a device of this machine.
    """
    there = available_devices() if there is None else there
    if asked is None:
        return there[0]
    return _among(asked, there, "device")


def choose_generator_device(asked: str, device: str) -> str:
    """Return where the noise is drawn: on the CPU, or on the device that the model runs on.

    Raises:
        UnknownValue: for any other place; diffusers would refuse it once the weights are loaded.
    """
    return _among(asked, tuple(dict.fromkeys(("cpu", device))), "generator_device")


def torch_dtype(name: str | None) -> torch.dtype:
    """Return the ``torch.dtype`` called ``name``; float32 when there is none.

    Raises:
        UnknownValue: for a name outside :data:`promptlab.specs.DTYPES`.
    """
    import torch

    dtypes = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    name = name or "float32"
    if name not in dtypes:
        raise UnknownValue("dtype", name, DTYPES, hint=ref_value("dtype", "float32"))
    return dtypes[name]


def _among(asked: str, there: tuple[str, ...], field: str) -> str:
    name = asked.strip().lower()
    for candidate in there:
        if name in {candidate, candidate.removesuffix(":0"), f"{candidate}:0"}:
            return candidate
    raise UnknownValue(field, asked, there, problem="is not there", hint=ref_value(field, there[-1]))
