"""How the machine carries a run out: what is not part of any recipe."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal, get_args

from promptlab.errors import InputError, UnknownValue, ref_value
from promptlab.specs.values import Scalar

__all__ = ["AUTO", "OFFLOADS", "MachineSpec", "Offload"]

Offload = Literal["model", "sequential", "group"]
OFFLOADS: Final[tuple[Offload, ...]] = get_args(Offload)

AUTO: Final = "auto"
"""In place of a batch size: the largest that fits, which is found before the run begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """How the machine carries a run out: what is computed when, where and by which kernels, to fit or to be quick.

    Not part of the recipe: none of it says what the picture is of. What may round otherwise is part of the environment
    instead, so that a picture made with it is never taken for one made without. That is so for the attention backend,
    too, although diffusers sets it on a loaded model: a rerun on another machine may have to do without it.

    Args:
        attention_slicing: attention one slice of the heads after the other.
        vae_slicing: pictures decoded one by one.
        vae_tiling: large pictures decoded in overlapping tiles; seams are blended, so it changes pixels.
        offload: weights wait in the CPU's memory: whole ``model`` parts, ``sequential`` single layers, or ``group`` s
            of layers (diffusers' and accelerate's offloading).
        attention_backend: a name of diffusers' ``AttentionBackendName``: ``native``, ``_native_math``, ``flash`` …
        compile: the denoiser is compiled by ``torch.compile``.
        channels_last: convolutions' weights with the channels innermost.
        exact: out of memory, the run fails instead of going on with smaller batches.
    """

    attention_slicing: bool = False
    vae_slicing: bool = False
    vae_tiling: bool = False
    offload: Offload | None = None
    attention_backend: str | None = None
    compile: bool = False
    channels_last: bool = False
    exact: bool = False

    def __post_init__(self) -> None:
        if self.offload is not None and self.offload not in OFFLOADS:
            raise UnknownValue("offload", str(self.offload), OFFLOADS, hint=ref_value("offload", "model"))
        if not isinstance(self.attention_backend, str | None):
            raise InputError("attention_backend", str(self.attention_backend), problem="is no name")
        for name in ("attention_slicing", "vae_slicing", "vae_tiling", "compile", "channels_last", "exact"):
            value, option = getattr(self, name), f"--{name.replace('_', '-')}"
            if not isinstance(value, bool):
                raise InputError(
                    option, str(value), problem="is neither on nor off", allowed="true, false", hint=option
                )

    @property
    def said(self) -> dict[str, Scalar]:
        """What is other than the default, by name: what is stored, and shown."""
        plain = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {name: value for name, value in plain.items() if value not in (None, False)}
