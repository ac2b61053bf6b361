"""Looks where a model's configuration lies without hashing weights, asking the Hub or importing torch.

What :mod:`promptlab.engine.sources.finder` finds, for whoever wants to read the configuration alone, and at once.

Invariant: the folder is the one that the finder gives for that name. Where finding it takes more than a look at this
machine's files, :class:`~promptlab.engine.sources.class_source.NotTold` is raised.
"""

from __future__ import annotations

import ast
import builtins
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from promptlab.engine.sources import hub
from promptlab.engine.sources.checkpoint_kind import (
    UNKNOWN_ORIGIN,
    holds_denoiser_alone,
    is_latent_diffusion,
    known_origin,
)
from promptlab.engine.sources.class_source import NotTold, diffusers_folder
from promptlab.engine.sources.files import INDEX, PICKLES, read_header
from promptlab.models import bundled
from promptlab.specs import PipelineSpec

__all__ = ["configuration_folder", "origin_of"]

_INFER: Final = "infer_diffusers_model_type"
_ORIGINS: Final = "DIFFUSERS_DEFAULT_PIPELINE_PATHS"


def configuration_folder(pipeline: PipelineSpec, *, allow_pickle: bool = False) -> tuple[Path, str]:
    """Return the folder of a model's configuration, and what the finder calls the model.

    Args:
        allow_pickle: whether pickled weights will do, where a cached model has no others.

    Raises:
        NotTold: when that is not certain.
    """
    home, path = bundled(pipeline.model), Path(pipeline.model).expanduser()
    if home is not None and (home / INDEX).is_file():
        return home, pipeline.model
    absolute = os.path.normpath(path.absolute())
    if path.is_file():
        return _of_file(path, pipeline.config), absolute
    if path.is_dir():
        if (path / INDEX).is_file():
            return path, absolute
    elif hub.is_id(pipeline.model):
        folder = _cached(pipeline.model, pipeline.revision, pipeline.variant, allow_pickle=allow_pickle)
        return folder, pipeline.model
    raise NotTold(pipeline.model)


def origin_of(header: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Hub id of the model that a checkpoint was trained from, as its tensors tell diffusers.

    Args:
        header: the tensors by name, each with its shape.

    Raises:
        NotTold: when diffusers' own lines for it cannot be carried out without torch.
    """
    known = known_origin(header)
    if known is not None:
        return known
    infer, origins = _inference()
    shapes = {name: SimpleNamespace(shape=tuple(tensor["shape"])) for name, tensor in header.items()}
    try:
        found = str(origins[infer(shapes)]["pretrained_model_name_or_path"])
    except Exception as error:
        raise NotTold(_INFER) from error
    if found == UNKNOWN_ORIGIN and not is_latent_diffusion(header):
        raise NotTold(_INFER)
    return found


def _of_file(path: Path, config: str | None) -> Path:
    if path.suffix in PICKLES:
        raise NotTold(path.name)
    if config is None:
        header = read_header(path, "model")
        if holds_denoiser_alone(header) and any((path.absolute().parents[at] / INDEX).is_file() for at in (0, 1)):
            raise NotTold(path.name)  # whether it is that model's takes its class
        return _cached(origin_of(header), None, None, weights=False)
    folder = bundled(config) or Path(config).expanduser()
    if folder.is_dir() and (folder / INDEX).is_file():
        return folder
    if hub.is_id(config) and not folder.exists():
        return _cached(config, None, None, weights=False)
    raise NotTold(config)


def _cached(
    name: str, revision: str | None, variant: str | None, *, weights: bool = True, allow_pickle: bool = False
) -> Path:
    found = hub.find_cached(name, revision, weights=weights, variant=variant, allow_pickle=allow_pickle)
    if found is None or found.folder is None or INDEX not in found.files:
        raise NotTold(name)
    return found.folder


@lru_cache(maxsize=1)
def _inference() -> tuple[Any, Mapping[str, Any]]:
    """Return diffusers' function that names the kind of a checkpoint, and the models of these kinds."""
    file = diffusers_folder() / "loaders" / "single_file_utils.py"
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except (OSError, ValueError, SyntaxError) as error:
        raise NotTold(file.name) from error
    names: dict[str, Any] = {"__builtins__": {each: getattr(builtins, each) for each in ("all", "any", "len")}}
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict() as table):
                try:
                    names[name] = ast.literal_eval(table)
                except ValueError:  # functions by name, and what is computed
                    continue
            case ast.FunctionDef(name=name) if name == _INFER:
                exec(compile(ast.Module([node], []), file.name, "exec"), names)  # noqa: S102 - diffusers' own function
    if _INFER not in names or _ORIGINS not in names:
        raise NotTold(file.name)
    return names[_INFER], names[_ORIGINS]
