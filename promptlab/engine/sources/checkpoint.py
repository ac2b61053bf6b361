"""Finds the configuration of a checkpoint in one file: that of the model it was trained from.

Such files hold weights and no configuration. Which one it is, is named (``config``), or diffusers tells it from the
names and shapes of the tensors, which the file's header lists: no weight is read. The configuration comes from a
folder, from the Hub cache, or from the Hub, where it weighs a few kilobytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptlab.engine.sources import hub
from promptlab.engine.sources.config_match import (
    ExternalParts,
    check_configuration,
    find_external_parts,
    refused_configuration,
)
from promptlab.engine.sources.files import INDEX, content_identity, listing, read_header, read_json
from promptlab.errors import InputError, NotFound, one_line, ref, ref_value
from promptlab.models import bundled

__all__ = ["CheckpointConfig", "given_configuration", "infer_configuration"]

_CONFIGS: Final = (".json", ".txt", ".model", ".jinja")
_DOWNLOAD: Final = "hf download {origin} --include {files}"
_ALLOWED: Final = "a diffusers folder with a model_index.json, or a Hub id whose configuration is cached"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """Represents where a checkpoint's configuration lies.

    Args:
        folder: a pipeline's, with or without weights.
        identity: of the configuration's content, and of the weights that are taken from elsewhere.
        external: parts that the checkpoint lacks and that are there.
    """

    folder: Path
    identity: str
    external: ExternalParts


def infer_configuration(path: Path) -> CheckpointConfig:
    """Find the configuration of the model that the checkpoint ``path`` was trained from, by its tensors.

    Raises:
        InputError: when it is no checkpoint, its configuration is not cached and the Hub cannot be reached, or a
            part that the file lacks is not cached either.
    """
    import torch
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    header = _header(path)
    shapes = {name: torch.empty(tensor["shape"], device="meta") for name, tensor in header.items()}
    try:
        origin = str(fetch_diffusers_config(shapes)["pretrained_model_name_or_path"])
    except Exception as error:
        raise InputError(
            "model", str(path), problem=f"is of no kind that diffusers knows: {one_line(error)}",
            allowed="a checkpoint of a known family", hint=ref_value("config", "FOLDER"),
        ) from error  # fmt: skip
    try:
        snapshot = hub.find(origin, None, "model", "a diffusers folder", weights=False)
    except InputError as error:
        raise InputError(
            "model", str(path), problem=f"needs the configuration of {origin}, which {error.problem}",
            allowed=f"a checkpoint whose configuration is in the Hub cache or given by {ref('config')}, "
            "or a diffusers folder",
            hint=_DOWNLOAD.format(origin=origin, files="'*.json' '*.txt'"),
        ) from error  # fmt: skip
    home, wanted = _fetched(snapshot)
    external = find_external_parts(header, home, listing(home))
    if external.lacking is not None:
        part, class_name = external.lacking
        raise InputError(
            "model", str(path), problem=f"has no {part}, a {class_name}, and nor has the Hub cache that of {origin}",
            allowed=f"a checkpoint whose parts are in it, in the Hub cache, or in the folder given by {ref('config')}",
            hint=_DOWNLOAD.format(origin=origin, files=f"'{part}/*'"),
        )  # fmt: skip
    return CheckpointConfig(
        folder=home, identity=content_identity(home, [*wanted, *external.weights]), external=external
    )


def given_configuration(path: Path, config: str, folder: Path) -> CheckpointConfig:
    """Find the configuration that was named for the checkpoint ``path``, and check that it fits.

    Args:
        config: a folder, a bundled model or a Hub id, as typed.
        folder: the same as a path; one that is nowhere, when it is none.

    Raises:
        NotFound: when there is nothing of that name.
        InputError: when ``path`` is no checkpoint, or ``config`` has no ``model_index.json`` or is not cached and the
            Hub cannot be reached, or cannot be the configuration of this checkpoint.
    """
    header = _header(path)
    home = bundled(config) or (folder if folder.is_dir() else None)
    if home is not None:
        if not (home / INDEX).is_file():
            raise _no_index(config)
        files: Sequence[str] = listing(home)
        wanted = _wanted(home, files)
    elif folder.is_file() or not hub.is_id(config):
        raise NotFound("config", config, allowed=_ALLOWED, hint=ref_value("config", "FOLDER"))
    else:
        snapshot = hub.find(config, None, "config", _ALLOWED, weights=False)
        if INDEX not in snapshot.files:
            raise _no_index(config)
        home, wanted = _fetched(snapshot)
        files = listing(home)
    check_configuration(path, header, config, home)
    external = find_external_parts(header, home, files)
    if external.lacking is not None:
        part, class_name = external.lacking
        problem = f"has no safetensors weights of its {part}, a {class_name}, and the file has none either"
        raise refused_configuration(config, problem)
    return CheckpointConfig(
        folder=home, identity=content_identity(home, [*wanted, *external.weights]), external=external
    )


def _header(path: Path) -> dict[str, dict[str, Any]]:
    header = read_header(path, "model")
    if not any(name.startswith(("model.diffusion_model.", "double_blocks.", "diffusion_model.")) for name in header):
        raise InputError(
            "model", str(path), problem="holds no text-to-image model", allowed="a whole checkpoint",
            hint=f"{ref_value('vae', 'FILE')} for a VAE",
        )  # fmt: skip
    return header


def _no_index(config: str) -> InputError:
    return InputError(
        "config", config, problem=f"has no {INDEX}, so it is no configuration of a pipeline", allowed=_ALLOWED,
        hint=ref_value("config", "FOLDER"),
    )  # fmt: skip


def _fetched(snapshot: hub.Snapshot) -> tuple[Path, list[str]]:
    """Fetch the configuration; return its folder and its files."""
    wanted = _wanted(snapshot.fetch([INDEX]), snapshot.files)
    return snapshot.fetch(wanted), wanted


def _wanted(folder: Path, files: Sequence[str]) -> list[str]:
    """List what is read of a pipeline besides weights."""
    parts = {part for part, value in read_json(folder / INDEX).items() if isinstance(value, list) and value[0]}
    return [INDEX, *(file for file in files if file.endswith(_CONFIGS) and file.split("/")[0] in parts)]
