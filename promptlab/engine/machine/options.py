"""Applies how a pipeline computes while a forward runs: attention, its kernels, decoding in pieces.

Invariant: afterwards the pipeline computes as before. Its parts may be shared with another pipeline, whose forward
comes next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from promptlab.errors import EngineError, ref_value
from promptlab.specs import MachineSpec

__all__ = ["apply_options"]

_KERNELS: Final = {
    "_native_math": "MATH",
    "_native_flash": "FLASH_ATTENTION",
    "_native_efficient": "EFFICIENT_ATTENTION",
    "_native_cudnn": "CUDNN_ATTENTION",
}
"""diffusers' names of torch's kernels, and torch's own (``torch.nn.attention.SDPBackend``)."""

_NONE_FITS: Final = re.compile(r"No (available kernel|viable backend)")
"""What torch says, on CUDA and on a CPU, when the only kernel it was left does not take these numbers."""


@contextmanager
def apply_options(pipeline: Any, machine: MachineSpec) -> Iterator[None]:
    """Run the block with ``pipeline`` computing as ``machine`` says, its weights not concerned."""
    with ExitStack() as stack:
        if machine.attention_backend is not None:
            stack.enter_context(_attention(machine.attention_backend))
        if machine.attention_slicing:
            for part in (getattr(pipeline, name, None) for name in ("unet", "transformer")):
                if part is not None:
                    stack.enter_context(_sliced(part))
        vae = getattr(pipeline, "vae", None)
        for wanted, name in ((machine.vae_slicing, "use_slicing"), (machine.vae_tiling, "use_tiling")):
            if wanted and hasattr(vae, name):
                stack.enter_context(_set(vae, name, value=True))
        yield


@contextmanager
def _attention(name: str) -> Iterator[None]:
    """Choose the kernel by diffusers' own dispatch, and by torch's for layers that ask no one.

    Raises:
        EngineError: when the kernel does not take this model's numbers: another dtype, or heads of another size.
    """
    from diffusers.models.attention_dispatch import attention_backend
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with ExitStack() as stack:
        stack.enter_context(attention_backend(name))
        if name in _KERNELS:
            stack.enter_context(sdpa_kernel(getattr(SDPBackend, _KERNELS[name])))
        try:
            yield
        except RuntimeError as error:
            if _NONE_FITS.search(str(error)) is None:
                raise
            asked, native = ref_value("attention_backend", name), ref_value("attention_backend", "native")
            raise EngineError(
                f"{asked} does not take this model's attention: not in this dtype, or not with heads of this size; "
                f"type: {native}"
            ) from error


@contextmanager
def _sliced(denoiser: Any) -> Iterator[None]:
    """Compute half the heads at a time, as ``enable_attention_slicing()`` does, or one where half is none."""
    before = dict(denoiser.attn_processors)
    heads = [module.sliceable_head_dim for module in denoiser.modules() if hasattr(module, "sliceable_head_dim")]
    denoiser.set_attention_slice("auto" if heads and min(heads) > 1 else "max")
    try:
        yield
    finally:
        denoiser.set_attn_processor(before)


@contextmanager
def _set(owner: Any, name: str, *, value: bool) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
