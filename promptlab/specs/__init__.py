"""Describes what an image is made from: frozen values, the same in a file, a row and a PNG chunk.

A :class:`RunSpec` is everything one run asks for. Names are those of diffusers, so a spec reads like the call it
becomes: :class:`PipelineSpec` goes into ``from_pretrained``, :class:`CallSpec` into ``pipeline(...)``. ``None`` always
means "the pipeline's own default"; an engine's ``resolve`` fills these in, and from then on a spec is complete.

:mod:`~promptlab.specs.settings` is the table of all settings, which everything else that knows them reads.

Rerun is ``load ∘ vary ∘ run``, so the two verbs here carry the whole product: :meth:`RunSpec.vary` and
:meth:`RunSpec.diff`. Standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from promptlab._lazy import imported_from

if TYPE_CHECKING:
    from promptlab.specs.call import MAX_SEED, CallSpec
    from promptlab.specs.keys import recipe_key, setting_key, words_key
    from promptlab.specs.machine import AUTO, OFFLOADS, MachineSpec, Offload
    from promptlab.specs.pipeline import (
        DTYPES,
        GGUF,
        QUANTIZATIONS,
        Dtype,
        Embedding,
        Lora,
        PipelineSpec,
        SchedulerSpec,
    )
    from promptlab.specs.run import Change, RunSpec, Variant
    from promptlab.specs.values import Options, Scalar, canonical_json, options, parse_scalar

__all__ = [
    "AUTO",
    "DTYPES",
    "GGUF",
    "MAX_SEED",
    "OFFLOADS",
    "QUANTIZATIONS",
    "CallSpec",
    "Change",
    "Dtype",
    "Embedding",
    "Lora",
    "MachineSpec",
    "Offload",
    "Options",
    "PipelineSpec",
    "RunSpec",
    "Scalar",
    "SchedulerSpec",
    "Variant",
    "canonical_json",
    "options",
    "parse_scalar",
    "recipe_key",
    "setting_key",
    "words_key",
]

_HOMES: Final = {
    "call": ("MAX_SEED", "CallSpec"),
    "keys": ("recipe_key", "setting_key", "words_key"),
    "machine": ("AUTO", "OFFLOADS", "MachineSpec", "Offload"),
    "pipeline": ("DTYPES", "GGUF", "QUANTIZATIONS", "Dtype", "Embedding", "Lora", "PipelineSpec", "SchedulerSpec"),
    "run": ("Change", "RunSpec", "Variant"),
    "values": ("Options", "Scalar", "canonical_json", "options", "parse_scalar"),
}
__getattr__ = imported_from(__name__, _HOMES)
