"""Checkpoints in one file: they hold weights and no configuration, so that of the model they come from is taken.

Which one it is, diffusers tells from the names and shapes of the tensors, which the file's header lists: no weight is
read. The configuration comes from the Hub cache, or from the Hub, where it weighs a few kilobytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from promptlab.engine.finding import hub
from promptlab.engine.finding.files import INDEX, read_header, read_json
from promptlab.errors import InputError, one_line

__all__ = ["configuration_of"]

_CONFIGS: Final = (".json", ".txt", ".model", ".jinja")


def configuration_of(path: Path) -> Path:
    """The folder with the configurations of the model that the checkpoint ``path`` was trained from.

    Raises:
        InputError: when it is no checkpoint, or its configuration is not cached and the Hub cannot be reached.
    """
    import torch
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    header = read_header(path, "--model")
    if not any(name.startswith(("model.diffusion_model.", "double_blocks.", "diffusion_model.")) for name in header):
        raise InputError(
            "--model", str(path), problem="holds no text-to-image model", allowed="a whole checkpoint",
            hint="--vae FILE for a VAE",
        )  # fmt: skip
    shapes = {name: torch.empty(tensor["shape"], device="meta") for name, tensor in header.items()}
    try:
        origin = str(fetch_diffusers_config(shapes)["pretrained_model_name_or_path"])
    except Exception as error:
        raise InputError(
            "--model", str(path), problem=f"is of no kind that diffusers knows: {one_line(error)}",
            allowed="a checkpoint of a known family", hint="promptlab models",
        ) from error  # fmt: skip
    try:
        snapshot = hub.find(origin, None, "--model", "a diffusers folder", weights=False)
    except InputError as error:
        raise InputError(
            "--model", str(path), problem=f"needs the configuration of {origin}: {one_line(error)}",
            allowed="a checkpoint whose configuration is in the Hub cache, or a diffusers folder",
            hint=f"hf download {origin} --include '*.json' '*.txt'",
        ) from error  # fmt: skip
    folder = snapshot.fetch([INDEX])
    parts = {part for part, value in read_json(folder / INDEX).items() if isinstance(value, list) and value[0]}
    wanted = [file for file in snapshot.files if file.endswith(_CONFIGS) and file.split("/")[0] in parts]
    return snapshot.fetch([INDEX, *wanted])
