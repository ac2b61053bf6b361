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
from promptlab.engine.sources.scaled_fp8 import is_scaled, read_scaled
from promptlab.errors import EngineError

if TYPE_CHECKING:
    import torch

__all__ = ["load_denoiser", "load_single_file"]


def load_single_file(
    kind: Any, model: ModelSource, dtype: torch.dtype, own: Mapping[str, Any], configs: Mapping[str, Any]
) -> Any:
    """Load the pipeline of class ``kind`` from the file of ``model``.

    Args:
        own: parts that are there already.
        configs: how parts are quantised, by name.
    """
    part, path = _denoiser_of(model), Path(str(model.file))
    given = dict(own)
    apart = part in configs or (not model.pickled and is_scaled(read_header(path, "model")))
    if part is not None and part not in own and (apart or not hasattr(kind, "from_single_file")):
        given[part] = load_denoiser(model, part, path, dtype, configs.get(part))
    if model.denoiser is not None and not hasattr(kind, "from_single_file"):
        given = {**_load_beside(model, dtype, given, configs), **given}
        options: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
        rest = {name: each for name, each in configs.items() if name not in given}
        if rest:
            import diffusers

            options["quantization_config"] = diffusers.PipelineQuantizationConfig(quant_mapping=rest)
        return kind.from_pretrained(str(model.folder), **options, **given)
    given = {**_load_external_parts(model, dtype, given, configs), **given}
    return kind.from_single_file(
        str(model.file), config=str(model.folder), dtype=dtype, local_files_only=True, **given
    )  # fmt: skip


def load_denoiser(
    model: ModelSource, part: str, path: Path, dtype: torch.dtype, quantization_config: Any | None = None
) -> Any:
    """Load the denoiser from a file of its own, by its class.

    Args:
        part: ``unet`` or ``transformer``.
        path: safetensors, or a GGUF.
        quantization_config: how it is quantised, or was.
    """
    import diffusers

    name = read_configuration(model.folder, model.name).parts[part]
    weights: Any = str(path)
    if path.suffix == ".safetensors":
        header = read_header(path, "model")
        prefixed = name in KEEPS_NAMES and any(key.startswith(PREFIXES) for key in header)
        if is_scaled(header):
            weights = read_scaled(path, dtype)
        elif prefixed:
            from safetensors.torch import load_file

            weights = load_file(path)
        weights = without_prefix(weights) if prefixed else weights
    options: dict[str, Any] = {} if quantization_config is None else {"quantization_config": quantization_config}
    loaded = getattr(diffusers, name).from_single_file(
        weights, config=str(model.folder), subfolder=part, dtype=dtype, local_files_only=True, **options
    )
    return loaded.eval()


def _load_beside(
    model: ModelSource, dtype: torch.dtype, own: Mapping[str, Any], configs: Mapping[str, Any]
) -> dict[str, Any]:
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
            options = {"quantization_config": configs[name]} if name in configs else {}
            found[name] = _load_encoder(kind, model.folder / name, file, {"dtype": dtype, **options})
    return found


def _load_encoder(kind: Any, folder: Path, file: Path, options: Mapping[str, Any]) -> Any:
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
            place, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
        )
    missing = sorted(about["missing_keys"])
    if missing:
        raise EngineError(f"{file.name} has no {missing[0]}, which a {kind.__name__} wants; use one of transformers")
    return loaded.eval()


def _denoiser_of(model: ModelSource) -> str | None:
    return model.denoiser or read_configuration(model.folder, model.name).denoiser_part


def _load_external_parts(
    model: ModelSource, dtype: torch.dtype, own: Mapping[str, Any], configs: Mapping[str, Any]
) -> dict[str, Any]:
    """Load components that a single file lacks from where its configuration is.

    diffusers' own search for them does not know transformers' names of weights.
    """
    found = _load_beside(model, dtype, own, configs)
    for name, (library, class_name) in model.external.items():
        if name not in own and name not in found:
            kind = getattr(import_module(library), class_name)
            options: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
            if name in configs:
                options["quantization_config"] = configs[name]
            found[name] = kind.from_pretrained(str(model.folder / name), **options).eval()
    return found
