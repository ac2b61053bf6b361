"""Loads a pipeline whose weights lie in one file, whole or the denoiser alone.

Where diffusers' pipeline reads single files it does; of the others (Qwen-Image, Krea 2, FLUX.2, Sana …) the denoiser's
own class does, and the rest comes from the diffusers folder of the model that it was trained from.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from promptlab.engine.sources.checkpoint_kind import KEEPS_NAMES, PREFIXES, without_prefix
from promptlab.engine.sources.configuration import read_configuration
from promptlab.engine.sources.files import read_header
from promptlab.engine.sources.finder import ModelSource
from promptlab.errors import EngineError

if TYPE_CHECKING:
    import torch

__all__ = ["load_single_file"]


def load_single_file(kind: Any, model: ModelSource, dtype: torch.dtype, own: Mapping[str, Any]) -> Any:
    """Load the pipeline of class ``kind`` from the file of ``model``.

    Args:
        own: parts that are there already.
    """
    if model.denoiser is not None and not hasattr(kind, "from_single_file"):
        given = {**_load_beside(model, dtype, own), **own}
        given = given if model.denoiser in own else {**given, model.denoiser: _load_denoiser(model, dtype)}
        options = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
        return kind.from_pretrained(str(model.folder), **options, **given)
    given = {**_load_external_parts(model, dtype, own), **own}
    return kind.from_single_file(
        str(model.file), config=str(model.folder), dtype=dtype, local_files_only=True, **given
    )  # fmt: skip


def _load_denoiser(model: ModelSource, dtype: torch.dtype) -> Any:
    import diffusers

    part, path = str(model.denoiser), Path(str(model.file))
    name = read_configuration(model.folder, model.name).parts[part]
    weights: Any = str(path)
    if name in KEEPS_NAMES and any(key.startswith(PREFIXES) for key in read_header(path, "model")):
        from safetensors.torch import load_file

        weights = without_prefix(load_file(path))
    return getattr(diffusers, name).from_single_file(
        weights, config=str(model.folder), subfolder=part, dtype=dtype, local_files_only=True
    )


def _load_beside(model: ModelSource, dtype: torch.dtype, own: Mapping[str, Any]) -> dict[str, Any]:
    """Load the parts that are single files themselves, by the configuration in the model's folder."""
    found = {}
    for name, file in model.beside.items():
        if name in own:
            continue
        library, class_name = model.external[name]
        kind = getattr(import_module(library), class_name)
        if library == "diffusers":
            found[name] = kind.from_single_file(
                str(file), config=str(model.folder), subfolder=name, dtype=dtype, local_files_only=True
            )
        else:
            found[name] = _load_encoder(kind, model.folder / name, file, dtype)
    return found


def _load_encoder(kind: Any, folder: Path, file: Path, dtype: torch.dtype) -> Any:
    """Load a model of transformers from a file of weights, through a folder like those it writes.

    Raises:
        EngineError: when weights are called otherwise than transformers knows: it would make them up.
    """
    with TemporaryDirectory(prefix="promptlab-") as place:
        for each in folder.glob("*.json"):
            if not each.name.endswith(".index.json"):
                Path(place, each.name).symlink_to(each.absolute())
        Path(place, "model.safetensors").symlink_to(file.absolute())
        loaded, about = kind.from_pretrained(
            place, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    missing = sorted(about["missing_keys"])
    if missing:
        raise EngineError(f"{file.name} has no {missing[0]}, which a {kind.__name__} wants; use one of transformers")
    return loaded.eval()


def _load_external_parts(model: ModelSource, dtype: torch.dtype, own: Mapping[str, Any]) -> dict[str, Any]:
    """Load components that a single file lacks from where its configuration is.

    diffusers' own search for them does not know transformers' names of weights.
    """
    found = _load_beside(model, dtype, own)
    for name, (library, class_name) in model.external.items():
        if name not in own and name not in found:
            kind = getattr(import_module(library), class_name)
            options = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
            found[name] = kind.from_pretrained(str(model.folder / name), **options).eval()
    return found
