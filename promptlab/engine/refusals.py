"""Refuses what a model's configuration files alone decide, before torch or a server is started.

The resolver (:mod:`promptlab.engine.resolver`) is the one that knows: it needs torch and diffusers, whose import takes
seconds. What is asked here are its own questions, those that need neither: whether there is a model of that name and a
VAE that fits it, and whether the model can make that size.

Invariant: what is refused here the resolver refuses in the same words; what cannot be told here is left to it. No
weights are read, but those of bundled models, and nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from promptlab.engine.loading.vae import resolve_vae
from promptlab.engine.pipelines.sizes import check_divisible
from promptlab.engine.sources import hub
from promptlab.engine.sources.configuration import Configuration, read_configuration
from promptlab.engine.sources.files import INDEX
from promptlab.engine.sources.finder import SourceFinder
from promptlab.models import bundled
from promptlab.specs import CallSpec, PipelineSpec, RunSpec

__all__ = ["refuse_early"]


def refuse_early(specs: Iterable[RunSpec]) -> None:
    """Refuse the first of ``specs`` that cannot be, as far as configuration files tell.

    Raises:
        InputError: as the resolver would; see :meth:`promptlab.engine.Engine.resolve`.
    """
    finder = SourceFinder()
    asked = {
        (spec.pipeline.model, spec.pipeline.revision, spec.pipeline.variant, spec.pipeline.config, spec.pipeline.vae,
         spec.call.height, spec.call.width): spec for spec in specs
    }  # fmt: skip
    for spec in asked.values():
        with suppress(OSError):  # a folder that may not be read: the resolver says so
            _refuse(spec.pipeline, spec.call, finder)


def _refuse(pipeline: PipelineSpec, call: CallSpec, finder: SourceFinder) -> None:
    config = _configuration(pipeline, finder)
    if config is None or (pipeline.vae is not None and not _is_quick(pipeline.vae)):
        return
    vae = None if pipeline.vae is None else resolve_vae(pipeline.vae, config, finder).config
    # Of other families the pipeline itself has a say: see promptlab.engine.pipelines.sizes.
    if "unet" in config.parts and call.height is not None and call.width is not None:
        check_divisible(call, config.side_multiple(vae))


def _configuration(pipeline: PipelineSpec, finder: SourceFinder) -> Configuration | None:
    """Return the configuration of a bundled model or of one in a folder; ``None`` of others.

    Raises:
        InputError: when there is no such model.
    """
    if _is_quick(pipeline.model):
        source = finder.model(pipeline.model, pipeline.revision, pipeline.variant, pipeline.config)
        return read_configuration(source.folder, source.name)
    folder = Path(pipeline.model).expanduser()
    return read_configuration(folder, pipeline.model) if (folder / INDEX).is_file() else None


def _is_quick(name: str) -> bool:
    """Tell whether a name is looked up in a moment: bundled, or one of nothing; other weights are hashed."""
    return bundled(name) is not None or not (hub.is_id(name) or Path(name).expanduser().exists())
