"""Finds the configuration of a checkpoint in one file: that of the model it was trained from.

Such files hold weights and no configuration. Which one it is, is named (``config``), or diffusers tells it from the
names and shapes of the tensors, which the file's header lists: no weight is read. The configuration comes from a
folder, from the Hub cache, or from the Hub, where it weighs a few kilobytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from promptlab.engine.sources import hub
from promptlab.engine.sources.checkpoint_kind import (
    UNKNOWN_ORIGIN,
    holds_denoiser_alone,
    is_checkpoint,
    is_latent_diffusion,
    known_origin,
)
from promptlab.engine.sources.config_match import (
    ExternalParts,
    check_configuration,
    find_external_parts,
    refused_configuration,
)
from promptlab.engine.sources.files import INDEX, content_identity, file_identity, listing, read_header, read_json
from promptlab.engine.sources.modular import check_no_modular_file
from promptlab.engine.sources.scaled_fp8 import check_readable
from promptlab.errors import InputError, NotFound, one_line, ref, ref_value
from promptlab.models import bundled

__all__ = ["CheckpointConfig", "folders_beside", "given_configuration", "infer_configuration"]

_CONFIGS: Final = (".json", ".txt", ".model", ".jinja")
_LORA: Final = (".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".lokr_w", ".hada_w")
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

    A denoiser that lies in a diffusers folder, or beside its ``model_index.json``, is taken for that model's.

    Raises:
        InputError: when it is no checkpoint, its configuration is not cached and the Hub cannot be reached, or a
            part that the file lacks is not cached either.
    """
    header = _header(path)
    for folder in folders_beside(path, header):
        with suppress(InputError):  # it may be another model's, and the Hub's cache has the right one
            return given_configuration(path, str(folder), folder)
    origin = _origin(path, header)
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
    external = find_external_parts(path, header, home, listing(home))
    if external.lacking is not None:
        part, class_name = external.lacking
        raise InputError(
            "model", str(path), problem=f"has no {part}, a {class_name}, and nor has the Hub cache that of {origin}",
            allowed=f"a checkpoint whose parts are in it, beside it, in the Hub cache, or where {ref('config')} says",
            hint=_DOWNLOAD.format(origin=origin, files=f"'{part}/*'"),
        )  # fmt: skip
    if external.denoiser is not None:
        _check_inferred(path, header, origin, home)
    return CheckpointConfig(folder=home, identity=_identity(home, wanted, external), external=external)


def _identity(home: Path, wanted: Sequence[str], external: ExternalParts) -> str:
    """Return the identity of all that is read besides the file itself."""
    own = content_identity(home, [*wanted, *external.weights])
    if not external.files:
        return own
    others = "".join(f"{part}={file_identity(file)}\n" for part, file in sorted(external.files.items()))
    return f"sha256:{sha256(f'{own}+{others}'.encode()).hexdigest()}"


def _check_inferred(path: Path, header: Mapping[str, Any], origin: str, home: Path) -> None:
    """Refuse a denoiser of a size that the model has not whose family it is of."""
    try:
        check_configuration(path, header, origin, home)
    except InputError as error:
        raise InputError(
            "model", str(path), problem=f"looks like {origin}, whose configuration {error.problem}",
            allowed=f"{ref('config')} with the model it was trained from", hint=ref_value("config", "FOLDER"),
        ) from error  # fmt: skip


def folders_beside(path: Path, header: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the diffusers folders that a denoiser's file lies in: its own folder, or the one above."""
    folders = (path.absolute().parent, path.absolute().parent.parent)
    return tuple(each for each in folders if (each / INDEX).is_file()) if holds_denoiser_alone(header) else ()


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
    header = _model_header(path)
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
    external = find_external_parts(path, header, home, files)
    if external.lacking is not None:
        part, class_name = external.lacking
        problem = f"has no safetensors weights of its {part}, a {class_name}, and the file has none either"
        raise refused_configuration(config, problem)
    return CheckpointConfig(folder=home, identity=_identity(home, wanted, external), external=external)


def _origin(path: Path, header: Mapping[str, Any]) -> str:
    """Return the Hub id of the model that the file was trained from."""
    known = known_origin(header)
    if known is not None:
        return known
    import torch
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    shapes = {name: torch.empty(tensor["shape"], device="meta") for name, tensor in header.items()}
    try:
        found = str(fetch_diffusers_config(shapes)["pretrained_model_name_or_path"])
        if found != UNKNOWN_ORIGIN or is_latent_diffusion(header):
            return found
        reason = "its tensors are of no family that it reads from one file"
    except Exception as error:  # noqa: BLE001 - whatever it is, the file is not known
        reason = one_line(error)
    raise InputError(
        "model", str(path), problem=f"is of no kind that diffusers knows: {reason}",
        allowed=f"a checkpoint of a known family, or one with {ref('config')}, the model it was trained from",
        hint=ref_value("config", "FOLDER"),
    )  # fmt: skip


def _model_header(path: Path) -> dict[str, dict[str, Any]]:
    """Read the header of a file that may hold a model: no LoRA, and no modular pipeline."""
    header = read_header(path, "model")
    if any(mark in name for name in header for mark in _LORA):
        raise InputError(
            "model", str(path), problem="is a LoRA, which goes on top of a model", allowed="a whole checkpoint",
            hint=f"{ref_value('model', 'FOLDER')} {ref_value('loras', path)}",
        )  # fmt: skip
    check_no_modular_file(path, header)
    check_readable(path, header)
    return header


def _header(path: Path) -> dict[str, dict[str, Any]]:
    header = _model_header(path)
    if not is_checkpoint(header):
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
