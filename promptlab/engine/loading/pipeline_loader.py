"""Loads a whole pipeline with diffusers, from a folder or a file, and quantises it on the way.

Invariant: parts that are there already are taken as they are; everything else is what the setting's files hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from promptlab.engine.loading.component_overrides import folder_without, relocated_classes
from promptlab.engine.loading.quantization import Quantization, part_configs
from promptlab.engine.loading.single_file import load_denoiser, load_single_file
from promptlab.engine.machine.devices import torch_dtype
from promptlab.engine.pipelines.calls import pipeline_class
from promptlab.engine.sources.configuration import DENOISERS, read_configuration
from promptlab.engine.sources.files import INDEX, read_json
from promptlab.engine.sources.finder import ModelSource

if TYPE_CHECKING:
    import torch

__all__ = ["load_pipeline"]


def load_pipeline(
    model: ModelSource, dtype_name: str, device: str, quantization: Quantization, kept: Mapping[str, Any]
) -> Any:
    """Load the pipeline of ``model`` onto the CPU; what quantises on an accelerator onto ``device``.

    Args:
        kept: parts that are there already, by name.
    """
    import diffusers

    kind = pipeline_class(read_configuration(model.folder, model.name), model.name)
    diffusers.utils.logging.disable_progress_bar()  # ours is fed by report()
    dtype, own = torch_dtype(dtype_name), dict(kept)
    configs = part_configs(quantization, model.folder, dtype)
    with _on(device):
        if model.file is not None:
            return load_single_file(kind, model, dtype, own, configs)
        part = None if model.gguf is None else next((name for name in DENOISERS if name in configs), None)
        if model.gguf is not None and part is not None and part not in own:
            own[part] = load_denoiser(model, part, model.gguf, dtype, configs[part])
        return _from_folder(kind, model, dtype, own, configs)


def _from_folder(
    kind: Any, model: ModelSource, dtype: torch.dtype, own: Mapping[str, Any], configs: Mapping[str, Any]
) -> Any:
    """Load the pipeline in the folder of ``model``, and first what diffusers would not find there.

    Args:
        own: parts that are there already.
        configs: how parts are quantised.
    """
    import diffusers

    options = {"dtype": dtype, "use_safetensors": None if model.pickled else True, "local_files_only": True}
    moved = relocated_classes(kind, model.folder)
    parts: dict[str, Any] = {
        name: own[name]
        if name in own
        else each.from_pretrained(str(model.folder / name), variant=model.variant, **options).eval()
        for name, each in moved.items()
    }
    if model.prior is not None:
        index = read_json(model.prior.folder / INDEX)
        prior = _from_folder(getattr(diffusers, str(index["_class_name"])), model.prior, dtype, {}, {})
        parts |= {f"prior_{name}": part for name, part in prior.components.items()}
    wanted = {name: each for name, each in configs.items() if name not in own and name not in parts}
    if wanted:
        options["quantization_config"] = diffusers.PipelineQuantizationConfig(quant_mapping=dict(wanted))
    with folder_without(model.folder, parts) as folder:
        return kind.from_pretrained(str(folder), variant=model.variant, **options, **{**own, **parts})


def _on(device: str) -> AbstractContextManager[Any]:
    """Make ``device`` the current one of CUDA's: bitsandbytes quantises there and nowhere else."""
    import torch

    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()
