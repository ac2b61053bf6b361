"""Holds how the machine carries a run out: what is not part of any recipe."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal, get_args

from promptlab.errors import InputError, UnknownValue, ref_value
from promptlab.specs.settings import settings_of
from promptlab.specs.values import Scalar

__all__ = ["AUTO", "OFFLOADS", "MachineSpec", "Offload"]

Offload = Literal["model", "sequential", "group"]
OFFLOADS: Final[tuple[Offload, ...]] = get_args(Offload)

AUTO: Final = "auto"
"""In place of a batch size: the largest that fits, which is found before the run begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """Sets what is computed when, where and by which kernels, so that a run fits into memory or is quick.

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
        graphs: forwards that come again are replayed as CUDA graphs; each is proved to give eager's bits.
        exact: out of memory, the run fails instead of going on with smaller batches.
    """

    attention_slicing: bool = False
    vae_slicing: bool = False
    vae_tiling: bool = False
    offload: Offload | None = None
    attention_backend: str | None = None
    compile: bool = False
    channels_last: bool = False
    graphs: bool = False
    exact: bool = False

    def __post_init__(self) -> None:
        for row in settings_of("machine"):
            value = getattr(self, row.field)
            if row.kind == "switch":
                if not isinstance(value, bool):
                    raise InputError(
                        row.field, str(value), problem="is neither on nor off", allowed="true, false",
                        hint=ref_value(row.field, True),
                    )  # fmt: skip
            elif value is not None and row.choices and value not in row.choices:
                raise UnknownValue(row.field, str(value), row.choices, hint=ref_value(row.field, row.example))
            elif not isinstance(value, str | None):
                raise InputError(row.field, str(value), problem="is no name")

    @property
    def said(self) -> dict[str, Scalar]:
        """Return what is other than the default, by name: what is stored, and shown."""
        plain = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {name: value for name, value in plain.items() if value not in (None, False)}
