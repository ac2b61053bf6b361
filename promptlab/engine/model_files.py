"""Finds the files that a pipeline's names stand for: its model, another VAE, a denoiser in a GGUF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from promptlab.engine.loading.quantization import stored_methods
from promptlab.engine.loading.vae import VaeSource, resolve_vae
from promptlab.engine.sources.configuration import DENOISERS, Configuration, read_configuration
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.engine.sources.gguf_file import with_gguf
from promptlab.specs import GGUF, PipelineSpec

__all__ = ["ModelFiles", "look_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """Holds what a pipeline's names stand for: the model's source and configuration, and another VAE.

    Args:
        stored: how parts are quantised that are stored so, by their names.
    """

    source: ModelSource
    config: Configuration
    vae: VaeSource | None
    stored: Mapping[str, str] = field(default_factory=dict)


def look_up(pipeline: PipelineSpec, finder: SourceFinder) -> ModelFiles:
    """Find the model and VAE of ``pipeline``.

    Raises:
        InputError: when there is no such model, VAE or GGUF, or they do not go together.
    """
    source = finder.model_of(pipeline)
    config = read_configuration(source.folder, source.name)
    if pipeline.quantization is not None and pipeline.quantization.startswith(GGUF):
        source = with_gguf(source, config, pipeline.quantization)
    vae = None if pipeline.vae is None else resolve_vae(pipeline.vae, config, finder)
    replaced = DENOISERS if source.gguf is not None else ()
    stored = stored_methods(source.folder, [name for name in config.parts if name not in replaced])
    return ModelFiles(source=source, config=config, vae=vae, stored=stored)
