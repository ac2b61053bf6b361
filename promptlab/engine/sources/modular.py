"""Refuses models that diffusers has as modular pipelines only: FLUX.3, Anima.

PromptLab makes every image by a pipeline's own call: its arguments are checked against the call's signature, its steps
are followed, counted and stopped by ``callback_on_step_end``. The call of ``ModularPipeline`` has neither: what it
takes depends on the blocks that run, and what it does not know it drops (``modular_pipelines/modular_pipeline.py``).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from promptlab.engine.sources.class_source import is_named
from promptlab.engine.sources.files import MODULAR_INDEX, read_json
from promptlab.errors import InputError, ref_value

__all__ = ["check_no_modular_file", "modular_model"]

_INSTEAD: Final = {
    "Flux3": "black-forest-labs/FLUX.2-klein-4B",
    "Anima": "stabilityai/stable-diffusion-xl-base-1.0",
}
_OTHERWISE: Final = "Tongyi-MAI/Z-Image-Turbo"
_FILES: Final = {"early_stream_modulations.image.lin.weight": "Flux3", "llm_adapter.": "Anima"}
"""Tells a single file by how its tensors are called or begin, once another program's prefix is gone."""


def modular_model(name: str, folder: Path) -> InputError:
    """Compose the error about a model whose ``folder`` has a modular index, and no ``model_index.json``."""
    index = read_json(folder / MODULAR_INDEX)
    kind = index.get("_class_name")
    return _refused(name, str(kind) if isinstance(kind, str) else "ModularPipeline")


def check_no_modular_file(path: Path, header: Collection[str]) -> None:
    """Refuse a single file whose family has no other pipeline than a modular one.

    Raises:
        InputError: naming the family's class, and a model to use in its place.
    """
    for mark, family in _FILES.items():
        if any(f".{name}".rpartition(f".{mark}")[1] for name in header):
            raise _refused(str(path), f"{family}ModularPipeline")


def _refused(name: str, kind: str) -> InputError:
    family = kind.removesuffix("ModularPipeline").removesuffix("Distilled")
    plain = f"{family}Pipeline"
    there = family and is_named(plain)
    return InputError(
        "model", name,
        problem=f"is a modular pipeline ({kind}), whose call has no arguments to check and no steps to follow",
        allowed=f"the same family as a {plain}, with a model_index.json" if there
        else "a model with a model_index.json: diffusers has this family as modular blocks only",
        hint="promptlab models" if there else ref_value("model", _INSTEAD.get(family, _OTHERWISE)),
    )  # fmt: skip
