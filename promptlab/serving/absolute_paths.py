"""Makes the names of local files absolute before they travel: a server has no current folder.

A name stays as it is where it is no file or folder here: a model that ships, or one of the Hub. It is what the engine
itself does with a local path, so that recipes and records are the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from promptlab.models import bundled
from promptlab.specs import GGUF

if TYPE_CHECKING:
    from promptlab.expand.sweep import Sweep
    from promptlab.specs import Embedding, Lora, PipelineSpec, RunSpec

__all__ = ["absolute_ref", "absolute_source", "absolute_spec", "absolute_sweep"]

Part = TypeVar("Part", "Lora", "Embedding")


def absolute_source(name: str) -> str:
    """Return what a model, VAE, LoRA or embedding is called, absolute where it is a file or folder here."""
    path = Path(name).expanduser()
    if not path.exists() or (bundled(name) is not None and not path.is_file()):
        return name
    return os.path.normpath(path.absolute())


def absolute_ref(ref: str) -> str:
    """Return what a run or an image is called, absolute where it is a file here."""
    if re.fullmatch(r"last|(sweep:)?\d+|\d+/\d+", ref) or not Path(ref).exists():
        return ref
    return os.path.normpath(Path(ref).absolute())


def absolute_spec(spec: RunSpec) -> RunSpec:
    """Return ``spec`` with its local files named absolutely."""
    pipeline = _absolute_pipeline(spec.pipeline)
    return spec if pipeline == spec.pipeline else replace(spec, pipeline=pipeline)


def absolute_sweep(sweep: Sweep) -> Sweep:
    """Return ``sweep`` with the local files of its runs named absolutely; each pipeline is looked at once."""
    pipelines = cache(_absolute_pipeline)
    cells = tuple(
        replace(cell, spec=replace(cell.spec, pipeline=pipelines(cell.spec.pipeline))) for cell in sweep.cells
    )
    return replace(sweep, cells=cells)


def _absolute_pipeline(pipeline: PipelineSpec) -> PipelineSpec:
    def named(part: Part) -> Part:
        return replace(part, name=absolute_source(part.name))

    optional: Callable[[str | None], str | None] = lambda name: None if name is None else absolute_source(name)  # noqa: E731 - it is used twice
    held = pipeline.quantization
    if held is not None and held.startswith(GGUF):
        held = f"{GGUF}{absolute_source(held.removeprefix(GGUF))}"
    return replace(
        pipeline, quantization=held, model=absolute_source(pipeline.model),
        config=optional(pipeline.config), vae=optional(pipeline.vae),
        loras=tuple(map(named, pipeline.loras)), embeddings=tuple(map(named, pipeline.embeddings)),
    )  # fmt: skip
